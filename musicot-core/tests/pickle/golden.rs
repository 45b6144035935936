//! Archives by PyTorch 2.11, made by tests/reference/core_pickle.py.

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Checkpoint, Error, ParamStore};
use serde_json::json;

use crate::golden_folder;

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(golden_folder().join(name)).unwrap()
}

/// Tensors of an archive against the same ones in safetensors; returns how many there are.
fn expect_same(actual: &Checkpoint, expected: &Checkpoint) -> usize {
    assert_eq!(actual.names(), expected.names());
    for name in actual.names() {
        let (read, wanted) = (actual.tensor(&name).unwrap(), expected.tensor(&name).unwrap());
        assert_eq!(actual.info(&name), expected.info(&name), "{name}");
        assert_eq!((read.kind(), read.size()), (wanted.kind(), wanted.size()), "{name}");
        assert!(read.is_contiguous(), "{name}");
        assert!(read.equal(&wanted), "{name}: {read} {wanted}");
    }
    actual.names().len()
}

#[test]
fn tensors_are_those_that_pytorch_saved() {
    let files = [
        ("state_dict.bin", 8),
        ("state_dict_protocol4.bin", 8),
        ("parameters.pt", 4),
        ("training_protocol2.pt", 8),
        ("training_protocol4.pt", 8),
        ("codec.pth", 3),
        ("views.pt", 16),
        ("kinds.pt", 10),
    ];
    for (file, tensors) in files {
        let expected = open(&format!("{}.safetensors", file.split('.').next().unwrap()));
        assert_eq!(expect_same(&open(file), &expected), tensors, "{file}");
    }
}

#[test]
fn numbers_beside_the_tensors_are_metadata() {
    for protocol in [2, 4] {
        let metadata = open(&format!("training_protocol{protocol}.pt")).metadata().unwrap();
        let group = &metadata["optimizer"]["param_groups"][0];
        assert_eq!(
            (&group["lr"], &group["betas"], &group["params"]),
            (&json!(0.001), &json!([0.9, 0.999]), &json!([0, 1, 2, 3]))
        );
        let mut rest = metadata.as_object().unwrap().clone();
        rest.remove("optimizer");
        let expected = json!({
            "epoch": 15, "name": "music-epoch_15", "best": 0.9014, "count": -3, "small": 0.5, "flag": true
        });
        assert_eq!(serde_json::Value::Object(rest), expected, "protocol {protocol}");
    }
}

#[test]
fn arguments_of_a_codec_are_metadata() {
    let expected = json!({"metadata": {"kwargs": {
        "encoder_dim": 64, "encoder_rates": [2, 4, 8, 8], "quantizer_dropout": 0.5, "latent_dim": null,
        "sample_rate": 44100, "causal": false, "shape": [2, 3], "dtype": "torch.float32", "tuple": [1, "a"],
        "large": 1_099_511_627_776_i64, "infinite": null, "empty": {}, "7": "a key that is an integer"
    }}});
    assert_eq!(open("codec.pth").metadata().unwrap(), expected);
    // Of tensors alone nothing is left; of safetensors, the texts of the header.
    assert_eq!(open("kinds.pt").metadata().unwrap(), json!({}));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("texts.safetensors");
    let header = r#"{"__metadata__":{"format":"pt"}}"#;
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    assert_eq!(Checkpoint::open(&path).unwrap().metadata().unwrap(), json!({"format": "pt"}));
}

#[test]
fn a_model_loads_an_archive_as_it_loads_safetensors() {
    let store = ParamStore::for_loading(Device::Cpu, Kind::Float);
    let root = store.root();
    let shapes: [(&str, &[i64]); 3] = [
        ("encoder.block.0.weight_g", &[4, 1, 1]),
        ("encoder.block.0.weight_v", &[4, 2, 3]),
        ("encoder.block.0.bias", &[4]),
    ];
    let params: Vec<Tensor> = shapes
        .iter()
        .map(|(name, shape)| root.param(name, shape, musicot_core::Init::Const(0.0)).unwrap())
        .collect();
    store.load_file(golden_folder().join("codec.pth")).unwrap();
    let expected = open("codec.safetensors");
    for ((name, _), param) in shapes.iter().zip(&params) {
        assert!(param.equal(&expected.tensor(name).unwrap()), "{name}");
    }
    // Another model is told every difference.
    let Err(Error::Checkpoint { report, .. }) = store.load_file(golden_folder().join("parameters.pt")) else {
        unreachable!("a file of other tensors was loaded")
    };
    assert_eq!((report.missing.len(), report.unexpected.len()), (3, 4));
}

#[test]
fn another_dict_is_opened_by_its_keys() {
    let training = golden_folder().join("training_protocol2.pt");
    let at = |keys: &[&str]| Checkpoint::open_at(&training, keys);
    assert_eq!(expect_same(&at(&["state_dict"]).unwrap(), &open("training_protocol2.safetensors")), 8);
    assert_eq!(
        at(&["optimizer", "state"]).unwrap_err().to_string().matches("got a dict of 0, 1, 2, 3").count(),
        1
    );

    let cases: [(&[&str], &str); 4] = [
        (&["ema"], "expected the key `ema`, got a dict of `epoch`, `name`"),
        (&["epoch"], "expected a dict as `epoch`, got an integer"),
        (&["optimizer"], "got a dict of `state`, `param_groups`"),
        (&[], "expected a dict of tensors"),
    ];
    for (keys, expected) in cases {
        let message = at(keys).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let error = Checkpoint::open_at(golden_folder().join("codec.safetensors"), &["ema"]).unwrap_err();
    assert!(error.to_string().contains("`ema`"), "{error}");
}

#[test]
fn what_is_refused_is_named() {
    let cases = [
        ("bad_system.pt", "names `posix.system`"),
        ("bad_eval.pt", "names `builtins.eval`"),
        ("bad_set.pt", "EMPTY_SET"),
        ("bad_legacy.pt", "before version 1.6"),
        ("bad_script.pt", "TorchScript"),
        ("bad_compressed.pt", "`bad_plain/data.pkl`: is compressed"),
        ("bad_byteorder.pt", "expected `little`, got `big`"),
        ("bad_stride.pt", "stride [255, 1] and offset 0 is not within its storage of 6 elements"),
        ("bad_shape.pt", "shape [3, 3]"),
        ("bad_storage.pt", "6 elements of Float, its entry has 23 bytes"),
    ];
    for (file, expected) in cases {
        let error = Checkpoint::open(golden_folder().join(file)).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(file) && message.contains(expected), "{message}");
    }
    // The place is named too: the opcode of the global.
    let message = Checkpoint::open(golden_folder().join("bad_system.pt")).unwrap_err().to_string();
    assert!(message.contains("`bad_system/data.pkl`, byte "), "{message}");
}

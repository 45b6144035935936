//! Checkpoints: what is written is read, and what does not fit is named and changes nothing.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use musicot_core::checkpoint::{self, DtypePolicy};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::tensor::{to_ids, to_vec};
use musicot_core::{
    Checkpoint, CheckpointReport, CounterRng, Error, Init, KeyMap, LoadOptions, ParamStore, Storage,
};

fn noise(position: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(11).normal(position, shape, Device::Cpu).unwrap()
}

fn named(tensors: &[(&str, &Tensor)]) -> Vec<(String, Tensor)> {
    tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone())).collect()
}

/// A model with a matrix, a vector, a scalar, an empty tensor and integers.
fn model(seed: Option<u64>) -> ParamStore {
    let store = match seed {
        Some(seed) => ParamStore::new(Device::Cpu, seed),
        None => ParamStore::for_loading(Device::Cpu, Kind::Float),
    };
    let root = store.root();
    let _ = root.sub("layer").param("weight", &[4, 6], Init::Normal(1.0)).unwrap();
    let _ = root.sub("layer").param("bias", &[4], Init::Normal(1.0)).unwrap();
    let _ = root.param("scale", &[], Init::Normal(1.0)).unwrap();
    let _ = root.param("empty", &[0, 3], Init::Normal(1.0)).unwrap();
    let ids = if seed.is_some() { Tensor::from_slice(&[3_i64, -1]) } else { Tensor::from_slice(&[0_i64, 0]) };
    let _ = root.buffer("ids", ids).unwrap();
    store
}

fn values(store: &ParamStore) -> Vec<(String, Vec<f32>)> {
    store.named().into_iter().map(|(name, tensor)| (name, to_vec(&tensor).unwrap())).collect()
}

fn report(error: Error) -> CheckpointReport {
    match error {
        Error::Checkpoint { report, .. } => *report,
        other => panic!("{other}"),
    }
}

#[test]
fn native_storage_is_exact_and_repeatable() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.safetensors"), folder.path().join("deep/er/b.safetensors"));
    let store = model(Some(1));
    store.save(&a, Storage::Native).unwrap();
    store.save(&b, Storage::Native).unwrap();
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    let loaded = model(None);
    assert_ne!(values(&loaded), values(&store));
    loaded.load_file(&a).unwrap();
    assert_eq!(values(&loaded), values(&store));
}

#[test]
fn every_element_type_is_read_as_it_was_written() {
    let path = tempfile::tempdir().unwrap().path().join("kinds.safetensors");
    let kinds = [
        Kind::Float,
        Kind::Double,
        Kind::Half,
        Kind::BFloat16,
        Kind::Int64,
        Kind::Int,
        Kind::Int16,
        Kind::Int8,
        Kind::Uint8,
        Kind::Bool,
    ];
    let whole = Tensor::from_slice(&[0_f32, 1.0, 3.0, 100.0]).reshape([2, 2]);
    let tensors: Vec<(String, Tensor)> =
        kinds.iter().map(|kind| (format!("{kind:?}"), whole.to_kind(*kind).transpose(0, 1))).collect();
    checkpoint::write(&path, &tensors, Storage::Native).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    for (name, tensor) in &tensors {
        let read = checkpoint.tensor(name).unwrap();
        assert_eq!((read.kind(), read.size()), (tensor.kind(), tensor.size()), "{name}");
        assert_eq!(to_vec(&read).unwrap(), to_vec(tensor).unwrap(), "{name}");
        assert_eq!(checkpoint.info(name).unwrap().kind, tensor.kind());
    }
    let complex = [("c".to_owned(), Tensor::zeros([2], (Kind::ComplexFloat, Device::Cpu)))];
    let error = checkpoint::write(&path, &complex, Storage::Native).unwrap_err();
    assert!(error.to_string().starts_with("c:"), "{error}");
}

#[test]
fn bf16_storage_rounds_and_halves() {
    let folder = tempfile::tempdir().unwrap();
    let store = model(Some(2));
    store.save(folder.path().join("model.safetensors"), Storage::Bf16).unwrap();
    let loaded = model(None);
    loaded.load_file(folder.path()).unwrap();
    for ((name, loaded), (_, saved)) in values(&loaded).into_iter().zip(values(&store)) {
        for (l, s) in loaded.iter().zip(&saved) {
            // bfloat16 keeps 8 bits of the significand: half a unit in the last place is 2^-8 of the value at most.
            assert!((l - s).abs() <= s.abs() / 256.0, "{name}: {l} {s}");
        }
    }
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.info("layer.weight").unwrap().kind, Kind::BFloat16);
    assert_eq!(checkpoint.info("ids").unwrap().kind, Kind::Int64);
}

#[test]
fn int8_storage_is_off_by_half_a_step_at_most() {
    let path = tempfile::tempdir().unwrap().path().join("int8.safetensors");
    let weight = noise(0, &[8, 3, 5]);
    // Rows of very different size, one of zeros.
    let row_scale = Tensor::from_slice(&[1e-8_f32, 1e-3, 1.0, 1e3, 1e8, 0.0, 2.0, 5.0]).reshape([8, 1, 1]);
    let weight = weight * row_scale;
    let tensors =
        named(&[("w", &weight), ("b", &noise(1, &[8])), ("s", &noise(2, &[])), ("e", &noise(3, &[4, 0]))]);
    checkpoint::write(&path, &tensors, Storage::Int8).unwrap();

    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.names(), ["b", "e", "s", "w"]);
    assert_eq!(checkpoint.info("w").unwrap().kind, Kind::Float);
    assert_eq!(checkpoint.tensor("s").unwrap().size(), [0_i64; 0]);
    assert_eq!(checkpoint.tensor("e").unwrap().size(), [4, 0]);
    let read = to_vec(&checkpoint.tensor("w").unwrap()).unwrap();
    for (row, (read, saved)) in read.chunks(15).zip(to_vec(&weight).unwrap().chunks(15)).enumerate() {
        let step = saved.iter().fold(0_f32, |m, v| m.max(v.abs())) / 127.0;
        for (r, s) in read.iter().zip(saved) {
            // Half a step, and a rounding of the largest value.
            assert!(
                (r - s).abs() <= step * (0.5 + 127.0 * f32::EPSILON * 2.0),
                "row {row}: {r} {s} step {step}"
            );
        }
    }
}

/// Large tensors are read a few rows at a time (262144 values): shapes that do and do not divide evenly, and a row that is larger.
#[test]
fn large_tensors_are_loaded_in_every_storage() {
    let path = tempfile::tempdir().unwrap().path().join("large.safetensors");
    let shapes: [(&str, &[i64]); 4] =
        [("cube", &[130, 70, 60]), ("even", &[2048, 256]), ("odd", &[1001, 523]), ("wide", &[2, 300_001])];
    for storage in [Storage::Native, Storage::Bf16, Storage::Int8] {
        let stored = ParamStore::new(Device::Cpu, 9);
        let loaded = ParamStore::for_loading(Device::Cpu, Kind::Float);
        for (name, shape) in shapes {
            let _ = stored.root().param(name, shape, Init::Normal(1.0)).unwrap();
            let _ = loaded.root().param(name, shape, Init::Normal(1.0)).unwrap();
        }
        stored.save(&path, storage).unwrap();
        loaded.load_file(&path).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        for (name, tensor) in loaded.named() {
            // The whole tensor at once is another way to the same values.
            assert!(
                tensor.equal(&checkpoint.tensor(&name).unwrap().to_kind(Kind::Float)),
                "{name} {storage:?}"
            );
        }
        for ((name, found), (_, own)) in loaded.named().iter().zip(stored.named()) {
            let most = (found - own).abs().max().double_value(&[]);
            assert!(most < 0.03, "{name} {storage:?}: off by {most}");
        }
    }
}

#[test]
fn int8_storage_takes_half_precision_and_refuses_broken_values() {
    let path = tempfile::tempdir().unwrap().path().join("int8.safetensors");
    let weight = noise(0, &[4, 4]).to_kind(Kind::BFloat16);
    checkpoint::write(&path, &named(&[("w", &weight)]), Storage::Int8).unwrap();
    assert_eq!(Checkpoint::open(&path).unwrap().info("w").unwrap().kind, Kind::Float);

    let broken = noise(0, &[2, 2]) / 0.0;
    let error = checkpoint::write(&path, &named(&[("broken", &broken)]), Storage::Int8).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    // The earlier file is still whole.
    assert!(Checkpoint::open(&path).is_ok());
}

#[test]
fn names_are_unique_and_scales_reserved() {
    let path = tempfile::tempdir().unwrap().path().join("x.safetensors");
    let one = noise(0, &[2]);
    assert!(checkpoint::write(&path, &named(&[("a", &one), ("a", &one)]), Storage::Native).is_err());
    assert!(checkpoint::write(&path, &named(&[("a#scale", &one)]), Storage::Native).is_err());
    assert!(!path.exists());
    let store = ParamStore::new(Device::Cpu, 0);
    assert!(store.root().param("a#scale", &[2], Init::Const(0.0)).is_err());
    let _ = store.root().param("a", &[2], Init::Const(0.0)).unwrap();
    assert!(store.root().buffer("a", one).is_err());
}

#[test]
fn every_difference_is_named_and_nothing_changes() {
    let path = tempfile::tempdir().unwrap().path().join("other.safetensors");
    let tensors = named(&[
        ("layer.weight", &noise(0, &[6, 4])),
        ("layer.bias", &noise(1, &[4])),
        ("scale", &Tensor::from(3_i64)),
        ("empty", &noise(2, &[0, 3])),
        ("extra", &noise(3, &[1])),
    ]);
    checkpoint::write(&path, &tensors, Storage::Native).unwrap();
    let store = model(Some(3));
    let before = values(&store);
    let report = report(store.load_file(&path).unwrap_err());
    assert_eq!(report.missing, ["ids"]);
    assert_eq!(report.unexpected, ["extra"]);
    assert_eq!(report.shape_mismatch, [("layer.weight".to_owned(), vec![4, 6], vec![6, 4])]);
    assert_eq!(report.kind_mismatch, [("scale".to_owned(), "Float".to_owned(), "Int64".to_owned())]);
    assert_eq!(values(&store), before);
}

#[test]
fn a_broadcastable_shape_is_not_good_enough() {
    let path = tempfile::tempdir().unwrap().path().join("b.safetensors");
    checkpoint::write(&path, &named(&[("w", &noise(0, &[3]))]), Storage::Native).unwrap();
    let store = ParamStore::new(Device::Cpu, 0);
    let _ = store.root().param("w", &[4, 3], Init::Const(0.0)).unwrap();
    assert_eq!(report(store.load_file(&path).unwrap_err()).shape_mismatch.len(), 1);
}

#[test]
fn the_exact_policy_refuses_another_float() {
    let path = tempfile::tempdir().unwrap().path().join("bf16.safetensors");
    let store = model(Some(4));
    store.save(&path, Storage::Bf16).unwrap();
    let options = LoadOptions { dtype: DtypePolicy::Exact, ..LoadOptions::default() };
    let report = report(store.load(&Checkpoint::open(&path).unwrap(), &options).unwrap_err());
    assert_eq!(report.kind_mismatch.len(), 4);
    assert!(report.kind_mismatch.iter().all(|(_, wanted, found)| wanted == "Float" && found == "BFloat16"));
}

#[test]
fn names_are_mapped_and_collisions_reported() {
    let path = tempfile::tempdir().unwrap().path().join("named.safetensors");
    let tensors =
        named(&[("module.w", &noise(0, &[2])), ("w", &noise(1, &[2])), ("module.step", &noise(2, &[1]))]);
    checkpoint::write(&path, &tensors, Storage::Native).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let store = ParamStore::new(Device::Cpu, 0);
    let _ = store.root().param("w", &[2], Init::Const(0.0)).unwrap();

    let rename = KeyMap::default().strip_prefix("module.").drop_containing("step");
    let options = LoadOptions { rename, ..LoadOptions::default() };
    let report = report(store.load(&checkpoint, &options).unwrap_err());
    assert_eq!(report.ambiguous, [("w".to_owned(), vec!["module.w".to_owned(), "w".to_owned()])]);

    let rename =
        KeyMap::default().drop_containing("step").replace("module.w", "w.old").drop_containing("old");
    store.load(&checkpoint, &LoadOptions { rename, ..LoadOptions::default() }).unwrap();
    assert_eq!(to_vec(&store.named()[0].1).unwrap(), to_vec(&noise(1, &[2])).unwrap());
}

/// Others may read what was written, and nothing but the file is in the folder.
#[cfg(unix)]
#[test]
fn a_checkpoint_is_an_ordinary_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    for _ in 0..2 {
        checkpoint::write(&path, &named(&[("w", &noise(0, &[3]))]), Storage::Bf16).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_fused_tensor_is_cut_into_the_model_s_parts() {
    let path = tempfile::tempdir().unwrap().path().join("fused.safetensors");
    let fused = noise(0, &[6, 2]);
    checkpoint::write(&path, &named(&[("attn.qkv.weight", &fused)]), Storage::Native).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let store = ParamStore::for_loading(Device::Cpu, Kind::Float);
    for name in ["query", "key", "value"] {
        let _ =
            store.root().sub(format!("attention.{name}")).param("weight", &[2, 2], Init::Const(0.0)).unwrap();
    }
    let rename = KeyMap::default()
        .split("attn.qkv.", &["attention.query.", "attention.key.", "attention.value."])
        // The parts have another name, and a part is not cut again.
        .split("attention.", &["x.", "y."]);
    store.load(&checkpoint, &LoadOptions { rename, ..LoadOptions::default() }).unwrap();
    for (name, part) in store.named() {
        let place = ["attention.query.weight", "attention.key.weight", "attention.value.weight"];
        let index = place.iter().position(|place| *place == name).unwrap() as i64;
        assert!(part.equal(&fused.narrow(0, 2 * index, 2)), "{name}");
    }
    let rename = KeyMap::default().split("attn.qkv.", &["attention.query.", "k.", "v.", "attention.value."]);
    let options = LoadOptions { rename, ..LoadOptions::default() };
    let report = report(store.load(&checkpoint, &options).unwrap_err());
    assert_eq!(report.missing, ["attention.key.weight"]);
    assert_eq!(report.unexpected, ["k.weight", "v.weight"]);
    assert_eq!(report.shape_mismatch[0], ("attention.query.weight".to_owned(), vec![2, 2], vec![6, 2]));
}

#[test]
fn weight_norm_is_folded_in_either_spelling() {
    let path = tempfile::tempdir().unwrap().path().join("normed.safetensors");
    let (rows, taps, v) = (noise(1, &[3, 1, 1]), noise(2, &[1, 1, 5]), noise(0, &[3, 4, 5]));
    let along = |axes: &[i64]| v.square().sum_dim_intlist(axes, true, Kind::Float).sqrt();
    for (g, axes) in [(&rows, &[1, 2][..]), (&taps, &[0, 1])] {
        let expected = &v * (g / along(axes));
        for [magnitude, direction] in [
            ["conv.weight_g", "conv.weight_v"],
            ["conv.parametrizations.weight.original0", "conv.parametrizations.weight.original1"],
        ] {
            checkpoint::write(&path, &named(&[(magnitude, g), (direction, &v)]), Storage::Native).unwrap();
            let store = ParamStore::for_loading(Device::Cpu, Kind::Float);
            let weight = store.root().sub("conv").param("weight", &[3, 4, 5], Init::Const(0.0)).unwrap();
            store.load_file(&path).unwrap();
            // A few roundings of numbers below 10.
            assert!(weight.allclose(&expected, 1e-6, 1e-6, false), "{magnitude} {axes:?}");
        }
    }
}

#[test]
fn halves_of_a_weight_norm_that_do_not_fit_are_named() {
    let path = tempfile::tempdir().unwrap().path().join("halves.safetensors");
    let store = ParamStore::for_loading(Device::Cpu, Kind::Float);
    let _ = store.root().sub("conv").param("weight", &[3, 4], Init::Const(0.0)).unwrap();
    let load = |tensors: &[(&str, &Tensor)]| {
        checkpoint::write(&path, &named(tensors), Storage::Native).unwrap();
        report(store.load_file(&path).unwrap_err())
    };
    let (g, v) = (noise(0, &[3, 1]), noise(1, &[3, 4]));
    let alone = load(&[("conv.weight_g", &g)]);
    assert_eq!((alone.missing.len(), alone.unexpected), (1, vec!["conv.weight_g".to_owned()]));
    assert_eq!(load(&[("conv.weight_g", &noise(0, &[2, 1])), ("conv.weight_v", &v)]).unexpected.len(), 2);
    assert_eq!(load(&[("conv.weight_g", &g), ("other.weight_v", &v)]).unexpected.len(), 2);
    let both = load(&[("conv.weight_g", &g), ("conv.weight_v", &v), ("conv.weight", &v)]);
    assert_eq!(both.ambiguous[0].1, ["conv.weight", "conv.weight_v with conv.weight_g"]);
    // Of another shape than the model's, which is that of the direction.
    let wide = noise(2, &[3, 5]);
    assert_eq!(load(&[("conv.weight_g", &g), ("conv.weight_v", &wide)]).shape_mismatch[0].2, [3, 5]);
}

#[test]
fn a_tensor_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    checkpoint::write(&path, &named(&[("a", &noise(0, &[1]))]), Storage::Native).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.info("b"), None);
    assert_eq!(report(checkpoint.tensor("b").unwrap_err()).missing, ["b"]);
    assert!(matches!(Checkpoint::open(folder.path()), Err(Error::Io { .. })));
    assert!(matches!(Checkpoint::open(folder.path().join("no")), Err(Error::Io { .. })));
}

/// A file with the given header and `bytes` of zeros behind it.
fn raw(path: &Path, header: &str, bytes: usize) {
    let mut content = (header.len() as u64).to_le_bytes().to_vec();
    content.extend(header.as_bytes());
    content.resize(content.len() + bytes, 0);
    std::fs::write(path, content).unwrap();
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.safetensors");
    let cases = [
        // Too short, too long, overlapping, out of order.
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4),
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9),
        (r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#, 8),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
            6,
        ),
        (r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
        (r#"{"a":{"dtype":"F32","shape":[18446744073709551615,0],"data_offsets":[0,0]}}"#, 0),
        (r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}}"#, 0),
        (r#"{"a":{"dtype":"X32","shape":[1],"data_offsets":[0,4]}}"#, 4),
        (r#"{"a":{}}"#, 0),
        ("[]", 0),
        ("", 0),
        // int8 with a scale of the wrong type, of the wrong length, and without rows.
        (
            r##"{"a":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]},"a#scale":{"dtype":"I32","shape":[2],"data_offsets":[4,12]}}"##,
            12,
        ),
        (
            r##"{"a":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]},"a#scale":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"##,
            8,
        ),
        (
            r##"{"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]},"a#scale":{"dtype":"F32","shape":[],"data_offsets":[1,5]}}"##,
            5,
        ),
    ];
    for (header, bytes) in cases {
        raw(&path, header, bytes);
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{header}: {error}");
        assert!(error.to_string().contains("raw.safetensors"), "{error}");
    }
    for content in [vec![], vec![0; 7], vec![255; 8], vec![255; 64]] {
        std::fs::write(&path, &content).unwrap();
        assert!(Checkpoint::open(&path).is_err(), "{content:?}");
    }
}

#[test]
fn a_lone_scale_is_an_ordinary_tensor_and_unknown_types_are_named() {
    let path = tempfile::tempdir().unwrap().path().join("raw.safetensors");
    let folder = path.parent().unwrap();
    std::fs::create_dir_all(folder).unwrap();
    raw(
        &path,
        r##"{"a#scale":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"f":{"dtype":"F8_E5M2","shape":[2],"data_offsets":[4,6]}}"##,
        6,
    );
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.names(), ["a#scale", "f"]);
    assert!(checkpoint.tensor("f").unwrap_err().to_string().contains("F8_E5M2"));
    let store = ParamStore::new(Device::Cpu, 0);
    let _ = store.root().param("f", &[2], Init::Const(0.0)).unwrap();
    let report = report(store.load(&checkpoint, &LoadOptions::default()).unwrap_err());
    assert_eq!(report.unexpected, ["a#scale"]);
    assert_eq!(report.kind_mismatch, [("f".to_owned(), "Float".to_owned(), "F8_E5M2".to_owned())]);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Two shards and their index.
fn sharded(folder: &Path, index: &str) {
    checkpoint::write(folder.join("1.safetensors"), &named(&[("a", &noise(0, &[2]))]), Storage::Native)
        .unwrap();
    checkpoint::write(folder.join("2.safetensors"), &named(&[("b", &noise(1, &[3, 2]))]), Storage::Int8)
        .unwrap();
    std::fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
}

#[test]
fn shards_are_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    sharded(
        folder.path(),
        r#"{"metadata": {"total_size": 20}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#,
    );
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names(), ["a", "b"]);
    assert_eq!(to_vec(&checkpoint.tensor("a").unwrap()).unwrap(), to_vec(&noise(0, &[2])).unwrap());
    assert_eq!(checkpoint.info("b").unwrap().shape, [3, 2]);
}

#[test]
fn an_index_that_contradicts_its_shards_is_refused() {
    let cases = [
        (r#"{"weight_map": {"a": "2.safetensors", "b": "2.safetensors"}}"#, "`a` is not in"),
        (r#"{"weight_map": {"a": "1.safetensors", "c": "1.safetensors"}}"#, "`c` is not in"),
        (r#"{"weight_map": {"a": "../1.safetensors"}}"#, "not a plain file name"),
        (r#"{"weight_map": {"a": "/etc/passwd"}}"#, "not a plain file name"),
        (r#"{"weight_map": {"a": ".."}}"#, "not a plain file name"),
        (r#"{"weight_map": {"a": "."}}"#, "not a plain file name"),
        (r#"{"weight_map": {"a": ""}}"#, "not a plain file name"),
        (r#"{"weight_map": {"a": "x/../1.safetensors"}}"#, "not a plain file name"),
        (r#"{"weight_map": {"a": "1.safetensors/"}}"#, "not a plain file name"),
        (r#"{"weight_map": {"a": "3.safetensors"}}"#, "3.safetensors"),
        (r#"{"weight_map": []}"#, "index.json"),
    ];
    for (index, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        sharded(folder.path(), index);
        let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{index}: {error}");
    }
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    sharded(folder.path(), r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#);
    let both = named(&[("a", &noise(0, &[2])), ("b", &noise(0, &[2]))]);
    checkpoint::write(folder.path().join("2.safetensors"), &both, Storage::Native).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`a` is also in"), "{error}");
}

#[test]
fn integers_survive_float_storage() {
    let path = tempfile::tempdir().unwrap().path().join("ids.safetensors");
    let ids = Tensor::from_slice(&[i64::MAX, i64::MIN, 7]).reshape([3, 1]);
    for storage in [Storage::Native, Storage::Bf16, Storage::Int8] {
        checkpoint::write(&path, &named(&[("ids", &ids)]), storage).unwrap();
        let read = Checkpoint::open(&path).unwrap().tensor("ids").unwrap();
        assert_eq!(to_ids(&read).unwrap(), [i64::MAX, i64::MIN, 7]);
    }
}

#[test]
fn a_header_whose_length_looks_like_a_pickle_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    // Little-endian, these lengths begin with the two bytes of a pickle of protocol 2 to 5.
    for length in [0x280_usize, 0x380, 0x480, 0x580] {
        let mut header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_vec();
        header.resize(length, b' ');
        let bytes = [&(length as u64).to_le_bytes()[..], &header, &0.5_f32.to_le_bytes()].concat();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(to_vec(&Checkpoint::open(&path).unwrap().tensor("a").unwrap()).unwrap(), [0.5]);
        // Cut short, it is still no pickle.
        std::fs::write(&path, &bytes[..length / 2]).unwrap();
        let message = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(!message.contains("pickle"), "{message}");
    }
}

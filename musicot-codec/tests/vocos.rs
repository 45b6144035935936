//! Agreement with the package vocos on directories in the published layout; the fixtures are made by `tests/reference/vocos.py`, which also
//! measures how far the reference in f32 is from itself in f64.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

mod golden_common;

use std::path::Path;

use golden_common::{Copy, cosine, expect_golden, folder, json, tensor};
use musicot_codec::{Result, Vocos, VocosConfig};
use musicot_core::tch::{Device, Kind, Tensor, set_num_threads};
use musicot_core::{ParamStore, Storage};

fn load(path: &Path) -> Result<Vocos> {
    Vocos::load(path, Device::Cpu)
}

fn open(case: &str) -> Vocos {
    set_num_threads(1);
    load(&folder(case)).unwrap()
}

fn audio(case: &str) -> Tensor {
    tensor(case, "io.safetensors", "in.audio")
}

fn agrees(case: &str) {
    let vocos = open(case);
    let mel = vocos.mel(&audio(case)).unwrap();
    expect_golden(case, "mel", &mel);
    expect_golden(case, "decoded", &vocos.decode(&mel).unwrap());
}

#[test]
fn centred_frames_from_yaml_and_a_pickle() {
    agrees("vocos_center");
}

#[test]
fn whole_hops_from_json_and_safetensors() {
    agrees("vocos_same");
}

/// And with the package's defaults for what the file does not say.
#[test]
fn analysis_and_synthesis_of_their_own() {
    agrees("vocos_mixed");
    assert_eq!(open("vocos_mixed").sample_rate_hz(), 16_000);
}

#[test]
fn features_alone() {
    let mel = tensor("vocos_features", "io.safetensors", "in.mel");
    expect_golden("vocos_features", "decoded", &open("vocos_features").decode(&mel).unwrap());
}

/// Measured on these cases: 0.99995 and above in bfloat16, with a largest deviation of 0.012 at a peak of 0.8.
#[test]
fn other_element_types_stay_close_to_f32() {
    for case in ["vocos_center", "vocos_same", "vocos_mixed"] {
        let (mel, exact) = (
            tensor(case, "golden.safetensors", "out.mel"),
            tensor(case, "golden.safetensors", "out.decoded"),
        );
        for (kind, least) in [(Kind::BFloat16, 0.999), (Kind::Half, 0.9999), (Kind::Double, 0.999_999)] {
            let vocos = Vocos::load_as(folder(case), Device::Cpu, kind).unwrap();
            expect_golden(case, "mel", &vocos.mel(&audio(case)).unwrap());
            let decoded = vocos.decode(&mel).unwrap();
            assert_eq!(decoded.kind(), Kind::Float);
            let cosine = cosine(&decoded, &exact);
            let error = (&decoded - &exact).abs().max().double_value(&[]);
            println!("{case} {kind:?}: cosine {cosine:.6}, largest deviation {error:.1e}");
            assert!(cosine >= least, "{case} {kind:?}: {cosine}");
        }
    }
    assert!(Vocos::load_as(folder("vocos_center"), Device::Cpu, Kind::Int64).is_err());
}

fn copy() -> Copy {
    Copy::of("vocos_same", &["config.json"])
}

#[test]
fn values_that_are_not_supported_are_named() {
    for (key, value, culprits) in [
        (
            "feature_extractor.class_path",
            json(r#""vocos.feature_extractors.EncodecFeatures""#),
            ["class_path", "EncodecFeatures"],
        ),
        (
            "backbone.class_path",
            json(r#""vocos.models.VocosResNetBackbone""#),
            ["`backbone.class_path`", "VocosResNetBackbone"],
        ),
        ("head.class_path", json(r#""vocos.heads.IMDCTCosHead""#), ["`head.class_path`", "IMDCTCosHead"]),
        ("head.class_path", json("null"), ["`head.class_path`", "none"]),
        ("head.init_args", json("null"), ["`head.init_args`", "missing"]),
        ("head", json("null"), ["`head`", "missing"]),
        ("head", json("3"), ["`head`", "object"]),
        ("discriminator", json("{}"), ["config.json", "`discriminator`"]),
        ("head.more", json("1"), ["config.json", "`head.more`"]),
        ("head.init_args.clip_audio", json("true"), ["in `head.init_args`", "`clip_audio`"]),
        ("head.init_args.padding", json(r#""reflect""#), ["in `head.init_args`", "reflect"]),
        ("head.init_args.n_fft", json("63"), ["`head.n_fft`", "63"]),
        ("head.init_args.n_fft", json("16"), ["`head.hop_length`", "16"]),
        ("head.init_args.hop_length", json("15"), ["`head.hop_length`", "15"]),
        ("head.init_args.dim", json("13"), ["`head.dim`", "13"]),
        ("feature_extractor.init_args.n_mels", json("11"), ["`backbone.input_channels`", "11"]),
        ("feature_extractor.init_args.hop_length", json("0"), ["`feature_extractor.hop_length`", "0"]),
        ("feature_extractor.init_args.sample_rate", json("-1"), ["in `feature_extractor.init_args`", "-1"]),
        ("feature_extractor.init_args.power", json("2"), ["in `feature_extractor.init_args`", "`power`"]),
        ("backbone.init_args.adanorm_num_embeddings", json("4"), ["adanorm_num_embeddings", "4"]),
        ("backbone.init_args.layer_scale_init_value", json("-0.1"), ["layer_scale_init_value", "-0.1"]),
        ("backbone.init_args.num_layers", json("0"), ["`backbone.num_layers`", "0"]),
    ] {
        copy().set("config.json", key, value).expect_refused(load, &culprits);
    }
    let same = copy().set("config.json", "backbone.init_args.adanorm_num_embeddings", json("null"));
    assert!(same.load(load).is_ok());
}

#[test]
fn files_that_are_no_configuration_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = |text: &str| {
        std::fs::write(folder.path().join("config.yaml"), text).unwrap();
        load(folder.path()).err().unwrap().to_string()
    };
    assert!(load(folder.path()).err().unwrap().to_string().contains("config.yaml"));
    for text in ["", "- 1", "head: [", "a: 1\na: 2", "a: &x [1]\nb: *y"] {
        assert!(message(text).contains("config.yaml"), "{text}");
    }
    // Entries that name one another, each ten times the last.
    let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
    for level in 1..9 {
        let last = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [last.as_str(); 10].join(", "));
    }
    assert!(message(&bomb).contains("config.yaml"));
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let vector = || Tensor::ones([5], (Kind::Float, Device::Cpu));
    for name in [
        "head.istft.window",
        "feature_extractor.mel_spec.spectrogram.window",
        "feature_extractor.mel_spec.mel_scale.fb",
        "backbone.convnext.1.gamma",
        "head.out.bias",
    ] {
        copy().without(name).expect_refused(load, &["missing", name]);
        copy().with(name, vector()).expect_refused(load, &["wrong shape", name, "[5]"]);
    }
    copy()
        .with("backbone.convnext.2.gamma", vector())
        .expect_refused(load, &["unexpected", "convnext.2.gamma"]);
    let flat = Tensor::ones([64], (Kind::Float, Device::Cpu));
    copy().with("head.istft.window", flat.copy()).expect_refused(load, &["head.istft.window", "Hann"]);
    copy().with("head.istft.window", flat * f64::NAN).expect_refused(load, &["head.istft.window", "Hann"]);
}

#[test]
fn the_file_says_which_filters_count() {
    let name = "feature_extractor.mel_spec.mel_scale.fb";
    let twice = tensor("vocos_same", "model.safetensors", name) * 2.0;
    let mel = copy().with(name, twice).load(load).unwrap().mel(&audio("vocos_same")).unwrap();
    let difference = mel - tensor("vocos_same", "golden.safetensors", "out.mel") - 2_f64.ln();
    assert!(difference.abs().max().double_value(&[]) < 1e-5);
}

/// A file in half precision holds rounded windows. Overlap-add divides by the square of a window, so a larger one makes all samples smaller.
#[test]
fn the_file_says_which_window_is_inverted() {
    let name = "head.istft.window";
    let larger = tensor("vocos_same", "model.safetensors", name) * 1.003;
    let mel = tensor("vocos_same", "golden.safetensors", "out.mel");
    let decoded = copy().with(name, larger).load(load).unwrap().decode(&mel).unwrap();
    let difference = decoded * 1.003 - tensor("vocos_same", "golden.safetensors", "out.decoded");
    assert!(difference.abs().max().double_value(&[]) < 1e-5);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let options = (Kind::Float, Device::Cpu);
    for (case, least) in [("vocos_center", 33), ("vocos_same", 25)] {
        let vocos = open(case);
        assert!(vocos.mel(&Tensor::zeros([1, least], options)).is_ok(), "{case}");
        let message = vocos.mel(&Tensor::zeros([1, least - 1], options)).unwrap_err().to_string();
        assert!(message.contains(&format!("at least {least} samples, got {}", least - 1)), "{message}");
        assert!(vocos.mel(&Tensor::zeros([1, 1, 99], options)).is_err());
        assert!(vocos.mel(&Tensor::full([1, 99], f64::NAN, options)).is_err());
        assert!(vocos.mel(&Tensor::zeros([1, 0], options)).is_err());
        let message = vocos.mel(&Tensor::zeros([0, 99], options)).unwrap_err().to_string();
        assert!(message.contains("at least 1 clip"), "{message}");
        for shape in [vec![1, 11, 5], vec![10, 5], vec![1, 10, 0]] {
            assert!(vocos.decode(&Tensor::zeros(shape.as_slice(), options)).is_err(), "{shape:?}");
        }
        assert!(vocos.decode(&Tensor::full([1, 10, 5], f64::INFINITY, options)).is_err());
        assert_eq!(vocos.decode(&Tensor::zeros([0, 10, 5], options)).map(|y| y.size()[0]).unwrap_or(0), 0);
        // The loudest that there is.
        let loud = vocos.decode(&Tensor::full([1, 10, 1], 1e30, options)).unwrap();
        assert!(loud.isfinite().all().int64_value(&[]) != 0);
    }
}

/// The size of the published model, with random weights: saved and loaded, it is the same.
#[test]
fn the_published_size_goes_to_disk_and_back() {
    let config = VocosConfig::mel_24khz();
    let store = ParamStore::new(Device::Cpu, 5);
    let vocos = Vocos::new(&store.root(), &config).unwrap();
    let trained: usize = store.trainable().iter().map(|(_, tensor)| tensor.numel()).sum();
    assert_eq!(trained, 13_531_650, "13.5 million, as published");
    let folder = tempfile::tempdir().unwrap();
    let args = |value: serde_json::Value, class: &str| serde_json::json!({ "class_path": class, "init_args": value });
    let published = serde_json::json!({
        "feature_extractor": args(serde_json::to_value(&config.feature_extractor).unwrap(), "vocos.feature_extractors.MelSpectrogramFeatures"),
        "backbone": args(serde_json::to_value(&config.backbone).unwrap(), "vocos.models.VocosBackbone"),
        "head": args(serde_json::to_value(&config.head).unwrap(), "vocos.heads.ISTFTHead"),
    });
    musicot_core::files::write_json(folder.path().join("config.json"), &published).unwrap();
    store.save(folder.path().join("model.safetensors"), Storage::Native).unwrap();
    let loaded = load(folder.path()).unwrap();
    assert_eq!(loaded.config(), &config);
    let audio = Tensor::ones([1, 4800], (Kind::Float, Device::Cpu)).cumsum(1, Kind::Float).sin();
    let mel = loaded.mel(&audio).unwrap();
    assert_eq!(mel.size(), [1, 100, 19]);
    assert_eq!(loaded.decode(&mel).unwrap(), vocos.decode(&vocos.mel(&audio).unwrap()).unwrap());
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<VocosConfig>(&text).unwrap(), config);
}

//! Agreement with diffusers' `StableAudioDiTModel`, stable-audio-tools' `DiffusionTransformer` and diffusers' `StableAudioPipeline` on
//! directories in the published layouts; the fixtures are made by `tests/reference/sa_dit.py`, which also measures how far the
//! references in f32 are from themselves in f64.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use musicot_core::files::{read_json, write_json};
use musicot_core::{Checkpoint, GuidanceScale, Storage, checkpoint};
use musicot_diffusion::scheduler::{Scheduler, SchedulerOptions};
use musicot_diffusion::stable_audio::{
    StableAudioCondition, StableAudioDit, StableAudioDitConfig, StableAudioProjection,
};
use musicot_diffusion::tch::{Device, Kind, Tensor, set_num_threads};
use serde_json::{Map, Value, json};

/// Deviations allowed, in units of the reference's own f32 noise.
const NOISES: f64 = 10.0;

const CASES: [&str; 5] =
    ["sa_dit", "sa_dit_sharded", "sa_dit_original", "sa_dit_original_pickled", "sa_dit_original_bare"];

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case)
}

/// What a case gives the model.
struct Inputs {
    latents: Tensor,
    timestep: Tensor,
    condition: StableAudioCondition,
}

impl Inputs {
    fn of(case: &str) -> Self {
        set_num_threads(1);
        let file = Checkpoint::open(folder(case).join("io.safetensors")).unwrap();
        let tensor = |name: &str| file.tensor(name).unwrap();
        let text_mask = file.info("in.text_mask").map(|_| tensor("in.text_mask").to_kind(Kind::Bool));
        Self {
            latents: tensor("in.latents"),
            timestep: tensor("in.timestep"),
            condition: StableAudioCondition {
                text: tensor("in.text"),
                global: tensor("in.global"),
                text_mask,
            },
        }
    }

    fn run(&self, dit: &StableAudioDit) -> Tensor {
        dit.forward(&self.latents, &self.timestep, &self.condition).unwrap()
    }
}

/// The largest deviation of `actual` from `out.NAME`, in units of `noise.NAME`.
fn deviation(file: &Path, name: &str, actual: &Tensor) -> f64 {
    let golden = Checkpoint::open(file).unwrap();
    let expected = golden.tensor(&format!("out.{name}")).unwrap();
    assert_eq!(actual.size(), expected.size());
    let difference = (actual.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max();
    difference.double_value(&[]) / golden.tensor(&format!("noise.{name}")).unwrap().double_value(&[])
}

#[test]
fn every_case_agrees() {
    for case in CASES {
        let dit = StableAudioDit::load(folder(case), Device::Cpu).unwrap();
        let noises =
            deviation(&folder(case).join("golden.safetensors"), "sample", &Inputs::of(case).run(&dit));
        println!("{case}: {noises:.2} noises");
        assert!(noises <= NOISES, "{case}: {noises} noises off");
    }
}

/// Measured on these cases: at least 0.99993 in bfloat16, 0.999998 in half precision, 1 in f64.
#[test]
fn other_element_types_stay_close_to_f32() {
    for case in CASES {
        let inputs = Inputs::of(case);
        let whole =
            inputs.run(&StableAudioDit::load(folder(case), Device::Cpu).unwrap()).to_kind(Kind::Double);
        for (kind, least) in [(Kind::BFloat16, 0.9998), (Kind::Half, 0.99999), (Kind::Double, 0.999_999_999)]
        {
            let dit = StableAudioDit::load_as(folder(case), Device::Cpu, kind).unwrap();
            let sample = inputs.run(&dit);
            assert_eq!((dit.kind(), sample.kind()), (kind, kind));
            let (a, b) = (sample.to_kind(Kind::Double).flatten(0, -1), whole.flatten(0, -1));
            let cosine = (a.dot(&b) / (a.norm() * b.norm())).double_value(&[]);
            println!("{case} {kind:?}: cosine {cosine:.7}");
            assert!(cosine >= least, "{case} {kind:?}: {cosine}");
        }
    }
    assert!(StableAudioDit::load_as(folder("sa_dit"), Device::Cpu, Kind::Int64).is_err());
}

#[test]
fn a_pipeline_agrees() {
    set_num_threads(1);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pipeline");
    let file = Checkpoint::open(folder.join("golden.safetensors")).unwrap();
    let tensor = |name: &str| file.tensor(&format!("in.{name}")).unwrap();
    let dit = StableAudioDit::load(folder.join("transformer"), Device::Cpu).unwrap();
    let projection = StableAudioProjection::load(folder.join("projection_model"), Device::Cpu).unwrap();
    let scheduler = Scheduler::read_published(folder.join("scheduler")).unwrap();
    let mut run = scheduler.start(&SchedulerOptions { steps: 4, ..Default::default() }).unwrap();
    // The 9 frames of a codec of 2 audio frames each.
    let seconds = [[0.0, 18.0 / 44100.0]; 2];
    let mask = tensor("text_mask").to_kind(Kind::Bool);
    let condition = projection.condition(&tensor("text"), Some(&mask), &seconds).unwrap();
    let guidance = GuidanceScale::new(7.0).unwrap();
    let mut x = tensor("latents") * scheduler.initial_scale();
    for step in 0..4 {
        let time = Tensor::from_slice(&[run.timestep().unwrap(); 2]);
        let output = dit.guided(&run.model_input(&x).unwrap(), &time, &condition, guidance).unwrap();
        x = run.step(&output, &x, Some(&tensor(&format!("noise.{step}")))).unwrap();
    }
    let noises = deviation(&folder.join("golden.safetensors"), "latents", &x);
    println!("pipeline: {noises:.2} noises");
    assert!(noises <= NOISES, "{noises} noises off");
}

#[test]
fn guidance_is_between_the_condition_and_none() {
    let inputs = Inputs::of("sa_dit");
    let dit = StableAudioDit::load(folder("sa_dit"), Device::Cpu).unwrap();
    let guided = |scale: f64| {
        let scale = GuidanceScale::new(scale).unwrap();
        dit.guided(&inputs.latents, &inputs.timestep, &inputs.condition, scale).unwrap()
    };
    let whole = inputs.run(&dit);
    assert_eq!(guided(1.0), whole);
    let nothing = StableAudioCondition {
        text: inputs.condition.text.zeros_like(),
        global: inputs.condition.global.shallow_clone(),
        text_mask: None,
    };
    let without = dit.forward(&inputs.latents, &inputs.timestep, &nothing).unwrap();
    // Both in one batch, and apart: the same to rounding.
    assert!((guided(0.0) - &without).abs().max().double_value(&[]) < 1e-5);
    let expected = &without + (&whole - &without) * 3.0;
    assert!((guided(3.0) - expected).abs().max().double_value(&[]) < 1e-4);
}

/// A mask that shows everything changes nothing, and what is hidden has no influence.
#[test]
fn masked_states_have_no_influence() {
    let mut inputs = Inputs::of("sa_dit_sharded");
    let dit = StableAudioDit::load(folder("sa_dit_sharded"), Device::Cpu).unwrap();
    let masked = inputs.run(&dit);
    let hidden = inputs.condition.text_mask.as_ref().unwrap().logical_not().unsqueeze(-1);
    inputs.condition.text = inputs.condition.text.masked_fill(&hidden, 9.0);
    assert_eq!(inputs.run(&dit), masked);
    inputs.condition.text_mask = Some(hidden.squeeze_dim(-1).ones_like());
    let shown = inputs.run(&dit);
    inputs.condition.text_mask = None;
    assert!((inputs.run(&dit) - shown).abs().max().double_value(&[]) < 1e-4);
}

#[test]
fn inputs_are_checked() {
    let dit = StableAudioDit::load(folder("sa_dit"), Device::Cpu).unwrap();
    type Change = fn(&mut Inputs);
    let changes: [(&str, Change); 9] = [
        ("latents", |inputs| inputs.latents = inputs.latents.narrow(1, 0, 5)),
        ("latents", |inputs| inputs.latents = inputs.latents.narrow(2, 0, 0)),
        ("latents", |inputs| inputs.latents = inputs.latents.to_kind(Kind::Int64)),
        ("timestep", |inputs| inputs.timestep = inputs.timestep.narrow(0, 0, 1)),
        ("text", |inputs| inputs.condition.text = inputs.condition.text.narrow(2, 0, 3)),
        ("text", |inputs| inputs.condition.text = inputs.condition.text.narrow(1, 0, 0)),
        ("global", |inputs| inputs.condition.global = inputs.condition.global.narrow(0, 0, 1)),
        ("text_mask", |inputs| inputs.condition.text_mask = Some(inputs.timestep.isfinite())),
        ("text_mask", |inputs| inputs.condition.text_mask = Some(inputs.condition.text.select(2, 0))),
    ];
    for (culprit, change) in changes {
        let mut inputs = Inputs::of("sa_dit");
        change(&mut inputs);
        let error = dit.forward(&inputs.latents, &inputs.timestep, &inputs.condition).unwrap_err();
        assert!(error.to_string().starts_with(culprit), "{culprit}: {error}");
    }
}

/// A copy of a case whose configuration and tensors can be changed.
struct Copy {
    folder: tempfile::TempDir,
    config_name: &'static str,
    config: Map<String, Value>,
    tensors: Vec<(String, Tensor)>,
}

impl Copy {
    fn of(case: &str) -> Self {
        let config_name = if folder(case).join("model_config.json").is_file() {
            "model_config.json"
        } else {
            "config.json"
        };
        let source = match folder(case).join("model.ckpt") {
            pickle if pickle.is_file() => Checkpoint::open(pickle),
            _ => Checkpoint::open(folder(case)),
        }
        .unwrap();
        let tensors =
            source.names().into_iter().map(|name| (name.clone(), source.tensor(&name).unwrap())).collect();
        let config = read_json(folder(case).join(config_name)).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), config_name, config, tensors }
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    fn rename(mut self, change: impl Fn(&str) -> String) -> Self {
        for (name, _) in &mut self.tensors {
            *name = change(name);
        }
        self
    }

    fn without(mut self, name: &str) -> Self {
        let before = self.tensors.len();
        self.tensors.retain(|(other, _)| other != name);
        assert_eq!(self.tensors.len() + 1, before, "{name}");
        self
    }

    fn with(mut self, name: &str, shape: &[i64]) -> Self {
        self.tensors.retain(|(other, _)| other != name);
        self.tensors.push((name.to_owned(), Tensor::zeros(shape, (Kind::Float, Device::Cpu))));
        self
    }

    fn load(&self) -> musicot_diffusion::Result<StableAudioDit> {
        let path = self.folder.path();
        write_json(path.join(self.config_name), &self.config)?;
        checkpoint::write(path.join("model.safetensors"), &self.tensors, Storage::Native)?;
        StableAudioDit::load(path, Device::Cpu)
    }

    fn expect_refused(&self, culprits: &[&str]) {
        let message = self.load().unwrap_err().to_string();
        for culprit in culprits {
            assert!(message.contains(culprit), "{culprit} in: {message}");
        }
    }
}

#[test]
fn tensors_that_do_not_fit_are_named_as_in_the_file() {
    let block = "transformer_blocks.1";
    for name in
        ["attn1.to_q.weight", "attn2.to_out.0.weight", "ff.net.0.proj.bias", "ff.net.2.weight", "norm3.bias"]
    {
        Copy::of("sa_dit").without(&format!("{block}.{name}")).expect_refused(&["missing", name]);
    }
    Copy::of("sa_dit").with("proj_in.bias", &[32]).expect_refused(&["unexpected", "proj_in.bias"]);
    Copy::of("sa_dit").with("transformer_blocks.1.ff.net.0.proj.weight", &[256, 31]).expect_refused(&[
        "wrong shape: transformer_blocks.1.ff.net.0.proj.weight (expected [256, 32], got [256, 31])",
    ]);
    let layer = "model.model.transformer.layers.0";
    for name in ["self_attn.to_qkv.weight", "cross_attn.to_kv.weight", "pre_norm.beta", "ff.ff.0.proj.weight"]
    {
        let name = format!("{layer}.{name}");
        Copy::of("sa_dit_original").without(&name).expect_refused(&["1 missing", &name]);
    }
    Copy::of("sa_dit_original")
        .with("model.model.transformer.layers.0.self_attn.to_qkv.weight", &[191, 64])
        .expect_refused(&["layers.0.self_attn.to_qkv.weight (expected [192, 64], got [191, 64])"]);
    Copy::of("sa_dit_original")
        .with("model.model.to_prepend_embed.0.weight", &[2])
        .expect_refused(&["unexpected", "model.model.to_prepend_embed.0.weight"]);
}

#[test]
fn the_transformer_is_found_below_any_prefix() {
    let inputs = Inputs::of("sa_dit_original_bare");
    let expected = inputs.run(&StableAudioDit::load(folder("sa_dit_original_bare"), Device::Cpu).unwrap());
    for prefix in ["model.model.", "model.", "diffusion.model.model.", "other."] {
        let copy = Copy::of("sa_dit_original_bare")
            .rename(|name| format!("{prefix}{name}"))
            .with("codec.bias", &[3]);
        assert_eq!(inputs.run(&copy.load().unwrap()), expected, "{prefix}");
    }
    // The averaged copy of a training checkpoint is left alone.
    let both = Copy::of("sa_dit_original_bare")
        .rename(|name| format!("diffusion.model.model.{name}"))
        .with("diffusion_ema.ema_model.timestep_features.weight", &[128, 1]);
    assert_eq!(inputs.run(&both.load().unwrap()), expected);
    Copy::of("sa_dit_original_bare")
        .rename(|name| format!("one.{name}"))
        .with("two.timestep_features.weight", &[128, 1])
        .expect_refused(&["several", "one.", "two."]);
}

/// A file in half precision holds rounded ones, which the reference computes with.
#[test]
fn rotary_frequencies_of_the_file_count() {
    let (case, name) = ("sa_dit_original", "model.model.transformer.rotary_pos_emb.inv_freq");
    let inputs = Inputs::of(case);
    let published = inputs.run(&StableAudioDit::load(folder(case), Device::Cpu).unwrap());
    // Without any they follow from the sizes; zeros rotate nothing.
    assert_eq!(inputs.run(&Copy::of(case).without(name).load().unwrap()), published);
    assert_ne!(inputs.run(&Copy::of(case).with(name, &[16]).load().unwrap()), published);
    Copy::of(case).with(name, &[15]).expect_refused(&[name, "[16]", "[15]"]);
}

#[test]
fn what_a_configuration_says_is_honoured() {
    let read = |case: &str| StableAudioDit::load(folder(case), Device::Cpu).unwrap().config().clone();
    let usual = StableAudioDitConfig::default();
    assert_eq!((read("sa_dit").rotary_dims, read("sa_dit").sample_size), (None, 16));
    let original = read("sa_dit_original");
    assert_eq!((original.rotary_dims, original.num_key_value_attention_heads), (Some(32), 1));
    assert_eq!((original.sample_size, original.ffn_dim), (1024, Some(256)));
    let pickled = read("sa_dit_original_pickled");
    assert_eq!((pickled.head_norms, pickled.ffn_dim, pickled.norm_eps), (true, Some(72), 0.01));
    // The published files of Stable Audio Open 1.0, in both layouts.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    write_json(&path, &json!({"_class_name": "StableAudioDiTModel", "_diffusers_version": "0.30.0.dev0"}))
        .unwrap();
    assert_eq!(StableAudioDitConfig::read_published(&path).unwrap(), usual);
    let arguments = json!({
        "io_channels": 64, "embed_dim": 1536, "depth": 24, "num_heads": 24, "cond_token_dim": 768, "global_cond_dim": 1536,
        "project_cond_tokens": false, "transformer_type": "continuous_transformer",
    });
    write_json(&path, &arguments).unwrap();
    let expected = StableAudioDitConfig { rotary_dims: Some(32), ffn_dim: Some(6144), ..usual };
    assert_eq!(StableAudioDitConfig::read_original(&path).unwrap(), expected);
}

#[test]
fn what_is_not_supported_is_named() {
    for (key, value) in [
        ("_class_name", json!("UNet1DModel")),
        ("qk_norm", json!("ln")),
        ("head_norms", json!(true)),
        ("num_layers", json!(0)),
        ("attention_head_dim", json!(6)),
        ("num_key_value_attention_heads", json!(3)),
        ("time_proj_dim", json!(31)),
        ("cross_attention_dim", json!("16")),
        ("global_states_input_dim", json!(-1)),
        ("in_channels", json!(1_i64 << 40)),
    ] {
        // Of another type: serde says which was expected, not for which key.
        let culprit = if value == json!("16") { "config.json" } else { key };
        Copy::of("sa_dit").set(key, value).expect_refused(&[culprit]);
    }
    for (key, value) in [
        ("patch_size", json!(2)),
        ("input_concat_dim", json!(3)),
        ("prepend_cond_dim", json!(3)),
        ("transformer_type", json!("x-transformers")),
        ("global_cond_type", json!("adaLN")),
        ("timestep_cond_type", json!("input_concat")),
        ("num_memory_tokens", json!(4)),
        ("final_cross_attn_ix", json!(0)),
        ("rotary_pos_emb", json!(false)),
        ("causal", json!(true)),
        ("conformer", json!(true)),
        ("use_abs_pos_emb", json!(true)),
        ("layer_scale", json!(true)),
        ("sliding_window", json!([4, 4])),
        ("qk_norm", json!("ln")),
        ("num_heads", json!(5)),
        ("num_heads", json!(0)),
        ("cond_token_dim", json!(0)),
        ("global_cond_dim", json!(0)),
        ("depth", json!(0)),
    ] {
        let culprit = if key == "depth" { "num_layers" } else { key };
        Copy::of("sa_dit_original_pickled").set(key, value).expect_refused(&[culprit]);
    }
    for (key, value, culprit) in [
        ("attn_kwargs", json!({"qk_norm": "l2"}), "attn_kwargs.qk_norm"),
        ("attn_kwargs", json!({"differential": true}), "attn_kwargs.differential"),
        ("attn_kwargs", json!({"other": 1}), "other"),
        ("ff_kwargs", json!({"use_conv": true}), "ff_kwargs.use_conv"),
        ("ff_kwargs", json!({"mult": -1}), "ff_kwargs.mult"),
        ("norm_kwargs", json!({"force_fp32": true}), "norm_kwargs.force_fp32"),
        ("norm_kwargs", json!({"eps": 0.0}), "norm_eps"),
        ("embed_dim", json!(24), "attention_head_dim"),
    ] {
        Copy::of("sa_dit_original_pickled").set(key, value).expect_refused(&[culprit]);
    }
    Copy::of("sa_dit_original_bare").set("type", json!("adp_1d")).expect_refused(&["type", "adp_1d"]);
    Copy::of("sa_dit_original").set("model_type", json!("autoencoder")).expect_refused(&["model_type"]);
}

#[test]
fn projections_are_checked() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pipeline/projection_model");
    let projection = StableAudioProjection::load(&folder, Device::Cpu).unwrap();
    assert_eq!((projection.config().conditioning_dim, projection.config().max_value), (8, 512.0));
    let text = Tensor::ones([2, 3, 10], (Kind::Float, Device::Cpu));
    let seconds = [[0.0, 30.0], [600.0, -1.0]];
    let condition = projection.condition(&text, None, &seconds).unwrap();
    assert_eq!((condition.text.size(), condition.global.size()), (vec![2, 5, 8], vec![2, 16]));
    // Beyond the range is at its end.
    let clamped = projection.condition(&text, None, &[[0.0, 30.0], [512.0, 0.0]]).unwrap();
    assert_eq!(condition.text, clamped.text);
    for (text, seconds) in [(&text, &seconds[..1]), (&text.narrow(2, 0, 9), &seconds[..])] {
        assert!(projection.condition(text, None, seconds).unwrap_err().to_string().contains("text"));
    }
    let message = projection.condition(&text, None, &[[0.0, f64::NAN]; 2]).unwrap_err().to_string();
    assert!(message.contains("seconds"), "{message}");
    let message = projection.condition(&text, Some(&text.select(2, 0)), &seconds).unwrap_err().to_string();
    assert!(message.contains("mask"), "{message}");
}

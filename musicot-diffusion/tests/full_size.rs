//! Stable Audio Open's transformer at its published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use musicot_core::files::write_json;
use musicot_core::{CounterRng, tensor};
use musicot_diffusion::stable_audio::{StableAudioCondition, StableAudioDit, StableAudioDitConfig};
use musicot_diffusion::tch::{Device, Kind, Tensor, no_grad, set_num_threads};
use musicot_test_support::{Layout, within_memory, write_weights};

/// Names and shapes of diffusers' layout.
fn layout(config: &StableAudioDitConfig) -> Layout {
    let c = config;
    let (width, text) = (c.width(), c.cross_attention_dim);
    let groups = c.num_key_value_attention_heads * c.attention_head_dim;
    let mut all: Layout = [
        ("time_proj.weight", vec![c.time_proj_dim / 2]),
        ("timestep_proj.0.weight", vec![width, c.time_proj_dim]),
        ("timestep_proj.0.bias", vec![width]),
        ("timestep_proj.2.weight", vec![width, width]),
        ("timestep_proj.2.bias", vec![width]),
        ("global_proj.0.weight", vec![width, c.global_states_input_dim]),
        ("global_proj.2.weight", vec![width, width]),
        ("cross_attention_proj.0.weight", vec![text, c.cross_attention_input_dim]),
        ("cross_attention_proj.2.weight", vec![text, text]),
        ("preprocess_conv.weight", vec![c.in_channels, c.in_channels, 1]),
        ("proj_in.weight", vec![width, c.in_channels]),
        ("proj_out.weight", vec![c.out_channels, width]),
        ("postprocess_conv.weight", vec![c.out_channels, c.out_channels, 1]),
    ]
    .map(|(name, shape)| (name.to_owned(), shape))
    .to_vec();
    for layer in 0..c.num_layers {
        for (part, shape) in [
            ("norm1.weight", vec![width]),
            ("norm1.bias", vec![width]),
            ("attn1.to_q.weight", vec![width, width]),
            ("attn1.to_k.weight", vec![width, width]),
            ("attn1.to_v.weight", vec![width, width]),
            ("attn1.to_out.0.weight", vec![width, width]),
            ("norm2.weight", vec![width]),
            ("norm2.bias", vec![width]),
            ("attn2.to_q.weight", vec![width, width]),
            ("attn2.to_k.weight", vec![groups, text]),
            ("attn2.to_v.weight", vec![groups, text]),
            ("attn2.to_out.0.weight", vec![width, width]),
            ("norm3.weight", vec![width]),
            ("norm3.bias", vec![width]),
            ("ff.net.0.proj.weight", vec![8 * width, width]),
            ("ff.net.0.proj.bias", vec![8 * width]),
            ("ff.net.2.weight", vec![width, 4 * width]),
            ("ff.net.2.bias", vec![width]),
        ] {
            all.push((format!("transformer_blocks.{layer}.{part}"), shape));
        }
    }
    all
}

/// Writes a directory of random bfloat16 weights, a tensor at a time; returns the number of values.
fn publish(dir: &Path, config: &StableAudioDitConfig) -> i64 {
    let mut settings = serde_json::to_value(config).unwrap();
    settings["_class_name"] = "StableAudioDiTModel".into();
    write_json(dir.join("config.json"), &settings).unwrap();
    let path = dir.join("diffusion_pytorch_model.safetensors");
    write_weights(&path, Kind::BFloat16, &layout(config), |name, shape| {
        let noise = CounterRng::new(1).stage(name).normal(0, shape, Device::Cpu).unwrap();
        match name.contains("norm") && name.ends_with("weight") {
            true => noise * 0.1 + 1.0,
            false => noise * 0.02,
        }
    })
}

/// Loads and runs a directory.
fn runs_within_memory(config: &StableAudioDitConfig, frames: i64) {
    set_num_threads(1);
    within_memory(
        |dir| publish(dir, config),
        |dir| {
            let dit = StableAudioDit::load(dir, Device::Cpu).unwrap();
            let draw = |name: &str, shape: &[i64]| {
                CounterRng::new(2).stage(name).normal(0, shape, Device::Cpu).unwrap()
            };
            let condition = StableAudioCondition {
                text: draw("text", &[1, 130, config.cross_attention_input_dim]),
                global: draw("global", &[1, config.global_states_input_dim]),
                text_mask: None,
            };
            let latents = draw("latents", &[1, config.in_channels, frames]);
            let time = Tensor::from_slice(&[0.7_f32]);
            let sample = no_grad(|| dit.forward(&latents, &time, &condition)).unwrap();
            assert_eq!(sample.size(), [1, config.out_channels, frames]);
            assert!(tensor::to_vec(&sample).unwrap().iter().all(|value| value.is_finite()));
        },
    );
}

/// The same on a directory that is made in no time.
#[test]
fn a_small_directory_made_on_the_spot_loads_and_runs() {
    let config = StableAudioDitConfig {
        num_layers: 2,
        attention_head_dim: 16,
        num_attention_heads: 4,
        num_key_value_attention_heads: 2,
        ..StableAudioDitConfig::default()
    };
    runs_within_memory(&config, 33);
}

#[test]
#[ignore = "writes 2.1 GB, holds 5 GB of memory, and takes some minutes"]
fn stable_audio_open_loads_and_runs() {
    runs_within_memory(&StableAudioDitConfig::stable_audio_open(), 1024);
}

//! The autoencoder of Stable Audio Open at its published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

mod full_size_common;

use std::collections::HashMap;
use std::path::Path;

use full_size_common::{within_memory, write_weights};
use musicot_codec::{AudioCodec, Oobleck, OobleckConfig};
use musicot_core::tch::{Device, Kind, Tensor, set_num_threads};
use musicot_core::{CounterRng, files};
use serde_json::json;

/// Writes diffusers' directory of a model with random weights, each in the two halves of a weight norm.
fn publish(dir: &Path, config: &OobleckConfig) -> i64 {
    let settings = json!({
        "_class_name": "AutoencoderOobleck",
        "_diffusers_version": "0.30.0.dev0",
        "audio_channels": config.audio_channels,
        "channel_multiples": config.channel_multiples,
        "decoder_channels": config.decoder_channels,
        "decoder_input_channels": config.decoder_input_channels,
        "downsampling_ratios": config.downsampling_ratios,
        "encoder_hidden_size": config.encoder_hidden_size,
        "sampling_rate": config.sampling_rate,
    });
    files::write_json(dir.join("config.json"), &settings).unwrap();
    let made = Oobleck::new(config, Device::Cpu, 1).unwrap();
    let weights: HashMap<String, Tensor> = made.params().named().into_iter().collect();
    let halves = |(name, weight): (&String, &Tensor)| match name.ends_with(".weight") {
        true => {
            vec![(format!("{name}_g"), vec![weight.size()[0], 1, 1]), (format!("{name}_v"), weight.size())]
        }
        false => vec![(name.clone(), weight.size())],
    };
    let layout: Vec<(String, Vec<i64>)> = weights.iter().flat_map(halves).collect();
    write_weights(&dir.join("diffusion_pytorch_model.safetensors"), &layout, |name, shape| {
        match (name.strip_suffix("_g"), name.strip_suffix("_v")) {
            (Some(name), _) => weights[name].norm_scalaropt_dim(2.0, [1, 2].as_slice(), true),
            (_, Some(name)) => weights[name].detach(),
            _ => CounterRng::new(2).stage(name).normal(0, shape, Device::Cpu).unwrap() * 0.1,
        }
    })
}

/// Two seconds, encoded and decoded block by block: at 44.1 kHz, each activation of a second has 22 MB.
fn runs_within_memory(config: &OobleckConfig) {
    set_num_threads(2);
    within_memory(
        |dir| publish(dir, config),
        |dir| {
            let codec = Oobleck::load(dir, Device::Cpu).unwrap();
            let samples = 2 * i64::from(codec.sample_rate_hz());
            let clip =
                CounterRng::new(3).normal(0, &[1, codec.channels(), samples], Device::Cpu).unwrap() * 0.1;
            let latents = codec.encode(&clip).unwrap();
            let frames = (samples + codec.hop_frames() - 1) / codec.hop_frames();
            assert_eq!(latents.size(), [1, codec.latent_dim(), frames]);
            let decoded = codec.decode(&latents).unwrap();
            assert_eq!(decoded.size(), [1, codec.channels(), frames * codec.hop_frames()]);
            assert!(decoded.isfinite().all().int64_value(&[]) != 0);
            assert!(decoded.std(true).double_value(&[]) > 0.0 && decoded.kind() == Kind::Float);
        },
    );
}

/// The same on a directory that is made in no time.
#[test]
fn a_small_directory_made_on_the_spot_loads_and_runs() {
    let config = OobleckConfig {
        encoder_hidden_size: 8,
        posterior_channels: 8,
        decoder_channels: 8,
        decoder_input_channels: 4,
        sampling_rate: 4000,
        ..OobleckConfig::stable_audio_open()
    };
    runs_within_memory(&config);
}

#[test]
#[ignore = "writes 630 MB, holds 1.2 GB of memory, and takes a minute"]
fn stable_audio_open_loads_and_runs() {
    runs_within_memory(&OobleckConfig::stable_audio_open());
}

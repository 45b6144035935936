//! The autoencoder of Stable Audio Open at its published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use musicot_codec::{AudioCodec, Oobleck, OobleckConfig};
use musicot_core::tch::{Device, Kind, set_num_threads};
use musicot_core::{CounterRng, files};
use musicot_test_support::{Layout, within_memory, write_weights};
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
    write_weights(
        &dir.join("diffusion_pytorch_model.safetensors"),
        Kind::Float,
        &layout(config),
        |name, shape| {
            let noise = CounterRng::new(2).stage(name).normal(0, shape, Device::Cpu).unwrap();
            if name.ends_with("_g") { noise * 0.1 + 0.7 } else { noise * 0.1 }
        },
    )
}

/// Names and shapes of diffusers' layout, each weight in the two halves of its norm.
fn layout(config: &OobleckConfig) -> Layout {
    let ratios = &config.downsampling_ratios;
    let widths = |unit: i64| -> Vec<i64> {
        [1].iter().chain(&config.channel_multiples).map(|multiple| unit * multiple).collect()
    };
    let (down, up) = (widths(config.encoder_hidden_size), widths(config.decoder_channels));
    let (inner, outer) = (down[ratios.len()], up[ratios.len()]);
    let mut all = Names(Vec::new());
    all.conv("encoder.conv1", [down[0], config.audio_channels, 7], down[0]);
    all.conv("decoder.conv1", [outer, config.decoder_input_channels, 7], outer);
    for (index, ratio) in ratios.iter().enumerate() {
        let (name, back) = (format!("encoder.block.{index}"), ratios.len() - 1 - index);
        all.units(&name, down[index]);
        all.snake(&format!("{name}.snake1"), down[index]);
        all.conv(&format!("{name}.conv1"), [down[index + 1], down[index], 2 * ratio], down[index + 1]);
        let name = format!("decoder.block.{back}");
        all.snake(&format!("{name}.snake1"), up[index + 1]);
        all.conv(&format!("{name}.conv_t1"), [up[index + 1], up[index], 2 * ratio], up[index]);
        all.units(&name, up[index]);
    }
    all.snake("encoder.snake1", inner);
    all.conv("encoder.conv2", [config.posterior_channels, inner, 3], config.posterior_channels);
    all.snake("decoder.snake1", up[0]);
    all.conv("decoder.conv2", [config.audio_channels, up[0], 7], config.audio_channels);
    all.0.retain(|(name, _)| name != "decoder.conv2.bias");
    all.0
}

struct Names(Layout);

impl Names {
    fn conv(&mut self, name: &str, weight: [i64; 3], bias: i64) {
        self.0.push((format!("{name}.weight_g"), vec![weight[0], 1, 1]));
        self.0.push((format!("{name}.weight_v"), weight.to_vec()));
        self.0.push((format!("{name}.bias"), vec![bias]));
    }

    fn snake(&mut self, name: &str, channels: i64) {
        self.0.push((format!("{name}.alpha"), vec![1, channels, 1]));
        self.0.push((format!("{name}.beta"), vec![1, channels, 1]));
    }

    fn units(&mut self, block: &str, channels: i64) {
        for unit in 1..=3 {
            let name = format!("{block}.res_unit{unit}");
            self.snake(&format!("{name}.snake1"), channels);
            self.conv(&format!("{name}.conv1"), [channels, channels, 7], channels);
            self.snake(&format!("{name}.snake2"), channels);
            self.conv(&format!("{name}.conv2"), [channels, channels, 1], channels);
        }
    }
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
#[ignore = "writes 630 MB, holds 1.3 GB of memory, and takes a minute"]
fn stable_audio_open_loads_and_runs() {
    runs_within_memory(&OobleckConfig::stable_audio_open());
}

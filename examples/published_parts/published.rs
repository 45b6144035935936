//! Checkpoints with random weights in the layouts that are published, for a machine that has no real ones at hand.

use std::path::Path;

use musicot::clap::{Clap, ClapConfig, TextTokenizer};
use musicot::codec::{Oobleck, OobleckConfig};
use musicot::core::tch::Device;
use musicot::core::{Storage, files};
use serde_json::{Map, Value, json};

use crate::common::Outcome;

/// As `laion/larger_clap_music` and its kin, with an alphabet in place of the real vocabulary.
pub fn clap(dir: &Path, config: &ClapConfig) -> Outcome {
    let (audio, text, features) = (&config.audio_config, &config.text_config, &config.features);
    let published = json!({
        "model_type": "clap",
        "projection_dim": config.projection_dim,
        "audio_config": {
            "spec_size": audio.spec_size,
            "num_mel_bins": audio.num_mel_bins,
            "patch_embeds_hidden_size": audio.patch_embeds_hidden_size,
            "depths": audio.depths,
            "num_attention_heads": audio.num_attention_heads,
            "hidden_size": audio.hidden_size,
        },
        "text_config": {
            "vocab_size": text.vocab_size,
            "hidden_size": text.hidden_size,
            "num_hidden_layers": text.num_hidden_layers,
            "num_attention_heads": text.num_attention_heads,
            "intermediate_size": text.intermediate_size,
        },
    });
    files::write_json(dir.join("config.json"), &published)?;
    let extractor = json!({
        "feature_size": audio.num_mel_bins,
        "sampling_rate": features.sample_rate_hz,
        "hop_length": features.hop_samples,
        "fft_window_size": features.n_fft,
        "frequency_min": features.min_hz,
        "frequency_max": features.max_hz,
        "max_length_s": 10,
        "padding": "repeatpad",
        "truncation": "rand_trunc",
    });
    files::write_json(dir.join("preprocessor_config.json"), &extractor)?;
    files::write_json(dir.join("vocab.json"), &alphabet())?;
    files::write_atomic(dir.join("merges.txt"), |file| std::io::Write::write_all(file, b"#version: 0.2\n"))?;
    let tokenizer = TextTokenizer::characters(text.max_tokens)?;
    let model = Clap::with_tokenizer(config.clone(), tokenizer, Device::Cpu, 1)?;
    Ok(model.params().save(dir.join("model.safetensors"), Storage::Bf16)?)
}

/// A byte-level vocabulary of single printable characters: no merges, any other character unknown.
fn alphabet() -> Value {
    let special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "\u{120}"].map(str::to_owned);
    let characters = (b'!'..=b'~').map(|byte| char::from(byte).to_string());
    let ids: Map<String, Value> =
        special.into_iter().chain(characters).zip(0_i64..).map(|(token, id)| (token, id.into())).collect();
    Value::Object(ids)
}

/// As the `vae` folder of `stabilityai/stable-audio-open-1.0`.
pub fn vae(dir: &Path, config: &OobleckConfig) -> Outcome {
    let published = json!({
        "_class_name": "AutoencoderOobleck",
        "encoder_hidden_size": config.encoder_hidden_size,
        "downsampling_ratios": config.downsampling_ratios,
        "channel_multiples": config.channel_multiples,
        "decoder_channels": config.decoder_channels,
        "decoder_input_channels": config.decoder_input_channels,
        "audio_channels": config.audio_channels,
        "sampling_rate": config.sampling_rate,
    });
    files::write_json(dir.join("config.json"), &published)?;
    let model = Oobleck::new(config, Device::Cpu, 2)?;
    Ok(model.params().save(dir.join("diffusion_pytorch_model.safetensors"), Storage::Bf16)?)
}

//! A checkpoint of the published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use musicot_clap::{AudioTextEncoder, Clap, ClapConfig};
use musicot_core::files::write_json;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{CounterRng, tensor};
use musicot_test_support::{Layout, within_memory, write_weights};
use serde_json::{Map, Value, json};

/// Names and shapes of the published layout, but for the constants it holds besides.
fn layout(config: &ClapConfig) -> Layout {
    let (audio, text, dim) = (&config.audio_config, &config.text_config, config.projection_dim);
    let mut all = BTreeMap::new();
    let mut add = |name: String, shape: &[i64]| assert!(all.insert(name, shape.to_vec()).is_none());
    let encoder = "audio_model.audio_encoder";
    for (part, shape) in
        ["weight", "bias", "running_mean", "running_var"].map(|part| (part, [audio.num_mel_bins]))
    {
        add(format!("{encoder}.batch_norm.{part}"), &shape);
    }
    add(format!("{encoder}.batch_norm.num_batches_tracked"), &[]);
    let (first, patch) = (audio.patch_embeds_hidden_size, audio.patch_size);
    add(format!("{encoder}.patch_embed.proj.weight"), &[first, 1, patch, patch]);
    add(format!("{encoder}.patch_embed.proj.bias"), &[first]);
    let mut both = |name: String, shape: &[i64]| {
        add(format!("{name}.weight"), shape);
        add(format!("{name}.bias"), &shape[..1]);
    };
    both(format!("{encoder}.patch_embed.norm"), &[first]);
    both(format!("{encoder}.norm"), &[audio.hidden_size]);
    let mut rest = Vec::new();
    for (stage, depth) in audio.depths.iter().enumerate() {
        let (width, at) = (first << stage, format!("{encoder}.layers.{stage}"));
        let inner = (width as f64 * audio.mlp_ratio) as i64;
        for block in (0..*depth).map(|block| format!("{at}.blocks.{block}")) {
            for (part, shape) in [
                ("layernorm_before", vec![width]),
                ("layernorm_after", vec![width]),
                ("attention.self.query", vec![width, width]),
                ("attention.self.key", vec![width, width]),
                ("attention.self.value", vec![width, width]),
                ("attention.output.dense", vec![width, width]),
                ("intermediate.dense", vec![inner, width]),
                ("output.dense", vec![width, inner]),
            ] {
                both(format!("{block}.{part}"), &shape);
            }
            let rows = (2 * audio.window_size - 1).pow(2);
            rest.push((
                format!("{block}.attention.self.relative_position_bias_table"),
                vec![rows, audio.num_attention_heads[stage]],
            ));
        }
        if stage + 1 < audio.depths.len() {
            both(format!("{at}.downsample.norm"), &[4 * width]);
            rest.push((format!("{at}.downsample.reduction.weight"), vec![2 * width, 4 * width]));
        }
    }
    let (width, inner) = (text.hidden_size, text.intermediate_size);
    for (table, rows) in [
        ("word", text.vocab_size),
        ("position", text.max_position_embeddings),
        ("token_type", text.type_vocab_size),
    ] {
        rest.push((format!("text_model.embeddings.{table}_embeddings.weight"), vec![rows, width]));
    }
    both("text_model.embeddings.LayerNorm".to_owned(), &[width]);
    for layer in (0..text.num_hidden_layers).map(|layer| format!("text_model.encoder.layer.{layer}")) {
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            both(format!("{layer}.attention.{part}"), &[width, width]);
        }
        both(format!("{layer}.attention.output.LayerNorm"), &[width]);
        both(format!("{layer}.output.LayerNorm"), &[width]);
        both(format!("{layer}.intermediate.dense"), &[inner, width]);
        both(format!("{layer}.output.dense"), &[width, inner]);
    }
    both("text_model.pooler.dense".to_owned(), &[width, width]);
    for (name, from) in [("audio_projection", audio.hidden_size), ("text_projection", width)] {
        both(format!("{name}.linear1"), &[dim, from]);
        both(format!("{name}.linear2"), &[dim, dim]);
    }
    rest.extend([("logit_scale_a".to_owned(), vec![]), ("logit_scale_t".to_owned(), vec![])]);
    all.extend(rest);
    all.into_iter().collect()
}

/// The published files' own words for a configuration.
fn publish_config(dir: &Path, config: &ClapConfig) {
    let mut settings = serde_json::to_value(config).unwrap();
    settings.as_object_mut().unwrap().remove("features");
    settings["model_type"] = "clap".into();
    for own in ["position_offset", "pooling", "max_tokens"] {
        settings["text_config"].as_object_mut().unwrap().remove(own);
    }
    write_json(dir.join("config.json"), &settings).unwrap();
    let features = json!({"feature_extractor_type": "ClapFeatureExtractor", "frequency_min": 50,
        "truncation": "rand_trunc", "padding": "repeatpad", "max_length_s": 10, "n_fft": 1024, "top_db": null});
    write_json(dir.join("preprocessor_config.json"), &features).unwrap();
    // Bytes are their own tokens.
    let mut vocabulary: Map<String, Value> = ["<s>", "<pad>", "</s>", "<unk>"]
        .iter()
        .zip(0..)
        .map(|(token, id)| ((*token).to_owned(), json!(id)))
        .collect();
    for byte in (33_u8..127).map(char::from).chain(['Ġ']) {
        vocabulary.insert(byte.to_string(), vocabulary.len().into());
    }
    vocabulary.insert("<mask>".to_owned(), (config.text_config.vocab_size - 1).into());
    write_json(dir.join("vocab.json"), &vocabulary).unwrap();
    fs::write(dir.join("merges.txt"), "#version: 0.2\n").unwrap();
}

/// Values that make no layer vanish.
fn values(name: &str, shape: &[i64]) -> Tensor {
    let noise = CounterRng::new(1).stage(name).normal(0, shape, Device::Cpu).unwrap();
    match shape.len() {
        _ if name.ends_with("running_var") => noise.square() * 100.0 + 100.0,
        _ if name.ends_with("running_mean") => noise * 5.0 - 30.0,
        0 | 1 => noise * 0.1 + 1.0,
        _ => noise * 0.05,
    }
}

/// Loads and runs a directory.
fn runs_within_memory(config: &ClapConfig) {
    let publish = |dir: &Path| {
        publish_config(dir, config);
        write_weights(&dir.join("model.safetensors"), Kind::Float, &layout(config), values)
    };
    within_memory(publish, |dir| {
        let clap = Clap::load(dir, Device::Cpu).unwrap();
        let samples = CounterRng::new(2).normal(0, &[1, 300_000], Device::Cpu).unwrap() * 0.1;
        let audio = clap.embed_audio(&samples).unwrap();
        let text = clap.embed_text(&["a calm piano piece", "drums"]).unwrap();
        assert_eq!(clap.logits_per_audio(&audio, &text).unwrap().size(), [1, 2]);
        for unit in [&audio, &text] {
            let lengths: Tensor = unit.norm_scalaropt_dim(2.0, [1], false);
            assert!(tensor::to_vec(&lengths).unwrap().iter().all(|length| (length - 1.0).abs() < 1e-5));
        }
        assert_eq!(audio.kind(), Kind::Float);
    });
}

/// The same on a directory that is made in no time.
#[test]
fn a_small_directory_made_on_the_spot_loads_and_runs() {
    let mut config = ClapConfig::htsat_tiny();
    config.audio_config.patch_embeds_hidden_size = 16;
    config.audio_config.hidden_size = 128;
    config.audio_config.depths = vec![1, 1, 1, 1];
    config.text_config.num_hidden_layers = 1;
    config.text_config.vocab_size = 200;
    config.text_config.hidden_size = 48;
    runs_within_memory(&config);
}

#[test]
#[ignore = "writes 0.8 GB, holds 1.2 GB of memory, and takes a minute"]
fn the_larger_music_model_loads_and_runs() {
    runs_within_memory(&ClapConfig::htsat_base());
}

#[test]
#[ignore = "writes 1.6 GB, holds 2.2 GB of memory, and takes some minutes"]
fn the_largest_original_size_loads_and_runs() {
    runs_within_memory(&ClapConfig::htsat_large());
}

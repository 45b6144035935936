//! What is read as the same, and what is refused by name.

use musicot_clap::{Activation, Padding, Truncation};
use musicot_core::tch::{Device, Kind, Tensor};
use serde_json::json;

use super::copy::Copy;

#[test]
fn absent_keys_have_the_values_of_transformers() {
    // Sizes of HTSAT-tiny and RoBERTa-base, which then lack all tensors.
    let copy = Copy::of("unfused").write("config.json", "{}").write("preprocessor_config.json", "{}");
    copy.expect_refused(&["features.truncation", "fusion"]);
    let copy = copy.front("truncation", json!("rand_trunc"));
    copy.expect_refused(&["missing", "audio_model.audio_encoder.layers.2.blocks.1"]);
    let config = musicot_clap::ClapConfig::read_published(copy.path()).unwrap();
    let mut usual = musicot_clap::ClapConfig::htsat_tiny();
    usual.features.min_hz = 0.0;
    usual.text_config.max_tokens = 512;
    assert_eq!(config, usual);
}

#[test]
fn spellings_of_the_same() {
    let usual = Copy::of("unfused").load().unwrap().config().clone();
    for copy in [
        Copy::of("unfused")
            .set("audio_config.patch_size", json!([4, 4]))
            .set("audio_config.patch_stride", json!(4)),
        Copy::of("unfused").set("torch_dtype", json!("float16")).set("dtype", json!(null)),
        Copy::of("unfused").set("audio_config.fusion_type", json!("daf_2d")),
        Copy::of("unfused").set("text_config.position_embedding_type", json!("absolute")),
        Copy::of("unfused")
            .front("top_db", json!(80))
            .front("nb_max_samples", json!(1))
            .front("n_fft", json!(1)),
        Copy::of("unfused").front("max_length_s", json!(1.0)),
    ] {
        assert_eq!(copy.load().unwrap().config(), &usual);
    }
    let fused = Copy::of("fused").set("audio_config.fusion_type", json!("aff_2d")).load().unwrap();
    assert!(fused.config().audio_config.enable_fusion);
    assert_eq!(fused.config().features.truncation, Truncation::Fusion);
    let other = Copy::of("repeat").load().unwrap().config().clone();
    assert_eq!(other.projection_hidden_act, Activation::Gelu);
    assert_eq!(
        (other.audio_config.hidden_act, other.text_config.hidden_act),
        (Activation::Relu, Activation::GeluNew)
    );
    assert_eq!(other.features.padding, Padding::Repeat);
}

#[test]
fn values_that_are_not_known_are_named() {
    for (key, value, culprits) in [
        ("model_type", json!("clip"), ["`model_type`", "clip"]),
        ("projection_hidden_act", json!("mish"), ["`projection_hidden_act`", "mish"]),
        ("quantization_config", json!({}), ["config.json", "quantization_config"]),
        ("features_of_tomorrow", json!(1), ["config.json", "features_of_tomorrow"]),
        ("projection_dim", json!(0), ["config.json", "projection_dim"]),
        ("audio_config", json!(3), ["`audio_config`", "an object"]),
        ("audio_config.hidden_act", json!("mish"), ["`audio_config.hidden_act`", "mish"]),
        ("audio_config.flatten_patch_embeds", json!(false), ["`audio_config.flatten_patch_embeds`", "false"]),
        ("audio_config.patch_size", json!([4, 8]), ["`audio_config.patch_size`", "8"]),
        ("audio_config.patch_stride", json!("4"), ["`audio_config.patch_stride`", "two"]),
        ("audio_config.patch_embed_input_channels", json!(2), ["patch_embed_input_channels", "2"]),
        ("audio_config.new_switch", json!(true), ["`audio_config`", "new_switch"]),
        ("audio_config.depths", json!([2, 2]), ["num_attention_heads", "3"]),
        ("audio_config.num_mel_bins", json!(24), ["num_mel_bins", "feature_size"]),
        ("text_config.hidden_act", json!("softmax"), ["`text_config.hidden_act`", "softmax"]),
        (
            "text_config.position_embedding_type",
            json!("relative_key"),
            ["position_embedding_type", "relative_key"],
        ),
        ("text_config.add_cross_attention", json!(true), ["`text_config.add_cross_attention`", "true"]),
        ("text_config.pooling", json!("mean"), ["`text_config.pooling`", "mean"]),
        ("text_config.num_attention_heads", json!(3), ["num_attention_heads", "3"]),
        ("text_config.vocab_size", json!(100), ["vocab_size", "tokenizer"]),
    ] {
        // Bands that fit neither the image nor the front end are named by the front end.
        let culprits: Vec<&str> =
            if key.ends_with("num_mel_bins") { vec!["feature_size", "24"] } else { culprits.to_vec() };
        Copy::of("unfused").set(key, value).expect_refused(&culprits);
    }
    for kind in ["channel_map", "daf_2d", "iaff_2d", "aff_1d"] {
        Copy::of("fused")
            .set("audio_config.fusion_type", json!(kind))
            .expect_refused(&["`audio_config.fusion_type`", kind]);
    }
    Copy::of("fused").set("audio_config.aff_block_r", json!(9)).expect_refused(&["aff_block_r", "9"]);
}

#[test]
fn front_ends_that_are_not_known_are_named() {
    for (key, value, culprits) in [
        ("truncation", json!("first"), ["`truncation`", "first"]),
        ("padding", json!("mirror"), ["`padding`", "mirror"]),
        ("feature_size", json!(20), ["`feature_size`", "20"]),
        ("feature_extractor_type", json!("WhisperFeatureExtractor"), ["`feature_extractor_type`", "Whisper"]),
        ("sampling_rate", json!(-1), ["preprocessor_config.json", "-1"]),
        ("max_length_s", json!(0), ["`max_length_s`", "0"]),
        ("max_length_s", json!(0.00031), ["`max_length_s`", "1.24"]),
        ("max_length_s", json!(100), ["hop_samples", "10001"]),
        ("hop_length", json!(0), ["hop_samples", "0"]),
        ("fft_window_size", json!(129), ["n_fft", "129"]),
        ("frequency_min", json!(3000), ["max_hz", "1900"]),
        ("dither", json!(0.1), ["preprocessor_config.json", "dither"]),
    ] {
        Copy::of("unfused").front(key, value).expect_refused(&culprits);
    }
    Copy::of("unfused")
        .front("truncation", json!("fusion"))
        .expect_refused(&["features.truncation", "fusion"]);
    Copy::of("unfused").without("preprocessor_config.json").expect_refused(&["preprocessor_config.json"]);
    Copy::of("repeat")
        .write("processor_config.json", "{}")
        .expect_refused(&["processor_config.json", "feature_extractor"]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let vector = |size: i64| Tensor::ones([size], (Kind::Float, Device::Cpu));
    let copy = || Copy::of("unfused");
    let norm = "audio_model.audio_encoder.norm.weight";
    copy().without_tensor(norm).expect_refused(&["missing", norm]);
    copy().with_tensor(norm, vector(31)).expect_refused(&["wrong shape", norm, "[32]", "[31]"]);
    copy()
        .with_tensor("text_model.embeddings.position_ids2", vector(3))
        .expect_refused(&["unexpected", "position_ids2"]);
    copy().with_tensor("audio_model.relative_position_index", vector(3)).expect_refused(&["unexpected"]);
    copy().set("audio_config.enable_fusion", json!(true)).expect_refused(&["missing", "fusion_model"]);
    copy()
        .set("audio_config.qkv_bias", json!(false))
        .expect_refused(&["unexpected", "attention.self.key.bias"]);
    copy()
        .set("audio_config.enable_patch_layer_norm", json!(false))
        .expect_refused(&["unexpected", "patch_embed.norm"]);
    // Constants may be there or not.
    let constant = "text_model.embeddings.position_ids";
    copy().without_tensor(constant).load().unwrap();
}

//! A checkpoint of the published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use musicot_core::files::write_json;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{CounterRng, tensor};
use musicot_lm::{CausalLm, FastLlama, GreedyOptions, Llama, LlamaConfig, SessionShape, WeightKind};
use musicot_test_support::{Layout, within_bytes, within_memory, write_weights};

/// Names and shapes of the published layout.
fn layout(config: &LlamaConfig) -> Layout {
    let (dim, wide) = (config.hidden_size, config.intermediate_size);
    let (queries, keys) =
        (config.num_attention_heads * config.head_size(), config.num_key_value_heads * config.head_size());
    let mut all = vec![
        ("lm_head.weight".to_owned(), vec![config.vocab_size, dim]),
        ("model.embed_tokens.weight".to_owned(), vec![config.vocab_size, dim]),
        ("model.norm.weight".to_owned(), vec![dim]),
    ];
    for layer in 0..config.num_hidden_layers {
        for (part, shape) in [
            ("input_layernorm", vec![dim]),
            ("post_attention_layernorm", vec![dim]),
            ("self_attn.q_proj", vec![queries, dim]),
            ("self_attn.k_proj", vec![keys, dim]),
            ("self_attn.v_proj", vec![keys, dim]),
            ("self_attn.o_proj", vec![dim, queries]),
            ("mlp.gate_proj", vec![wide, dim]),
            ("mlp.up_proj", vec![wide, dim]),
            ("mlp.down_proj", vec![dim, wide]),
        ] {
            all.push((format!("model.layers.{layer}.{part}.weight"), shape));
        }
    }
    all
}

/// Writes a directory of random bfloat16 weights, a tensor at a time; returns the number of values.
fn publish(dir: &Path, config: &LlamaConfig) -> i64 {
    let mut settings = serde_json::to_value(config).unwrap();
    settings["model_type"] = "llama".into();
    settings["torch_dtype"] = "bfloat16".into();
    write_json(dir.join("config.json"), &settings).unwrap();
    write_weights(&dir.join("model.safetensors"), Kind::BFloat16, &layout(config), |name, shape| {
        let noise = CounterRng::new(1).stage(name).normal(0, shape, Device::Cpu).unwrap();
        if shape.len() == 1 { noise * 0.1 + 1.0 } else { noise * 0.05 }
    })
}

/// Loads and runs a directory.
fn runs_within_memory(config: &LlamaConfig) {
    within_memory(
        |dir| publish(dir, config),
        |dir| {
            let llama = Llama::load(dir, Device::Cpu).unwrap();
            let ids = Tensor::from_slice(&[1_i64, 15043, 3186]).fmod(config.vocab_size).unsqueeze(0);
            let options = GreedyOptions { new_tokens: 4, ..Default::default() };
            let decoded = llama.greedy(&ids, &[0], &options).unwrap();
            assert_eq!(decoded.logits.size(), [1, 4, llama.vocab_size()]);
            assert!(tensor::to_vec(&decoded.logits).unwrap().iter().all(|logit| logit.is_finite()));
        },
    );
}

/// The same on a directory that is made in no time.
#[test]
fn a_small_directory_made_on_the_spot_loads_and_runs() {
    runs_within_memory(&LlamaConfig { vocab_size: 50, num_hidden_layers: 1, ..Default::default() });
}

/// The size of the paper's language model, decoded in int8: a byte for each value, keys and values of 600 positions of two rows, a quarter more, and what the
/// process takes without a model.
#[test]
#[ignore = "writes 2 GB and takes a minute"]
fn a_decoder_of_1b_is_packed_in_little_memory() {
    let config = LlamaConfig { vocab_size: 8192, ..LlamaConfig::tiny_llama_1_1b() };
    let cache = 2 * 2 * 600 * config.num_hidden_layers * config.num_key_value_heads * config.head_size() * 4;
    within_bytes(
        |values| (values + cache) * 5 / 4 + 300_000_000,
        |dir| publish(dir, &config),
        |dir| {
            let fast = FastLlama::load(dir, WeightKind::Int8).unwrap();
            let shape = SessionShape {
                padding: vec![0, 0],
                prefix_positions: 600,
                window_positions: 0,
                reach_positions: 0,
            };
            let mut session = fast.session(&shape).unwrap();
            let ids = Tensor::arange(1200, (Kind::Int64, Device::Cpu)).reshape([2, 600]);
            let hidden = session.extend(&fast.embed(&ids).unwrap()).unwrap();
            let logits = fast.logits(&hidden, 0..8192).unwrap();
            assert!(tensor::to_vec(&logits).unwrap().iter().all(|logit| logit.is_finite()));
        },
    );
}

#[test]
#[ignore = "writes 2.2 GB, holds 5 GB of memory, and takes a minute"]
fn tiny_llama_1_1b_loads_and_runs() {
    runs_within_memory(&LlamaConfig::tiny_llama_1_1b());
}

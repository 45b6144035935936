//! A checkpoint of the published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use musicot_core::files::write_json;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{CounterRng, tensor};
use musicot_lm::{CausalLm, GreedyOptions, Llama, LlamaConfig};
use serde_json::{Map, Value, json};

/// Names and shapes of the published layout.
fn layout(config: &LlamaConfig) -> Vec<(String, Vec<i64>)> {
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
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in layout(config) {
        let start = end;
        end += 2 * shape.iter().product::<i64>();
        header.insert(name, json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut file = BufWriter::new(File::create(dir.join("model.safetensors")).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for (name, shape) in layout(config) {
        let noise = CounterRng::new(1).stage(&name).normal(0, &shape, Device::Cpu).unwrap();
        let values = if shape.len() == 1 { noise * 0.1 + 1.0 } else { noise * 0.05 };
        let stored = values.to_kind(Kind::BFloat16);
        let mut bytes = vec![0; stored.numel() * 2];
        stored.copy_data_u8(&mut bytes, stored.numel());
        file.write_all(&bytes).unwrap();
    }
    file.flush().unwrap();
    end / 2
}

/// Most memory that this process has held so far, bytes.
fn peak() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024
}

/// Loads and runs a directory; the weights may take 30 % more than their size, and 500 MB.
fn runs_within_memory(config: &LlamaConfig) {
    let folder = tempfile::tempdir().unwrap();
    let values = publish(folder.path(), config);
    let before = peak();
    let llama = Llama::load(folder.path(), Device::Cpu).unwrap();
    let ids = Tensor::from_slice(&[1_i64, 15043, 3186]).fmod(config.vocab_size).unsqueeze(0);
    let decoded = llama.greedy(&ids, &[0], &GreedyOptions { new_tokens: 4, ..Default::default() }).unwrap();
    let after = peak();
    println!("{values} values, peak {before} bytes before loading, {after} after decoding");
    assert_eq!(decoded.logits.size(), [1, 4, llama.vocab_size()]);
    assert!(tensor::to_vec(&decoded.logits).unwrap().iter().all(|logit| logit.is_finite()));
    let weights = 4 * values;
    assert!(
        after <= weights + weights * 3 / 10 + 500_000_000,
        "{after} bytes for {weights} bytes of weights"
    );
}

/// The same on a directory that is made in no time.
#[test]
fn a_small_directory_made_on_the_spot_loads_and_runs() {
    runs_within_memory(&LlamaConfig { vocab_size: 50, num_hidden_layers: 1, ..Default::default() });
}

#[test]
#[ignore = "writes 2.2 GB, holds 5 GB of memory, and takes a minute"]
fn tiny_llama_1_1b_loads_and_runs() {
    runs_within_memory(&LlamaConfig::tiny_llama_1_1b());
}

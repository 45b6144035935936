//! Tests of the whole stage on tiny random weights.

mod inputs;
mod oracle;
mod stage;
#[cfg(feature = "train")]
mod training;

use musicot_core::CounterRng;
use musicot_core::tch::{Device, set_num_threads};
use ndarray::{Array1, Array2};

use crate::tags::{TagVocab, TempoBuckets};
use crate::{AudioToken, LlamaConfig, MusicLm, MusicLmConfig, MusicVocab, Plan, VocabConfig};

/// 3 levels of 7 codes, 13 audio tokens, 4 tokens per plan window, 6 visible audio tokens.
pub(crate) fn tiny_config() -> MusicLmConfig {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    let vocab = VocabConfig {
        tags: TagVocab {
            tempo: TempoBuckets { low_bpm: 60, high_bpm: 180, step_bpm: 20 },
            styles: names(&["jazz", "rock"]),
            moods: names(&["calm", "laid-back"]),
            instruments: names(&["piano", "drums"]),
        },
        section_labels: names(&["verse", "chorus"]),
        section_windows: 4,
        lyric_tokens: 300,
        levels: 3,
        codebook_size: 7,
        audio_tokens: 13,
    };
    let llama = LlamaConfig {
        vocab_size: MusicVocab::new(vocab.clone()).unwrap().size(),
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        ..Default::default()
    };
    MusicLmConfig {
        llama,
        vocab,
        clap_dim: 5,
        clap_positions: 2,
        max_lyric_tokens: 12,
        token_rate_hz: 1.0,
        plan_window_secs: 4.0,
        attention_window_secs: 6.0,
        reach_secs: 16.0,
        ..Default::default()
    }
}

/// A tiny model whose weights are large enough that inputs matter.
pub(crate) fn tiny_model(config: MusicLmConfig) -> MusicLm {
    set_num_threads(1);
    let model = MusicLm::new(config, Device::Cpu, 3).unwrap();
    let _no_grad = musicot_core::tch::no_grad_guard();
    for (name, mut tensor) in model.params().named() {
        if tensor.dim() >= 2 {
            let rng = CounterRng::new(11).stage(&name);
            let scale = if name.contains("embed") || name.contains("null") { 1.0 } else { 0.4 };
            tensor.copy_(&(rng.normal(0, &tensor.size(), Device::Cpu).unwrap() * scale));
        }
    }
    model
}

/// A unit vector.
pub(crate) fn clap(seed: u64) -> Array1<f32> {
    let mut draws = CounterRng::new(seed).stage("clap").at(0);
    let values: Array1<f32> = (0..5).map(|_| draws.normal()).collect();
    let norm = values.dot(&values).sqrt();
    values / norm
}

pub(crate) fn plan(model: &MusicLm, windows: usize, seed: u64) -> Plan {
    let mut draws = CounterRng::new(seed).stage("plan").at(0);
    let codes = Array2::from_shape_fn((windows, 3), |_| draws.below(7) as i64);
    Plan::new(codes, model.vocab()).unwrap()
}

pub(crate) fn audio(count: usize, seed: u64) -> Vec<AudioToken> {
    let mut draws = CounterRng::new(seed).stage("audio").at(0);
    (0..count).map(|_| AudioToken(draws.below(13) as u32)).collect()
}

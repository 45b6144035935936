//! A whole bundle on tiny random weights: every stage with its real architecture, none trained.
#![allow(clippy::unwrap_used)] // also in helpers, which clippy does not take for tests

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use musicot::bundle::{BUNDLE_FORMAT, BundleConfig, PlanShape, SamplingDefaults, StageEntry};
use musicot::clap::{Clap, ClapConfig};
use musicot::codec::{NoteTokenizer, NoteTokenizerConfig, SpectralCodec, SpectralCodecConfig};
use musicot::core::{Storage, tch::Device};
use musicot::diffusion::{Dit, DitConfig, SamplerConfig, SessionConfig};
use musicot::lm::{MusicLm, MusicLmConfig, MusicVocab};
use musicot::rvq::{RvqConfig, RvqModel};
use musicot::sampling::PhasePolicy;
use musicot::{Bundle, Stage};

/// Width of the joint space of the tiny models.
const CLAP_DIM: i64 = 16;
const LEVELS: usize = 3;
const CODES: usize = 8;
const TOKENS: i64 = 32;
const LATENT_DIM: i64 = 8;

/// Writes the bundle below `root` and returns its directory.
pub fn tiny_bundle(root: &Path) -> PathBuf {
    let dir = root.join("tiny");
    let at = |stage: Stage| dir.join(stage.name());
    clap().save(at(Stage::Clap), Storage::Native).unwrap();
    let rvq =
        RvqConfig { dim: CLAP_DIM as usize, levels: LEVELS, codebook_size: CODES, ..RvqConfig::default() };
    RvqModel::new(&rvq, Device::Cpu, 2).unwrap().save(at(Stage::Rvq), Storage::Native).unwrap();
    MusicLm::new(lm_config(), Device::Cpu, 3).unwrap().save(at(Stage::Lm), Storage::Native).unwrap();
    Dit::new(dit_config(), Device::Cpu, 4).unwrap().save(at(Stage::Diffusion), Storage::Native).unwrap();
    SpectralCodec::new(&codec_config(), Device::Cpu, 5)
        .unwrap()
        .save(at(Stage::Codec), Storage::Native)
        .unwrap();
    let notes = NoteTokenizerConfig {
        dim: 16,
        hidden: 16,
        blocks: 1,
        code_dim: 4,
        vocabulary_size: TOKENS,
        ..Default::default()
    };
    NoteTokenizer::new(&notes, Device::Cpu, 6).unwrap().save(at(Stage::Semantic), Storage::Native).unwrap();
    Bundle::seal(&dir, bundle_config()).unwrap();
    dir
}

fn clap() -> Clap {
    let mut config = ClapConfig::mini();
    config.projection_dim = CLAP_DIM;
    config.audio_config.patch_embeds_hidden_size = 8;
    config.audio_config.depths = vec![1];
    config.audio_config.num_attention_heads = vec![2];
    config.audio_config.hidden_size = 8;
    config.text_config.num_hidden_layers = 1;
    config.text_config.vocab_size = 200;
    config.text_config.hidden_size = 16;
    config.text_config.num_attention_heads = 2;
    config.text_config.intermediate_size = 16;
    Clap::new(config, Device::Cpu, 1).unwrap()
}

fn lm_config() -> MusicLmConfig {
    let mut config = MusicLmConfig { clap_dim: CLAP_DIM, ..MusicLmConfig::default() };
    config.vocab.levels = LEVELS;
    config.vocab.codebook_size = CODES;
    config.vocab.audio_tokens = TOKENS as usize;
    config.llama.vocab_size = MusicVocab::new(config.vocab.clone()).unwrap().size();
    config.llama.hidden_size = 16;
    config.llama.intermediate_size = 32;
    config.llama.num_hidden_layers = 2;
    config.llama.num_attention_heads = 2;
    config.llama.num_key_value_heads = 1;
    config
}

fn dit_config() -> DitConfig {
    DitConfig {
        latent_dim: LATENT_DIM,
        semantic_vocab: TOKENS,
        semantic_dim: 8,
        thought_dim: CLAP_DIM,
        text_dim: CLAP_DIM,
        width: 16,
        depth: 1,
        heads: 2,
        time_dim: 8,
        ..DitConfig::default()
    }
}

fn codec_config() -> SpectralCodecConfig {
    SpectralCodecConfig {
        latent_dim: LATENT_DIM,
        bands_per_octave: 1.0,
        pitch_hz: 200.0,
        top_hz: 8000.0,
        dim: 8,
        hidden: 8,
        blocks: 1,
        rounds: 1,
        ..SpectralCodecConfig::default()
    }
}

fn bundle_config() -> BundleConfig {
    let entry = |stage: Stage| StageEntry {
        directory: stage.name().to_owned(),
        kind: stage.kinds()[0].to_owned(),
        sha256: BTreeMap::new(),
    };
    BundleConfig {
        format: BUNDLE_FORMAT,
        name: "tiny".to_owned(),
        licence: "CC0-1.0".to_owned(),
        sample_rate_hz: 48_000,
        token_rate_hz: 25.0,
        plan: PlanShape { window_secs: 10.0, levels: LEVELS, codebook_size: CODES },
        defaults: SamplingDefaults {
            policy: PhasePolicy::paper(),
            drafts: 1,
            diffusion: SamplerConfig { steps: 2, ..SamplerConfig::default() },
            windows: SessionConfig::default(),
        },
        stages: Stage::ALL.map(|stage| (stage, entry(stage))).into(),
        provenance: serde_json::json!({ "note": "random weights for tests" }),
    }
}

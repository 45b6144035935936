//! The parts of one's own, with random weights: they take their widths and rates from the published ones.

use std::path::Path;

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::codec::{AudioCodec, Oobleck};
use musicot::core::Storage;
use musicot::core::tch::Device;
use musicot::diffusion::{Dit, DitConfig};
use musicot::lm::{MusicLm, MusicLmConfig, MusicVocab};
use musicot::rvq::{RvqConfig, RvqModel};

use crate::common::Outcome;
use crate::sizes::Sizes;

/// What the published parts dictate.
pub struct Frame {
    clap_dim: usize,
    plan_window_secs: f64,
    latent_dim: i64,
    frame_rate_hz: f64,
}

impl Frame {
    /// Opens the published parts, one after the other.
    pub fn of(clap: &Path, vae: &Path) -> Outcome<Self> {
        let clap = Clap::load(clap, Device::Cpu)?;
        let (clap_dim, plan_window_secs) =
            (clap.dim(), clap.window_samples() as f64 / f64::from(clap.sample_rate_hz()));
        drop(clap);
        let vae = Oobleck::load(vae, Device::Cpu)?;
        Ok(Self {
            clap_dim,
            plan_window_secs,
            latent_dim: vae.latent_dim(),
            frame_rate_hz: vae.frame_rate_hz(),
        })
    }
}

pub fn rvq(dir: &Path, sizes: &Sizes, frame: &Frame) -> Outcome {
    let config = RvqConfig {
        dim: frame.clap_dim,
        levels: sizes.levels,
        codebook_size: sizes.codebook_size,
        ..RvqConfig::default()
    };
    Ok(RvqModel::new(&config, Device::Cpu, 3)?.save(dir, Storage::Native)?)
}

pub fn lm(dir: &Path, sizes: &Sizes, frame: &Frame) -> Outcome {
    let mut config = MusicLmConfig {
        llama: sizes.llama.clone(),
        clap_dim: frame.clap_dim as i64,
        plan_window_secs: frame.plan_window_secs,
        ..MusicLmConfig::default()
    };
    config.vocab.levels = sizes.levels;
    config.vocab.codebook_size = sizes.codebook_size;
    config.vocab.audio_tokens = sizes.audio_tokens;
    config.llama.vocab_size = MusicVocab::new(config.vocab.clone())?.size();
    Ok(MusicLm::new(config, Device::Cpu, 4)?.save(dir, Storage::Bf16)?)
}

pub fn diffusion(dir: &Path, sizes: &Sizes, frame: &Frame) -> Outcome {
    let config = DitConfig {
        latent_dim: frame.latent_dim,
        frame_rate_hz: frame.frame_rate_hz,
        frames_per_thought: frame.plan_window_secs * frame.frame_rate_hz,
        semantic_vocab: sizes.audio_tokens as i64,
        thought_dim: frame.clap_dim as i64,
        text_dim: frame.clap_dim as i64,
        ..sizes.dit.clone()
    };
    Ok(Dit::new(config, Device::Cpu, 5)?.save(dir, Storage::Bf16)?)
}

//! Windows of audio to embeddings.

use std::path::Path;

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::Checkpoint;
use musicot::core::tch::Device;

use crate::clock::Clock;
use crate::common::Outcome;

pub fn run(dir: &Path, clock: &Clock) -> Outcome {
    let clap = Clap::load(dir, Device::Cpu)?;
    let wav = Checkpoint::open(dir.join("io.safetensors"))?.tensor("wav")?;
    clock.timed("musicot", wav.size()[0] as f64, || {
        let _ = clap.embed_audio(&wav)?;
        Ok(())
    })
}

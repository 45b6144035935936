//! Windows of audio, and captions, to embeddings.

use std::path::Path;

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::Checkpoint;
use musicot::core::files::read_json;
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

pub fn run_texts(dir: &Path, clock: &Clock) -> Outcome {
    let clap = Clap::load(dir, Device::Cpu)?;
    let texts: Vec<String> = read_json(dir.join("texts.json"))?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    clock.timed("musicot", texts.len() as f64, || {
        let _ = clap.embed_text(&texts)?;
        Ok(())
    })
}

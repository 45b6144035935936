//! Latents to a waveform. Units are seconds of audio.

use std::path::Path;

use musicot::codec::{AudioCodec, Oobleck};
use musicot::core::Checkpoint;
use musicot::core::tch::Device;

use crate::clock::Clock;
use crate::common::Outcome;

pub fn run(dir: &Path, clock: &Clock) -> Outcome {
    let codec = Oobleck::load(dir, Device::Cpu)?;
    let latents = Checkpoint::open(dir.join("io.safetensors"))?.tensor("latents")?;
    let secs = latents.size()[2] as f64 / codec.frame_rate_hz();
    clock.timed("musicot", secs, || {
        let _ = codec.reconstruct(&latents)?;
        Ok(())
    })
}

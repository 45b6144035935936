//! One evaluation of Stable Audio's transformer.

use std::path::Path;

use musicot::core::Checkpoint;
use musicot::core::tch::Device;
use musicot::diffusion::stable_audio::{StableAudioCondition, StableAudioDit};

use crate::clock::Clock;
use crate::common::Outcome;

pub fn run(dir: &Path, clock: &Clock) -> Outcome {
    let dit = StableAudioDit::load(dir, Device::Cpu)?;
    let inputs = Checkpoint::open(dir.join("io.safetensors"))?;
    let (latents, time) = (inputs.tensor("latents")?, inputs.tensor("timestep")?);
    let condition = StableAudioCondition {
        text: inputs.tensor("text")?,
        global: inputs.tensor("global")?,
        text_mask: None,
    };
    clock.timed("musicot", 1.0, || {
        let _ = dit.forward(&latents, &time, &condition)?;
        Ok(())
    })
}

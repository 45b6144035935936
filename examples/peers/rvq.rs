//! Residual quantisation.

use std::path::Path;

use musicot::core::Checkpoint;
use musicot::core::tch::Device;
use musicot::rvq::{PublishedRvq, VectorQuantizer};

use crate::clock::Clock;
use crate::common::Outcome;

pub fn run(dir: &Path, clock: &Clock) -> Outcome {
    let file = Checkpoint::open(dir.join("model.safetensors"))?;
    let rvq = PublishedRvq::read(&file, &PublishedRvq::find_prefix(&file)?, Device::Cpu)?;
    let x = Checkpoint::open(dir.join("io.safetensors"))?.tensor("x")?;
    clock.timed("musicot", x.size()[0] as f64, || {
        let _ = rvq.encode(&x)?;
        Ok(())
    })
}

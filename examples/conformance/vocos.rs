//! `vocos`: a Vocos with mel bands as its features.

use musicot::codec::Vocos;
use musicot::core::tch::Device;
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let Options {} = case.options()?;
    let vocos = Vocos::load(&case.dir, Device::Cpu)?;
    // Features of one's own count in place of those of a waveform.
    let mel =
        if case.has("mel") { case.floats_of("mel", 3)? } else { vocos.mel(&case.floats_of("audio", 2)?)? };
    let decoded = vocos.decode(&mel)?;
    Ok(vec![("mel".into(), mel), ("decoded".into(), decoded)])
}

//! `oobleck`: the autoencoder of Stable Audio.

use musicot::codec::Oobleck;
use musicot::core::tch::Device;
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let Options {} = case.options()?;
    let codec = Oobleck::load(case.part("vae"), Device::Cpu)?;
    let posterior = codec.posterior(&case.floats_of("audio", 3)?)?;
    let decoded = codec.reconstruct(&case.floats_of("latents", 3)?)?;
    Ok(vec![("mean".into(), posterior.mean), ("std".into(), posterior.std), ("decoded".into(), decoded)])
}

//! `dac`: the Descript Audio Codec.

use musicot::codec::Dac;
use musicot::core::tch::Device;
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {
    /// All, where absent.
    levels: Option<usize>,
}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let options: Options = case.options()?;
    let codec = Dac::load(&case.dir, Device::Cpu)?;
    let audio = case.floats_of("audio", 3)?;
    let codes = codec.encode(&audio, options.levels.unwrap_or(codec.config().n_codebooks as usize))?;
    let decoded = codec.decode(&codes)?;
    let samples = audio.size()[2].min(decoded.size()[2]);
    Ok(vec![("codes".into(), codes), ("decoded".into(), decoded.f_narrow(2, 0, samples)?)])
}

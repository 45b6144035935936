//! `rvq`: codebooks of vector-quantize-pytorch or EnCodec.

use musicot::core::Checkpoint;
use musicot::core::tch::Device;
use musicot::rvq::{PublishedRvq, VectorQuantizer};
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// All, where absent.
    levels: Option<usize>,
    prefix: Option<String>,
}

/// Where a whole EnCodec keeps its quantiser.
const IN_ENCODEC: &str = "quantizer.";

pub fn run(case: &Case) -> Outcome<Outputs> {
    let options: Options = case.options()?;
    let file = Checkpoint::open(&case.dir)?;
    let is_encodec = file.names().iter().any(|name| name.starts_with(IN_ENCODEC));
    let found = if is_encodec { IN_ENCODEC } else { "" };
    let rvq = PublishedRvq::read(&file, options.prefix.as_deref().unwrap_or(found), Device::Cpu)?;
    let levels = options.levels.unwrap_or(rvq.levels());
    if !(1..=rvq.levels()).contains(&levels) {
        return Err(case.broken(&format!("levels: expected 1 to {}, got {levels}", rvq.levels())));
    }
    let codes = rvq.encode(&case.floats("x")?)?.f_narrow(-1, 0, levels as i64)?;
    let quantized = rvq.decode(&codes)?;
    Ok(vec![("codes".into(), codes), ("quantized".into(), quantized)])
}

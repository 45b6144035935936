//! `rvq`: codebooks of vector-quantize-pytorch or EnCodec.

use musicot::core::Checkpoint;
use musicot::core::tch::Device;
use musicot::rvq::{PublishedRvq, VectorQuantizer};
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {
    /// All, where absent.
    levels: Option<usize>,
    prefix: Option<String>,
}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let options: Options = case.options()?;
    let file = Checkpoint::open(case.weights())?;
    let prefix = options.prefix.map_or_else(|| PublishedRvq::find_prefix(&file), Ok)?;
    let rvq = PublishedRvq::read(&file, &prefix, Device::Cpu)?;
    let levels = options.levels.unwrap_or(rvq.levels());
    if !(1..=rvq.levels()).contains(&levels) {
        return Err(case.broken(&format!("levels: expected 1 to {}, got {levels}", rvq.levels())));
    }
    let x = case.floats("x")?;
    // EnCodec's own order: `x [batch, dim, frames]`, codes `[levels, batch, frames]`.
    let is_channels_first = match x.size()[..] {
        [_, rows, columns] if rows == rvq.dim() as i64 => columns != rows || is_encodec(&file),
        _ => false,
    };
    let vectors = if is_channels_first { x.f_transpose(1, 2)? } else { x };
    let codes = rvq.encode(&vectors)?.f_narrow(-1, 0, levels as i64)?;
    let quantized = rvq.decode(&codes)?;
    let (codes, quantized) = match is_channels_first {
        true => (codes.f_permute([2, 0, 1])?, quantized.f_transpose(1, 2)?),
        false => (codes, quantized),
    };
    Ok(vec![("codes".into(), codes), ("quantized".into(), quantized)])
}

/// Whether the names are those of EnCodec (of transformers, or of its own package).
fn is_encodec(file: &Checkpoint) -> bool {
    file.names().iter().any(|name| name.contains(".codebook.") || name.contains("vq.layers."))
}

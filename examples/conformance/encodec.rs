//! `encodec`: EnCodec.

use musicot::codec::{Encodec, EncodecChunk};
use musicot::core::tch::{Device, Tensor};
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
    let codec = Encodec::load(&case.dir, Device::Cpu)?;
    let audio = case.floats_of("audio", 3)?;
    let chunks = codec.encode(&audio, options.levels.unwrap_or(codec.config().levels()))?;
    let decoded = codec.decode(&chunks)?.f_narrow(2, 0, audio.size()[2])?;
    let codes = match (codec.config().chunk_length_s, chunks.as_slice()) {
        (None, [whole]) => whole.codes.shallow_clone(),
        _ => stack(&chunks)?,
    };
    Ok(vec![("codes".into(), codes), ("decoded".into(), decoded)])
}

/// `[chunks, batch, levels, frames]`, a short last chunk filled up with zeros as transformers does.
fn stack(chunks: &[EncodecChunk]) -> Outcome<Tensor> {
    let frames = |chunk: &EncodecChunk| chunk.codes.size().last().copied().unwrap_or_default();
    let most = chunks.iter().map(frames).max().unwrap_or_default();
    let fill = |chunk: &EncodecChunk| chunk.codes.f_constant_pad_nd([0, most - frames(chunk)]);
    Ok(Tensor::f_stack(&chunks.iter().map(fill).collect::<Result<Vec<Tensor>, _>>()?, 0)?)
}

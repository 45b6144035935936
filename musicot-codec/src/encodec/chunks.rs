//! Chunks of a clip, and their joints.

use musicot_core::Result;
use musicot_core::tch::Tensor;

/// What is coded by itself: a whole clip, or one of the overlapping chunks of it.
#[derive(Debug)]
pub struct EncodecChunk {
    /// Codes of the first levels `[batch, levels, frames]`.
    pub codes: Tensor,
    /// What the samples were divided by `[batch]`, where the configuration says `normalize`.
    pub scale: Option<Tensor>,
}

/// Adds chunks `[batch, channels, samples]` that begin `step` samples after one another, each faded in and out in proportion to the distance
/// from its ends (those that a chunk of the first one's length has).
pub(super) fn overlap_add(chunks: &[Tensor], step: i64) -> Result<Tensor> {
    let Some(first) = chunks.first() else {
        return Err(musicot_core::Error::input("chunks", "expected at least one"));
    };
    let options = (first.kind(), first.device());
    let (batch, channels, length) = first.size3()?;
    let fade = triangle(length, first)?;
    let ends = chunks.iter().zip(0..).map(|(chunk, index)| index * step + samples(chunk));
    let end = ends.max().unwrap_or_default();
    let (sum, weights) =
        (Tensor::f_zeros([batch, channels, end], options)?, Tensor::f_zeros([end], options)?);
    for (chunk, index) in chunks.iter().zip(0..) {
        let (start, length) = (index * step, samples(chunk));
        let fade = fade.f_narrow(0, 0, length)?;
        let _ = sum.f_narrow(2, start, length)?.f_add_(&chunk.f_mul(&fade)?)?;
        let _ = weights.f_narrow(0, start, length)?.f_add_(&fade)?;
    }
    Ok(sum.f_div(&weights)?)
}

fn samples(chunk: &Tensor) -> i64 {
    chunk.size().last().copied().unwrap_or_default()
}

/// Rising to the middle and falling again, never 0.
fn triangle(length: i64, like: &Tensor) -> Result<Tensor> {
    let time =
        Tensor::f_linspace(0.0, 1.0, length + 2, (like.kind(), like.device()))?.f_narrow(0, 1, length)?;
    Ok(time.f_sub_scalar(0.5)?.f_abs()?.f_neg()?.f_add_scalar(0.5)?)
}

//! Trainers of the codec and of the semantic tokeniser.

mod codec;
mod pcm;
mod semantic;

use musicot_core::tch::Tensor;

use crate::{Error, Result};

pub use codec::{CodecTrainConfig, train_codec};
pub use pcm::PcmCache;
pub use semantic::{NoteTokenizerTrainConfig, train_semantic};

/// Samples `[clips, count]`, one crop of each clip, at places in `[0, 1)` of what fits.
fn crops(pcm: &PcmCache, clips: &[usize], count: usize, mut place: impl FnMut() -> f64) -> Result<Tensor> {
    let mut samples = Vec::with_capacity(count * clips.len());
    for clip in clips {
        let room = pcm.frames(*clip).saturating_sub(count);
        samples.extend(pcm.read(*clip, (place() * room as f64) as usize, count)?);
    }
    Ok(Tensor::f_from_slice(&samples)?.f_reshape([clips.len() as i64, count as i64])?)
}

/// The shared loop speaks the shared error.
fn into_core(error: Error) -> musicot_core::Error {
    match error {
        Error::Core(error) => error,
        other => musicot_core::Error::input("training data", other.to_string()),
    }
}

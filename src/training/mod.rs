//! From a corpus to a bundle: what lies between the trainers of the stages.
//!
//! Each stage crate has its own trainer. Here are the steps that need more than one stage: [`embed_corpus`] (CLAP, for the RVQ),
//! [`encode_corpus`] (all encoders, for the language model and the diffusion) and [`assemble`] (a bundle of trained stages).

mod assemble;
mod embeddings;
mod encode;

pub use assemble::{BundlePlan, assemble};
pub use embeddings::{embed_corpus, read_vectors};
pub use encode::{EncodeReport, Encoders, encode_corpus};

/// Receives (pieces done, pieces in all) and returns whether to go on.
pub type PieceProgress<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// Reports a piece, and turns a wish to stop into an error.
pub(crate) fn tell(progress: &mut PieceProgress<'_>, done: usize, total: usize) -> crate::Result<()> {
    match progress(done, total) {
        true => Ok(()),
        false => Err(crate::Error::Core(musicot_core::Error::Stopped)),
    }
}

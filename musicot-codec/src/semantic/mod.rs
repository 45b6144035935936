//! A learned tokeniser of pitch and rhythm: one code per 40 ms.
//!
//! The paper does not name its tokeniser; this one is our choice. An encoder sees semitone bands (which notes sound) and the envelopes of
//! broad bands at four times the token rate (when they start), and squeezes them through one codebook; a decoder must rebuild them from
//! the codes. Context on both sides lets neighbouring codes share what lasts.

mod config;
mod features;
mod model;

pub use config::NoteTokenizerConfig;
pub use features::NoteFeatures;
#[cfg(feature = "train")]
pub(crate) use features::to_linear;
#[cfg(feature = "train")]
pub(crate) use model::LEARNER;
pub use model::NoteTokenizer;

//! The contract of a semantic tokeniser.

use musicot_core::tch::Tensor;

use crate::Result;

/// Waveform to discrete tokens at a low, fixed rate: what is played, at the level a language model can predict.
pub trait SemanticTokenizer: Send {
    /// Samples per second of the waveform.
    fn sample_rate_hz(&self) -> u32;

    /// Samples per token.
    fn hop_frames(&self) -> i64;

    /// Number of different tokens.
    fn vocabulary_size(&self) -> i64;

    /// Tokens per second.
    fn token_rate_hz(&self) -> f64 {
        f64::from(self.sample_rate_hz()) / self.hop_frames() as f64
    }

    /// Mono samples `[batch, samples]` to tokens `[batch, tokens]` (i64); the end is padded with silence to a whole token.
    ///
    /// # Errors
    /// Another shape, or samples that are not finite.
    fn tokenize(&self, samples: &Tensor) -> Result<Tensor>;
}

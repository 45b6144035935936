//! Sizes of a quantiser.

use musicot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What "nearest" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Smallest Euclidean distance.
    #[default]
    Euclidean,
    /// Largest cosine: vectors and codewords have unit length, and so has what is decoded. One level only, because residuals of
    /// unit vectors have no common length. Suits token vocabularies inside another model, where length carries no meaning.
    Cosine,
}

/// Sizes of a residual quantiser. The MusiCoT paper gives none of them; 12 levels of 1024 codewords is what four
/// relatives use, and our choice for the full-size system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RvqConfig {
    /// Length of the vectors, at least 1.
    pub dim: usize,
    /// Codes per vector, at least 1.
    pub levels: usize,
    /// Codewords per level, at least 1.
    pub codebook_size: usize,
    /// What "nearest" means.
    pub metric: Metric,
    /// Partial sums followed while encoding, at least 1. With 1 each level takes the nearest codeword (greedy); more look ahead: the sum over
    /// all levels comes closer, at this many times the cost, while the first levels alone may come less close. Codebooks are learnt
    /// greedily in any case.
    pub beam: usize,
}

impl Default for RvqConfig {
    fn default() -> Self {
        Self { dim: 512, levels: 12, codebook_size: 1024, metric: Metric::Euclidean, beam: 1 }
    }
}

/// Values in all codebooks together: far above any real quantiser, and far below what overflows.
const MAX_VALUES: u128 = 1 << 36;

/// Beyond this, time and memory grow and nothing else.
const MAX_BEAM: usize = 4096;

impl RvqConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("dim", self.dim),
            ("levels", self.levels),
            ("codebook_size", self.codebook_size),
            ("beam", self.beam),
        ] {
            if value == 0 {
                return Err(Error::config(field, "expected at least 1, got 0"));
            }
        }
        if self.beam > MAX_BEAM {
            return Err(Error::config("beam", format!("expected at most {MAX_BEAM}, got {}", self.beam)));
        }
        let values = [self.dim, self.levels, self.codebook_size].map(|n| n as u128);
        if values[0].saturating_mul(values[1]).saturating_mul(values[2]) > MAX_VALUES {
            return Err(Error::config("codebook_size", "codebooks of more than 2^36 values together"));
        }
        if self.metric == Metric::Cosine && self.levels != 1 {
            let reason = format!("expected 1 with the cosine metric, got {}", self.levels);
            return Err(Error::config("levels", reason));
        }
        Ok(())
    }
}

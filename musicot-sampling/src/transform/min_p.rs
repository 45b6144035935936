//! A floor relative to the likeliest token.

use musicot_core::Error as CoreError;
use musicot_core::tch::{Kind, Tensor};

use super::LogitsTransform;
use crate::{Result, input};

/// Drops tokens whose probability is below a fraction of the likeliest token's (Nguyen et al., 2024).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinP(f64);

impl MinP {
    /// A fraction in `0..=1`; 1 keeps the likeliest token and its ties.
    ///
    /// # Errors
    /// [`CoreError::Config`].
    pub fn new(fraction: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&fraction) {
            return Ok(Self(fraction));
        }
        Err(CoreError::config("min_p", format!("expected 0 <= value <= 1, got {fraction}")).into())
    }
}

impl LogitsTransform for MinP {
    fn apply(&self, logits: Tensor, _history: &[Vec<i64>]) -> Result<Tensor> {
        input::logits_size(&logits)?;
        let probabilities = logits.f_softmax(1, Kind::Float)?;
        let floor = probabilities.f_amax([1], true)?.f_mul_scalar(self.0)?;
        Ok(logits.f_masked_fill(&probabilities.f_lt_tensor(&floor)?, f64::NEG_INFINITY)?)
    }
}

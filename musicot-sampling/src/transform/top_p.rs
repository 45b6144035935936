//! Nucleus sampling.

use musicot_core::Error as CoreError;
use musicot_core::tch::{Kind, Tensor};

use super::LogitsTransform;
use crate::{Result, input};

/// Keeps the smallest set of likeliest tokens with a total probability of at least p (Holtzman et al., 2020).
///
/// Counted from the least likely token up, as in Hugging Face transformers: tokens are dropped while the sum of their
/// probabilities is at most `1 - p`; the likeliest token always stays. Among equal logits the lower token id is
/// dropped first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopP(f64);

impl TopP {
    /// A probability in `0..=1`; 0 keeps one token.
    ///
    /// # Errors
    /// [`CoreError::Config`].
    pub fn new(p: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&p) {
            return Ok(Self(p));
        }
        Err(CoreError::config("top_p", format!("expected 0 <= value <= 1, got {p}")).into())
    }
}

impl LogitsTransform for TopP {
    fn apply(&self, logits: Tensor, _history: &[Vec<i64>]) -> Result<Tensor> {
        let (_, vocab) = input::logits_size(&logits)?;
        let (sorted, order) = logits.f_sort_stable(true, 1, false)?;
        let below = sorted.f_softmax(1, Kind::Float)?.f_cumsum(1, Kind::Float)?;
        let drop = below.f_le(1.0 - self.0)?;
        let _ = drop.f_narrow(1, vocab - 1, 1)?.f_zero_()?;
        let drop = drop.f_scatter(1, &order, &drop)?;
        Ok(logits.f_masked_fill(&drop, f64::NEG_INFINITY)?)
    }
}

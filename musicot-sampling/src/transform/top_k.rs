//! The k likeliest tokens.

use musicot_core::Error as CoreError;
use musicot_core::tch::Tensor;

use super::LogitsTransform;
use crate::{Result, input};

/// Keeps the tokens that are at least as likely as the k-th likeliest, so that ties with it stay (more than k tokens
/// may remain). A k of the vocabulary's size or more keeps all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK(usize);

impl TopK {
    /// A k of at least 1.
    ///
    /// # Errors
    /// [`CoreError::Config`].
    pub fn new(k: usize) -> Result<Self> {
        if k > 0 {
            return Ok(Self(k));
        }
        Err(CoreError::config("top_k", "expected at least 1 token to keep, got 0").into())
    }
}

impl LogitsTransform for TopK {
    fn apply(&self, logits: Tensor, _history: &[Vec<i64>]) -> Result<Tensor> {
        let (_, vocab) = input::logits_size(&logits)?;
        if self.0 as u64 >= vocab as u64 {
            return Ok(logits);
        }
        let (values, _) = logits.f_topk(self.0 as i64, 1, true, true)?;
        let threshold = values.f_narrow(1, self.0 as i64 - 1, 1)?;
        Ok(logits.f_masked_fill(&logits.f_lt_tensor(&threshold)?, f64::NEG_INFINITY)?)
    }
}

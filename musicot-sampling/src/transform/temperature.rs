//! Temperature.

use musicot_core::Error as CoreError;
use musicot_core::tch::Tensor;

use super::LogitsTransform;
use crate::{Result, input};

/// Divides all logits by a temperature: below 1 sharpens the distribution, above 1 flattens it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature(f64);

impl Temperature {
    /// A finite temperature above 0 (greedy choice is not a temperature: see [`crate::greedy`]).
    ///
    /// # Errors
    /// [`CoreError::Config`].
    pub fn new(temperature: f64) -> Result<Self> {
        if temperature.is_finite() && temperature > 0.0 {
            return Ok(Self(temperature));
        }
        let reason = format!("expected a finite number above 0, got {temperature}");
        Err(CoreError::config("temperature", reason).into())
    }
}

impl LogitsTransform for Temperature {
    fn apply(&self, logits: Tensor, _history: &[Vec<i64>]) -> Result<Tensor> {
        input::logits_size(&logits)?;
        Ok(logits.f_div_scalar(self.0)?)
    }
}

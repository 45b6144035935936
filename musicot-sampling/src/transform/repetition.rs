//! Repetition penalty.

use musicot_core::Error as CoreError;
use musicot_core::tch::Tensor;

use super::LogitsTransform;
use crate::{Result, input};

/// Makes tokens of the history less likely (Keskar et al., 2019): a positive logit is divided by the penalty, a negative
/// one multiplied, once however often the token occurred. A penalty below 1 rewards repetition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepetitionPenalty(f64);

impl RepetitionPenalty {
    /// A finite penalty above 0; 1 changes nothing.
    ///
    /// # Errors
    /// [`CoreError::Config`].
    pub fn new(penalty: f64) -> Result<Self> {
        if penalty.is_finite() && penalty > 0.0 {
            return Ok(Self(penalty));
        }
        let reason = format!("expected a finite number above 0, got {penalty}");
        Err(CoreError::config("repetition_penalty", reason).into())
    }
}

impl LogitsTransform for RepetitionPenalty {
    fn apply(&self, logits: Tensor, history: &[Vec<i64>]) -> Result<Tensor> {
        let (batch, vocab) = input::logits_size(&logits)?;
        input::expect_rows("history", history.len(), batch)?;
        let seen = Tensor::f_from_slice(&seen(history, vocab)?)?;
        let seen = seen.f_reshape([batch, vocab])?.f_to_device(logits.device())?;
        let (divided, multiplied) = (logits.f_div_scalar(self.0)?, logits.f_mul_scalar(self.0)?);
        let penalised = multiplied.f_where_self(&logits.f_lt(0.0)?, &divided)?;
        Ok(penalised.f_where_self(&seen, &logits)?)
    }
}

/// Which tokens occurred, row by row.
fn seen(history: &[Vec<i64>], vocab: i64) -> Result<Vec<bool>> {
    let mut seen = vec![false; history.len() * vocab as usize];
    for (row, tokens) in history.iter().enumerate() {
        for &token in tokens {
            if !(0..vocab).contains(&token) {
                let reason = format!("expected tokens in 0..{vocab}, got {token} in row {row}");
                return Err(CoreError::input("history", reason).into());
            }
            seen[row * vocab as usize + token as usize] = true;
        }
    }
    Ok(seen)
}

//! Masks.

use std::ops::Range;

use musicot_core::Error as CoreError;
use musicot_core::tch::Tensor;

use super::LogitsTransform;
use crate::{Result, input};

/// Sets all logits `[batch, vocab]` outside the given ranges of token ids to -infinity; those inside keep their bits.
/// Ranges may overlap and come in any order.
///
/// Mask after guidance, never before: the difference of two -infinities is NaN.
///
/// # Errors
/// [`crate::Error::Core`] when there is no range, or one is empty or exceeds the vocabulary.
///
/// ```
/// use musicot_sampling::{allow, core::{tensor, tch::Tensor}};
/// let logits = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).unsqueeze(0);
/// let masked = allow(&logits, &[1..3])?;
/// assert_eq!(tensor::to_vec(&masked)?, [f32::NEG_INFINITY, 2.0, 3.0, f32::NEG_INFINITY]);
/// # Ok::<(), musicot_sampling::Error>(())
/// ```
pub fn allow(logits: &Tensor, ranges: &[Range<i64>]) -> Result<Tensor> {
    let (_, vocab) = input::logits_size(logits)?;
    if ranges.is_empty() {
        return Err(CoreError::input("allowed ranges", "expected at least one").into());
    }
    let masked = logits.f_full_like(f64::NEG_INFINITY)?;
    for range in ranges {
        if range.start < 0 || range.start >= range.end || range.end > vocab {
            let reason = format!("expected a range with tokens of 0..{vocab}, got {range:?}");
            return Err(CoreError::input("allowed ranges", reason).into());
        }
        let length = range.end - range.start;
        masked.f_narrow(1, range.start, length)?.f_copy_(&logits.f_narrow(1, range.start, length)?)?;
    }
    Ok(masked)
}

/// [`allow`] as a link of a chain. Put it first: the other transforms then work on the allowed tokens alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(
    /// Ranges of token ids.
    pub Vec<Range<i64>>,
);

impl LogitsTransform for Allow {
    fn apply(&self, logits: Tensor, _history: &[Vec<i64>]) -> Result<Tensor> {
        allow(&logits, &self.0)
    }
}

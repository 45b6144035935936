//! Changes to logits before a token is drawn.

mod allow;
mod min_p;
mod repetition;
mod temperature;
mod top_k;
mod top_p;

use musicot_core::tch::Tensor;

use crate::Result;

pub use allow::{Allow, allow};
pub use min_p::MinP;
pub use repetition::RepetitionPenalty;
pub use temperature::Temperature;
pub use top_k::TopK;
pub use top_p::TopP;

/// One change to logits.
///
/// # Implementing
/// Rows are independent: what a row becomes must depend on that row and its history alone, or draws would depend on the
/// batch. A token is forbidden by -infinity. Leave rows that are wholly -infinity or hold NaN as they are: the
/// draw reports them. Errors of your own go into [`crate::Error::Transform`].
///
/// ```
/// use musicot_sampling::{LogitsTransform, Result, core::tch::Tensor};
///
/// /// Makes every token less likely the longer the song is.
/// struct Tire(f64);
///
/// impl LogitsTransform for Tire {
///     fn apply(&self, logits: Tensor, history: &[Vec<i64>]) -> Result<Tensor> {
///         let lengths: Vec<f32> = history.iter().map(|tokens| tokens.len() as f32).collect();
///         let column = Tensor::from_slice(&lengths).unsqueeze(1);
///         Ok(logits - column * self.0)
///     }
/// }
///
/// let transform: Box<dyn LogitsTransform> = Box::new(Tire(0.5));
/// let logits = transform.apply(Tensor::from_slice(&[1.0_f32, 2.0]).unsqueeze(0), &[vec![0, 1]])?;
/// assert_eq!(logits.double_value(&[0, 1]), 1.0);
/// # Ok::<(), musicot_sampling::Error>(())
/// ```
pub trait LogitsTransform: Send {
    /// Logits `[batch, vocab]` (f32) to logits of the same shape. `history` holds the tokens of each row so far, in order.
    ///
    /// # Errors
    /// [`crate::Error::Core`] for a wrong shape or element type, or a history that does not fit.
    fn apply(&self, logits: Tensor, history: &[Vec<i64>]) -> Result<Tensor>;
}

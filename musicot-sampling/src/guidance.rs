//! Classifier-free guidance on logits.

use musicot_core::tch::Tensor;
use musicot_core::{Error as CoreError, GuidanceScale, shape};

use crate::{Result, input};

/// Guidance of a model that sees the condition in one branch and not in the other.
///
/// The form is that of MusicGen (Copet et al., 2023): `uncond + scale * (cond - uncond)` on raw logits, before any
/// [`crate::LogitsTransform`] and before any mask. Taking log-probabilities instead would shift each row by a constant and so
/// draw from the same distribution. The MusiCoT paper gives the scales but not the form: it is our choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guidance {
    /// How far to go from the unconditional to the conditional logits.
    pub scale: GuidanceScale,
}

impl Guidance {
    /// Guidance of the given strength.
    pub fn new(scale: GuidanceScale) -> Self {
        Self { scale }
    }

    /// Whether the unconditional branch matters; without it, the model need not run it.
    pub fn needs_unconditional(&self) -> bool {
        !self.scale.is_neutral()
    }

    /// Guided logits `[batch, vocab]` from two tensors of that shape.
    /// A neutral scale returns the conditional logits bit for bit.
    ///
    /// # Errors
    /// [`crate::Error::Core`] for a wrong shape or element type.
    pub fn combine(&self, conditional: &Tensor, unconditional: &Tensor) -> Result<Tensor> {
        let (batch, vocab) = input::logits_size(conditional)?;
        shape::expect("unconditional logits [batch, vocab]", unconditional, &[batch, vocab])?;
        shape::expect_kind("unconditional logits", unconditional, conditional.kind())?;
        Ok(self.scale.apply(conditional, unconditional)?)
    }

    /// Guided logits `[batch, vocab]` from logits `[2 * batch, vocab]` whose first half is conditional and whose second half is
    /// unconditional, in the same order of songs.
    ///
    /// # Errors
    /// [`crate::Error::Core`] for a wrong shape or element type, or an odd number of rows.
    ///
    /// ```
    /// use musicot_sampling::{Guidance, core::{GuidanceScale, tensor, tch::Tensor}};
    /// let logits = Tensor::from_slice(&[1.0_f32, 3.0, 0.0, 1.0]).reshape([2, 2]);
    /// let guided = Guidance::new(GuidanceScale::new(2.0)?).combine_halves(&logits)?;
    /// assert_eq!(tensor::to_vec(&guided)?, [2.0, 5.0]);
    /// # Ok::<(), musicot_sampling::Error>(())
    /// ```
    pub fn combine_halves(&self, logits: &Tensor) -> Result<Tensor> {
        let (rows, _) = input::logits_size(logits)?;
        if rows % 2 != 0 {
            let reason = format!("expected a conditional and an unconditional half, got {rows} rows");
            return Err(CoreError::input("logits", reason).into());
        }
        let half = rows / 2;
        self.combine(&logits.f_narrow(0, 0, half)?, &logits.f_narrow(0, half, half)?)
    }
}

impl From<GuidanceScale> for Guidance {
    fn from(scale: GuidanceScale) -> Self {
        Self::new(scale)
    }
}

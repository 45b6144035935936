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

/// Guidance with a scale for each part of the condition (Brooks, Holynski and Efros, "InstructPix2Pix", CVPR 2023, equation 3):
/// `branches[0] + scales[0] * (branches[1] - branches[0]) + scales[1] * (branches[2] - branches[1])`, and so on. The first branch sees nothing of
/// the condition, each later one a part more; all are logits `[batch, vocab]`. With equal scales it is [`Guidance`] between the first and the last.
///
/// ```
/// use musicot_sampling::{core::{GuidanceScale, tensor, tch::Tensor}, nested_guidance};
/// let [nothing, style, style_and_key] = [0.0_f32, 1.0, 3.0].map(|logit| Tensor::from_slice(&[logit, 0.0]).reshape([1, 2]));
/// let scales = [GuidanceScale::new(2.0)?, GuidanceScale::new(5.0)?];
/// let guided = nested_guidance(&[nothing, style, style_and_key], &scales)?;
/// assert_eq!(tensor::to_vec(&guided)?, [12.0, 0.0]);
/// # Ok::<(), musicot_sampling::Error>(())
/// ```
///
/// # Errors
/// [`crate::Error::Core`] for a wrong shape or element type, or another number of scales than one per branch after the first.
pub fn nested_guidance(branches: &[Tensor], scales: &[GuidanceScale]) -> Result<Tensor> {
    let Some((first, rest)) = branches.split_first().filter(|(_, rest)| rest.len() == scales.len()) else {
        let reason =
            format!("expected one per branch after the first, got {} for {}", scales.len(), branches.len());
        return Err(CoreError::input("guidance scales", reason).into());
    };
    let (batch, vocab) = input::logits_size(first)?;
    let mut guided = first.shallow_clone();
    let mut before = first;
    for (branch, scale) in rest.iter().zip(scales) {
        shape::expect("logits of a branch [batch, vocab]", branch, &[batch, vocab])?;
        shape::expect_kind("logits of a branch", branch, first.kind())?;
        let step = branch.f_sub(before)?;
        guided = guided.f_add(&step.f_mul_scalar(scale.value())?)?;
        before = branch;
    }
    Ok(guided)
}

impl From<GuidanceScale> for Guidance {
    fn from(scale: GuidanceScale) -> Self {
        Self::new(scale)
    }
}

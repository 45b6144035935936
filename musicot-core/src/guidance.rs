//! Classifier-free guidance (Ho and Salimans, 2022), shared by sampling (on logits) and diffusion (on the model's output).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{Error, Result};

/// How far a guided output moves from the unconditional to the conditional one: 0 is unconditional, 1 conditional,
/// above 1 exaggerates the condition. Finite and at least 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct GuidanceScale(f64);

impl GuidanceScale {
    /// The conditional output unchanged.
    pub const NEUTRAL: Self = Self(1.0);

    /// A checked scale.
    ///
    /// # Errors
    /// [`Error::Input`] when negative or not finite.
    pub fn new(scale: f64) -> Result<Self> {
        if scale.is_finite() && scale >= 0.0 {
            return Ok(Self(scale));
        }
        Err(Error::input("guidance scale", format!("expected a finite number of at least 0, got {scale}")))
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// Whether the unconditional branch can be left out.
    pub fn is_neutral(self) -> bool {
        self.0 == 1.0
    }

    /// `unconditional + scale * (conditional - unconditional)`, elementwise on tensors of one shape.
    /// A neutral scale returns the conditional tensor itself, bit for bit.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    pub fn apply(self, conditional: &Tensor, unconditional: &Tensor) -> Result<Tensor> {
        if self.is_neutral() {
            return Ok(conditional.shallow_clone());
        }
        let difference = conditional.f_sub(unconditional)?;
        Ok(unconditional.f_add(&difference.f_mul_scalar(self.0)?)?)
    }
}

impl TryFrom<f64> for GuidanceScale {
    type Error = Error;

    fn try_from(scale: f64) -> Result<Self> {
        Self::new(scale)
    }
}

impl From<GuidanceScale> for f64 {
    fn from(scale: GuidanceScale) -> Self {
        scale.0
    }
}

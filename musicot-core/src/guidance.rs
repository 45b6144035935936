//! Classifier-free guidance (Ho and Salimans, 2022), shared by sampling (on logits) and diffusion (on the model's output).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{Error, Result, shape};

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
    /// [`Error::Shape`] when the shapes differ.
    pub fn apply(self, conditional: &Tensor, unconditional: &Tensor) -> Result<Tensor> {
        shape::expect("unconditional output", unconditional, &conditional.size())?;
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

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::{CounterRng, tensor::to_vec};

    fn outputs() -> (Tensor, Tensor) {
        let rng = CounterRng::new(3);
        (rng.normal(0, &[2, 5], Device::Cpu).unwrap(), rng.normal(1, &[2, 5], Device::Cpu).unwrap())
    }

    #[test]
    fn neutral_is_the_conditional_bit_for_bit() {
        let (conditional, unconditional) = outputs();
        let bits = |t: &Tensor| to_vec(t).unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let guided = GuidanceScale::NEUTRAL.apply(&conditional, &unconditional).unwrap();
        assert_eq!(bits(&guided), bits(&conditional));
    }

    #[test]
    fn other_scales_follow_the_formula() {
        let (conditional, unconditional) = outputs();
        for scale in [0.0, 0.5, 2.3] {
            let guided = GuidanceScale::new(scale).unwrap().apply(&conditional, &unconditional).unwrap();
            let (c, u) = (to_vec(&conditional).unwrap(), to_vec(&unconditional).unwrap());
            for (guided, (c, u)) in to_vec(&guided).unwrap().into_iter().zip(c.into_iter().zip(u)) {
                let expected = f64::from(u) + scale * (f64::from(c) - f64::from(u));
                // A few roundings of f32 at magnitudes below 8.
                assert!((f64::from(guided) - expected).abs() < 4e-6, "{guided} {expected}");
            }
        }
    }

    #[test]
    fn scales_and_shapes_are_checked() {
        for scale in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(GuidanceScale::new(scale).is_err());
        }
        assert!(serde_json::from_str::<GuidanceScale>("-1").is_err());
        assert_eq!(serde_json::from_str::<GuidanceScale>("2.3").unwrap().value(), 2.3);
        let (conditional, unconditional) = outputs();
        let error = GuidanceScale::NEUTRAL.apply(&conditional, &unconditional.narrow(0, 0, 1)).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }
}

//! Activations that a published configuration may name.

use musicot_core::Result;
use musicot_core::tch::Tensor;
use serde::{Deserialize, Serialize};

/// An activation, by the names of transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `x Phi(x)`, exact.
    #[default]
    #[serde(alias = "gelu_python")]
    Gelu,
    /// GELU by the hyperbolic tangent.
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    /// GELU by the logistic function, `x sigmoid(1.702 x)`.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    #[serde(alias = "swish")]
    Silu,
    /// The hyperbolic tangent.
    Tanh,
    /// The logistic function.
    Sigmoid,
}

impl Activation {
    /// Element by element.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Gelu => x.f_gelu("none")?,
            Self::GeluNew => x.f_gelu("tanh")?,
            Self::QuickGelu => x.f_mul(&x.f_mul_scalar(1.702)?.f_sigmoid()?)?,
            Self::Relu => x.f_relu()?,
            Self::Silu => x.f_silu()?,
            Self::Tanh => x.f_tanh()?,
            Self::Sigmoid => x.f_sigmoid()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 1, where each has another value.
    #[test]
    fn each_name_is_its_function() {
        for (name, expected) in [
            ("gelu", 0.841_344_75),
            ("gelu_new", 0.841_192),
            ("gelu_pytorch_tanh", 0.841_192),
            ("quick_gelu", 0.845_795_8),
            ("relu", 1.0),
            ("silu", 0.731_058_6),
            ("swish", 0.731_058_6),
            ("tanh", 0.761_594_2),
            ("sigmoid", 0.731_058_6),
        ] {
            let activation: Activation = serde_json::from_value(name.into()).unwrap();
            let got = activation.apply(&Tensor::from_slice(&[1_f32])).unwrap().double_value(&[0]);
            assert!((got - expected).abs() < 1e-6, "{name}: {got}");
        }
        assert!(serde_json::from_value::<Activation>("gelu_10".into()).is_err());
    }
}

//! Snake (Ziyin et al., 2020): the identity plus a ripple, per channel.

use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

/// Keeps the height of a ripple finite where its divisor is 0.
const TINY: f64 = 1e-9;

/// Which function stands between convolutions, and how files hold its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nonlinearity {
    /// Of DAC: `x + sin^2(a x) / a`, with `alpha [1, channels, 1]` the frequency `a` itself.
    Snake,
    /// Of diffusers' Oobleck: `x + sin^2(a x) / b`, with `alpha` and `beta` `[1, channels, 1]` the logarithms.
    SnakeBeta,
    /// The same as stable-audio-tools keeps it: `[channels]`.
    FlatSnakeBeta,
    /// Exponential linear unit, without parameters.
    Elu,
}

/// The function itself.
#[derive(Debug)]
pub(super) enum Activation {
    Snake { alpha: Tensor },
    SnakeBeta { alpha: Tensor, beta: Tensor },
    Elu,
}

impl Activation {
    pub fn new(scope: &Scope, channels: i64, of: Nonlinearity) -> Result<Self> {
        let column = [1, channels, 1];
        let logarithm = |name: &str, shape: &[i64]| -> Result<Tensor> {
            Ok(scope.param(name, shape, Init::Const(0.0))?.f_view(column)?)
        };
        let both = |shape: &[i64]| -> Result<Self> {
            Ok(Self::SnakeBeta { alpha: logarithm("alpha", shape)?, beta: logarithm("beta", shape)? })
        };
        match of {
            Nonlinearity::Snake => {
                Ok(Self::Snake { alpha: scope.param("alpha", &column, Init::Const(1.0))? })
            }
            Nonlinearity::SnakeBeta => both(&column),
            Nonlinearity::FlatSnakeBeta => both(&[channels]),
            Nonlinearity::Elu => Ok(Self::Elu),
        }
    }

    /// `[batch, channels, frames] -> [batch, channels, frames]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Elu => Ok(x.f_elu()?),
            Self::Snake { alpha } => ripple(x, alpha, alpha),
            Self::SnakeBeta { alpha, beta } => ripple(x, &alpha.f_exp()?, &beta.f_exp()?),
        }
    }
}

/// `x + sin^2(frequency x) / divisor`, in place: at the rate of samples, every copy is a large one.
fn ripple(x: &Tensor, frequency: &Tensor, divisor: &Tensor) -> Result<Tensor> {
    let height = divisor.f_add_scalar(TINY)?.f_reciprocal()?;
    let mut ripple = x.f_mul(frequency)?;
    ripple = ripple.f_sin_()?.f_square_()?;
    ripple = ripple.f_mul_(&height)?;
    Ok(ripple.f_add_(x)?)
}

//! Small maps of the conditions, and the rotary positions.

use std::f64::consts::PI;

use musicot_core::nn::{Linear, Rope};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Init, Scope};

use crate::Result;

/// Random Fourier features: `cos(2 pi t w)`, then `sin(2 pi t w)`.
#[derive(Debug)]
pub(super) struct FourierFeatures {
    weight: Tensor,
}

impl FourierFeatures {
    /// Parameter `name`, `[dim / 2]`, or `[dim / 2, 1]` as a `column`.
    pub(super) fn new(scope: &Scope, name: &str, dim: i64, column: bool) -> Result<Self> {
        let shape = [dim / 2, 1];
        let shape = if column { &shape[..] } else { &shape[..1] };
        Ok(Self { weight: scope.param(name, shape, Init::Normal(1.0))? })
    }

    pub(super) fn kind(&self) -> Kind {
        self.weight.kind()
    }

    /// The angles for values of any shape, `[..] -> [.., dim / 2]`, in f32 at least: half precision would lose the turns.
    pub(super) fn angles(&self, values: &Tensor) -> Result<Tensor> {
        let kind = if self.weight.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        let values = values.f_to_kind(self.weight.kind())?.f_to_kind(kind)?.f_unsqueeze(-1)?;
        let weight = self.weight.f_reshape([-1])?.f_to_kind(kind)?;
        Ok(values.f_mul_scalar(2.0 * PI)?.f_mul(&weight)?)
    }

    /// `[batch] -> [batch, dim]`.
    pub(super) fn forward(&self, time: &Tensor) -> Result<Tensor> {
        let angles = self.angles(time)?;
        Ok(Tensor::f_cat(&[angles.f_cos()?, angles.f_sin()?], -1)?.f_to_kind(self.weight.kind())?)
    }
}

/// Two affine maps with a SiLU between them, named `0` and `2`.
#[derive(Debug)]
pub(super) struct Projection {
    first: Linear,
    second: Linear,
}

impl Projection {
    pub(super) fn new(scope: &Scope, inputs: i64, outputs: i64, bias: bool) -> Result<Self> {
        Ok(Self {
            first: Linear::new(&scope.sub(0), inputs, outputs, bias)?,
            second: Linear::new(&scope.sub(2), outputs, outputs, bias)?,
        })
    }

    /// `[.., inputs] -> [.., outputs]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(x)?.f_silu()?)
    }
}

/// Base of the rotary frequencies.
const THETA: f64 = 10_000.0;

/// Rotary positions of the first `dims` of each head. The frequencies are computed in f32 by libtorch, as the reference does: at 1000 frames
/// a difference in their last digit is one in the fifth digit of a sine.
pub(super) fn rotary(dims: i64, device: Device) -> Result<Rope> {
    let even: Vec<f32> = (0..dims).step_by(2).map(|dim| dim as f32).collect();
    let exponents = Tensor::f_from_slice(&even)?.f_div_scalar(dims)?;
    let base = Tensor::f_from_slice(&[THETA as f32])?;
    let frequencies = base.f_pow(&exponents)?.f_reciprocal()?;
    Rope::from_frequencies(&musicot_core::tensor::to_vec(&frequencies)?, device)
}

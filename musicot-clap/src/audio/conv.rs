//! Convolution over pictures.

use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

/// A convolution with bias.
#[derive(Debug)]
pub(super) struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: [i64; 2],
    padding: [i64; 2],
}

impl Conv2d {
    pub(super) fn new(
        scope: &Scope,
        [inputs, outputs]: [i64; 2],
        kernel: [i64; 2],
        stride: [i64; 2],
        padding: [i64; 2],
    ) -> Result<Self> {
        let shape = [outputs, inputs, kernel[0], kernel[1]];
        let init = Init::fan_in(inputs * kernel[0] * kernel[1]);
        Ok(Self {
            weight: scope.param("weight", &shape, init)?,
            bias: scope.param("bias", &[outputs], Init::Const(0.0))?,
            stride,
            padding,
        })
    }

    /// One value of each channel to one value of each: a linear map of the channels.
    pub(super) fn pointwise(scope: &Scope, channels: [i64; 2]) -> Result<Self> {
        Self::new(scope, channels, [1, 1], [1, 1], [0, 0])
    }

    /// `[batch, inputs, rows, columns] -> [batch, outputs, rows', columns']`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.f_to_kind(self.weight.kind())?;
        Ok(x.f_conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, [1, 1], 1)?)
    }
}

//! Transposed convolution: the stretching counterpart of a strided one.

use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

/// Sizes of a [`Transposed`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransposedSizes {
    pub inputs: i64,
    pub outputs: i64,
    pub kernel: i64,
    pub stride: i64,
    /// Frames cut off on each side.
    pub padding: i64,
}

/// Parameters `weight [inputs, outputs, kernel]` and `bias [outputs]`.
#[derive(Debug)]
pub(crate) struct Transposed {
    weight: Tensor,
    bias: Tensor,
    sizes: TransposedSizes,
}

impl Transposed {
    pub fn new(scope: &Scope, sizes: TransposedSizes) -> Result<Self> {
        let TransposedSizes { inputs, outputs, kernel, .. } = sizes;
        let init = Init::fan_in(outputs.saturating_mul(kernel));
        Ok(Self {
            weight: scope.param("weight", &[inputs, outputs, kernel], init)?,
            bias: scope.param("bias", &[outputs], Init::Const(0.0))?,
            sizes,
        })
    }

    /// `[batch, inputs, frames] -> [batch, outputs, (frames - 1) * stride + kernel - 2 * padding]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let TransposedSizes { stride, padding, .. } = self.sizes;
        Ok(x.f_conv_transpose1d(&self.weight, Some(&self.bias), [stride], [padding], [0], 1, [1])?)
    }
}

//! The ConvNeXt block in one dimension (Liu et al., 2022; as in the backbone of Vocos).

use tch::Tensor;

use super::{Conv1d, Conv1dConfig, LayerNorm, Linear};
use crate::{Init, Result, Scope};

/// Frames that the depthwise convolution spans.
const KERNEL: i64 = 7;

/// A residual block: a depthwise convolution, then a wider layer frame by frame.
#[derive(Debug)]
pub struct ConvNeXtBlock {
    mix: Conv1d,
    norm: LayerNorm,
    expand: Linear,
    contract: Linear,
    gamma: Tensor,
}

impl ConvNeXtBlock {
    /// Frames on each side that an output frame depends on.
    pub const REACH: i64 = KERNEL / 2;

    /// Parameters `dwconv`, `norm`, `pwconv1` (to `hidden`), `pwconv2` and `gamma`, the scale of the output, which starts where it is given.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when a size is not positive; see [`Scope::param`].
    pub fn new(scope: &Scope, dim: i64, hidden: i64, gamma: f64) -> Result<Self> {
        Ok(Self {
            mix: Conv1d::new(&scope.sub("dwconv"), Conv1dConfig::depthwise(dim, KERNEL))?,
            norm: LayerNorm::new(&scope.sub("norm"), dim, 1e-6)?,
            expand: Linear::new(&scope.sub("pwconv1"), dim, hidden, true)?,
            contract: Linear::new(&scope.sub("pwconv2"), hidden, dim, true)?,
            gamma: scope.param("gamma", &[dim], Init::Const(gamma))?,
        })
    }

    /// `[batch, frames, dim] -> [batch, frames, dim]`.
    ///
    /// # Errors
    /// libtorch refuses another width.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mixed = self.mix.forward(&x.f_transpose(1, 2)?)?.f_transpose(1, 2)?;
        let hidden = self.expand.forward(&self.norm.forward(&mixed)?)?.f_gelu("none")?;
        Ok(x.f_add(&self.contract.forward(&hidden)?.f_mul(&self.gamma)?)?)
    }
}

//! ConvNeXt blocks in one dimension (Liu et al., 2022; as in the Vocos backbone): everything at frame rate, no upsampling.

use musicot_core::nn::{Conv1d, Conv1dConfig, LayerNorm, Linear};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

/// Frames that a block's depthwise convolution spans.
const KERNEL: i64 = 7;

/// A stack of residual blocks between two projections.
#[derive(Debug)]
pub(crate) struct ConvNeXt {
    input: Linear,
    norm: LayerNorm,
    blocks: Vec<Block>,
    output_norm: LayerNorm,
    output: Linear,
}

/// Sizes of a [`ConvNeXt`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub inputs: i64,
    pub outputs: i64,
    pub dim: i64,
    pub hidden: i64,
    pub blocks: i64,
}

impl Sizes {
    /// Frames on each side that an output frame depends on.
    pub fn reach(&self) -> i64 {
        self.blocks * (KERNEL / 2)
    }
}

impl ConvNeXt {
    pub fn new(scope: &Scope, sizes: Sizes) -> Result<Self> {
        let Sizes { inputs, outputs, dim, hidden, blocks } = sizes;
        Ok(Self {
            input: Linear::new(&scope.sub("embed"), inputs, dim, true)?,
            norm: LayerNorm::new(&scope.sub("norm"), dim, 1e-6)?,
            blocks: (0..blocks)
                .map(|i| Block::new(&scope.sub("blocks").sub(i), dim, hidden, 1.0 / blocks as f64))
                .collect::<Result<_>>()?,
            output_norm: LayerNorm::new(&scope.sub("output_norm"), dim, 1e-6)?,
            output: Linear::new(&scope.sub("output"), dim, outputs, true)?,
        })
    }

    /// `[batch, inputs, frames] -> [batch, outputs, frames]`, of the input's kind under mixed precision too.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kind = x.kind();
        let mut x = self.norm.forward(&self.input.forward(&x.f_transpose(1, 2)?)?.f_to_kind(kind)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        Ok(self.output.forward(&self.output_norm.forward(&x)?)?.f_transpose(1, 2)?.f_to_kind(kind)?)
    }
}

/// A residual block: a depthwise convolution, then a wider layer frame by frame.
#[derive(Debug)]
pub(crate) struct Block {
    mix: Conv1d,
    norm: LayerNorm,
    expand: Linear,
    contract: Linear,
    gamma: Tensor,
}

impl Block {
    /// `gamma` is where the scale of the output starts.
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
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mixed = self.mix.forward(&x.f_transpose(1, 2)?)?.f_transpose(1, 2)?;
        let hidden = self.expand.forward(&self.norm.forward(&mixed)?)?.f_gelu("none")?;
        Ok(x.f_add(&self.contract.forward(&hidden)?.f_mul(&self.gamma)?)?)
    }
}

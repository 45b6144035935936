//! A stack of ConvNeXt blocks: everything at frame rate, no upsampling.

use musicot_core::nn::{ConvNeXtBlock, LayerNorm, Linear};
use musicot_core::tch::Tensor;
use musicot_core::{Result, Scope};

/// A stack of residual blocks between two projections.
#[derive(Debug)]
pub(crate) struct ConvNeXt {
    input: Linear,
    norm: LayerNorm,
    blocks: Vec<ConvNeXtBlock>,
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
        self.blocks * ConvNeXtBlock::REACH
    }
}

impl ConvNeXt {
    pub fn new(scope: &Scope, sizes: Sizes) -> Result<Self> {
        let Sizes { inputs, outputs, dim, hidden, blocks } = sizes;
        Ok(Self {
            input: Linear::new(&scope.sub("embed"), inputs, dim, true)?,
            norm: LayerNorm::new(&scope.sub("norm"), dim, 1e-6)?,
            blocks: (0..blocks)
                .map(|i| ConvNeXtBlock::new(&scope.sub("blocks").sub(i), dim, hidden, 1.0 / blocks as f64))
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

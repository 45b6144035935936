//! What the conditions mean for each frame, read before any latents are looked at.

use musicot_core::Scope;
use musicot_core::nn::{ConvNeXtBlock, LayerNorm, Linear};
use musicot_core::tch::Tensor;

use crate::{DitConfig, Result};

/// Convolutions over the frame-aligned conditions. A token's meaning hangs on its neighbours; the blocks behind, which see noise as well, learn that
/// slowly by themselves. The reader is taught directly: it estimates the latents (as the encoder of Matcha-TTS does, Mehta et al., 2024).
#[derive(Debug)]
pub(super) struct Reader {
    blocks: Vec<ConvNeXtBlock>,
    norm: LayerNorm,
    context: Linear,
    estimate: Linear,
}

impl Reader {
    /// `None` for a model without one.
    pub(super) fn new(scope: &Scope, config: &DitConfig) -> Result<Option<Self>> {
        let (count, width) = (config.reader_blocks, config.width);
        if count == 0 {
            return Ok(None);
        }
        let block =
            |index| ConvNeXtBlock::new(&scope.sub("blocks").sub(index), width, 2 * width, 1.0 / count as f64);
        Ok(Some(Self {
            blocks: (0..count).map(block).collect::<Result<_>>()?,
            norm: LayerNorm::new(&scope.sub("norm"), width, 1e-6)?,
            context: Linear::new(&scope.sub("context"), width, width, false)?,
            estimate: Linear::new(&scope.sub("estimate"), width, config.latent_dim, true)?,
        }))
    }

    /// Conditions `[batch, frames, width]` to what [`Reader::context`] and [`Reader::estimate`] make something of, of the same shape.
    pub(super) fn read(&self, conditions: &Tensor) -> Result<Tensor> {
        let mut x = conditions.shallow_clone();
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.norm.forward(&x)
    }

    /// What is added to the residual stream, `[batch, frames, width]`.
    pub(super) fn context(&self, read: &Tensor) -> Result<Tensor> {
        self.context.forward(read)
    }

    /// Normalised latents `[batch, latent_dim, frames]`, as far as they follow from the conditions.
    pub(super) fn estimate(&self, read: &Tensor) -> Result<Tensor> {
        Ok(self.estimate.forward(read)?.f_transpose(1, 2)?)
    }
}

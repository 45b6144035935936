//! Noised latents and frame-aligned conditions to the residual stream.

use musicot_core::nn::{Conv1d, Conv1dConfig, Embedding, Linear};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Init, Scope};

use super::modulation::keep_or;
use super::reader::Reader;
use crate::condition::Thoughts;
use crate::{Condition, DitConfig, Result};

/// Each input is projected to the residual stream's width, and the projections are added (which is what a projection of the
/// concatenation would do).
#[derive(Debug)]
pub(super) struct Inputs {
    latents: Linear,
    semantic: Embedding,
    semantic_context: Conv1d,
    semantic_null: Tensor,
    thoughts: Linear,
    thoughts_null: Tensor,
    known: Tensor,
    reader: Option<Reader>,
}

/// What the blocks begin with.
pub(super) struct Entered {
    /// `[batch, frames, width]`.
    pub(super) hidden: Tensor,
    /// What the reader made of the conditions, see [`Inputs::estimate`]; `None` without a reader.
    read: Option<Tensor>,
}

impl Inputs {
    pub(super) fn new(scope: &Scope, config: &DitConfig) -> Result<Self> {
        let width = config.width;
        let context = Conv1dConfig::same(config.semantic_dim, width, config.semantic_kernel);
        let vector = |name: &str| scope.param(name, &[width], Init::Const(0.0));
        Ok(Self {
            latents: Linear::new(&scope.sub("latents"), config.latent_dim, width, true)?,
            semantic: Embedding::new(&scope.sub("semantic"), config.semantic_vocab, config.semantic_dim)?,
            semantic_context: Conv1d::new(&scope.sub("semantic_context"), context)?,
            semantic_null: vector("semantic_null")?,
            thoughts: Linear::new(&scope.sub("thoughts"), config.thought_dim, width, true)?,
            thoughts_null: vector("thoughts_null")?,
            known: vector("known")?,
            reader: Reader::new(&scope.sub("reader"), config)?,
        })
    }

    /// `x [batch, latent_dim, frames]` and its conditions.
    pub(super) fn forward(&self, x: &Tensor, condition: &Condition) -> Result<Entered> {
        let latents = self.latents.forward(&x.f_to_kind(Kind::Float)?.f_transpose(1, 2)?)?;
        let given = self.semantic(condition)?.f_add(&self.thoughts(condition)?)?;
        let (context, read) = match &self.reader {
            None => (given, None),
            Some(reader) => {
                let read = reader.read(&given.f_expand(latents.size(), false)?)?;
                (reader.context(&read)?, Some(read))
            }
        };
        let sum = latents.f_add(&context)?;
        let hidden = match &condition.known {
            None => sum,
            Some(known) => sum.f_addcmul(&known.f_unsqueeze(-1)?.f_to_kind(Kind::Float)?, &self.known)?,
        };
        Ok(Entered { hidden, read })
    }

    /// What the conditions alone say of the latents: normalised `[batch, latent_dim, frames]`; `None` without a reader.
    pub(super) fn estimate(&self, entered: &Entered) -> Result<Option<Tensor>> {
        let (Some(reader), Some(read)) = (&self.reader, &entered.read) else { return Ok(None) };
        Ok(Some(reader.estimate(read)?))
    }

    fn semantic(&self, condition: &Condition) -> Result<Tensor> {
        let Some(tokens) = &condition.semantic else { return Ok(self.semantic_null.shallow_clone()) };
        // Tables start small; without the factor the tokens would first be drowned by the latents.
        let scale = (self.semantic.weight().size()[1] as f64).sqrt();
        let embedded = self.semantic.forward(tokens)?.f_mul_scalar(scale)?.f_transpose(1, 2)?;
        let context = self.semantic_context.forward(&embedded)?.f_transpose(1, 2)?;
        keep_or(context, condition.keep.semantic.as_ref(), &self.semantic_null)
    }

    fn thoughts(&self, condition: &Condition) -> Result<Tensor> {
        let Some(Thoughts { embeddings, frame_windows }) = &condition.thoughts else {
            return Ok(self.thoughts_null.shallow_clone());
        };
        let projected = self.thoughts.forward(&embeddings.f_to_kind(Kind::Float)?)?;
        let (batch, frames) = frame_windows.size2()?;
        let index = frame_windows.f_unsqueeze(-1)?.f_expand([batch, frames, projected.size()[2]], false)?;
        let per_frame = projected.f_gather(1, &index, false)?;
        keep_or(per_frame, condition.keep.thoughts.as_ref(), &self.thoughts_null)
    }
}

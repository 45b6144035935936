//! One transformer block.

use musicot_core::nn::{Attention, AttentionConfig, RopeTable, SwiGlu};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Scope};

use super::modulation::{Global, modulate, normalise};
use crate::{DitConfig, Result};

/// Self-attention over all frames and a gated feed-forward network, each shifted, scaled and gated by the global condition
/// (adaLN-zero).
#[derive(Debug)]
pub(super) struct Block {
    attention: Attention,
    feed_forward: SwiGlu,
    /// `[6, width]`, added to the shared modulation.
    table: Tensor,
}

impl Block {
    pub(super) fn new(scope: &Scope, config: &DitConfig) -> Result<Self> {
        let attention = AttentionConfig {
            dim: config.width,
            context_dim: config.width,
            heads: config.heads,
            kv_heads: config.heads,
            head_dim: config.head_dim(),
            bias: false,
        };
        Ok(Self {
            attention: Attention::new(&scope.sub("attention"), attention)?,
            feed_forward: SwiGlu::new(&scope.sub("feed_forward"), config.width, config.ffn_dim())?,
            table: scope.table("modulation", &[6, config.width], Init::Const(0.0))?,
        })
    }

    /// `[batch, frames, width] -> [batch, frames, width]`.
    pub(super) fn forward(&self, x: &Tensor, global: &Global, rope: &RopeTable) -> Result<Tensor> {
        let modulation = global.shared.f_add(&self.table)?;
        let part = |index: i64| modulation.f_narrow(1, index, 1);
        let inner = modulate(&normalise(x)?, &part(0)?, &part(1)?)?;
        let x = x.f_addcmul(&part(2)?, &self.attention.self_attend(&inner, Some(rope), None, None)?)?;
        let inner = modulate(&normalise(&x)?, &part(3)?, &part(4)?)?;
        Ok(x.f_addcmul(&part(5)?, &self.feed_forward.forward(&inner)?)?)
    }
}

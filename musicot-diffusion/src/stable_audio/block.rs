//! One transformer block.

use musicot_core::nn::{Attention, AttentionConfig, LayerNorm, RopeTable, SwiGlu};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Scope};

use super::StableAudioDitConfig;
use crate::Result;

/// As stable-audio-tools has it for normalised heads, whatever the blocks' norms have.
const HEAD_NORM_EPS: f64 = 1e-6;

/// Self-attention over all frames, cross-attention to the text, and a gated feed-forward network, each after a norm and around a
/// residual.
#[derive(Debug)]
pub(super) struct Block {
    norms: [LayerNorm; 3],
    own: Attention,
    cross: Attention,
    feed_forward: SwiGlu,
}

impl Block {
    pub(super) fn new(scope: &Scope, config: &StableAudioDitConfig) -> Result<Self> {
        let (width, hidden) = (config.width(), config.hidden());
        let norm = |name| LayerNorm::new(&scope.sub(name), width, config.norm_eps);
        let own = AttentionConfig {
            dim: width,
            context_dim: width,
            heads: config.num_attention_heads,
            kv_heads: config.num_attention_heads,
            head_dim: config.attention_head_dim,
            bias: false,
        };
        let cross = AttentionConfig {
            context_dim: config.cross_attention_dim,
            kv_heads: config.num_key_value_attention_heads,
            ..own
        };
        let attention = |name, sizes| match config.head_norms {
            true => Attention::with_head_norms(&scope.sub(name), sizes, HEAD_NORM_EPS),
            false => Attention::new(&scope.sub(name), sizes),
        };
        let (read, write) = (Init::fan_in(width), Init::fan_in(hidden));
        Ok(Self {
            norms: [norm("norm1")?, norm("norm2")?, norm("norm3")?],
            own: attention("attn1", own)?,
            cross: attention("attn2", cross)?,
            feed_forward: SwiGlu::with_init(&scope.sub("ff"), width, hidden, true, read, write)?,
        })
    }

    /// `[batch, frames, width]`, with `text [batch, seq, cross_attention_dim]` and `mask [batch, 1, 1, seq]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        rope: &RopeTable,
        text: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<Tensor> {
        let [before_own, before_cross, before_feed] = &self.norms;
        let x = self.own.self_attend(&before_own.forward(x)?, Some(rope), None, None)?.f_add(x)?;
        let x = self.cross.cross_attend(&before_cross.forward(&x)?, text, mask)?.f_add(&x)?;
        Ok(self.feed_forward.forward(&before_feed.forward(&x)?)?.f_add(&x)?)
    }
}

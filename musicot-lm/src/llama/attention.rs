//! Grouped-query attention: over a whole sequence, and one position at a time against a cache.

use musicot_core::nn::{Linear, RopeTable};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Init, Scope, tensor};

use super::LlamaConfig;
use crate::Result;

/// Projections around scaled dot-product attention.
#[derive(Debug)]
pub(super) struct Attention {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Linear,
    heads: i64,
    kv_heads: i64,
    head_dim: i64,
}

/// Keys and values of one layer, `[batch, kv_heads, slots, head_dim]`: the prefix, then a ring of rolled positions. The order of keys
/// does not matter to attention, since each carries its position in its rotation; so the oldest is simply overwritten.
#[derive(Debug)]
pub(super) struct LayerCache {
    key: Tensor,
    value: Tensor,
    /// The prefix's keys as first rotated, kept once the prefix is moved along.
    unmoved: Option<Tensor>,
}

/// Where new keys go and what is then visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slots {
    /// First slot written.
    pub(super) start: i64,
    /// Slots visible afterwards.
    pub(super) visible: i64,
}

impl Attention {
    pub(super) fn new(scope: &Scope, config: &LlamaConfig) -> Result<Self> {
        let (dim, head) = (config.hidden_size, config.head_size());
        let (queries, keys) = (config.num_attention_heads * head, config.num_key_value_heads * head);
        let (read, write, bias) = (initial(), initial_residual(config), config.attention_bias);
        Ok(Self {
            query: Linear::with_init(&scope.sub("q_proj"), dim, queries, bias, read)?,
            key: Linear::with_init(&scope.sub("k_proj"), dim, keys, bias, read)?,
            value: Linear::with_init(&scope.sub("v_proj"), dim, keys, bias, read)?,
            output: Linear::with_init(&scope.sub("o_proj"), queries, dim, bias, write)?,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: head,
        })
    }

    /// `x [batch, seq, dim]` to the same shape; `mask` (added to the scores) broadcasts to `[batch, heads, seq, seq]`, causal without it.
    pub(super) fn forward(&self, x: &Tensor, rope: &RopeTable, mask: Option<&Tensor>) -> Result<Tensor> {
        let query = rope.apply(&self.split(&self.query, x, self.heads)?)?;
        let key = self.repeat(&rope.apply(&self.split(&self.key, x, self.kv_heads)?)?)?;
        let value = self.repeat(&self.split(&self.value, x, self.kv_heads)?)?;
        let attended = Tensor::f_scaled_dot_product_attention(
            &query,
            &key,
            &value,
            mask,
            0.0,
            mask.is_none(),
            None,
            false,
        )?;
        self.join(&attended.f_transpose(1, 2)?)
    }

    /// New positions `x [batch, new, dim]` against a cache that takes them in first.
    pub(super) fn cached(
        &self,
        x: &Tensor,
        rope: &RopeTable,
        mask: Option<&Tensor>,
        cache: &LayerCache,
        slots: Slots,
    ) -> Result<Tensor> {
        let new = x.size()[1];
        let query = rope.apply(&self.split(&self.query, x, self.heads)?)?;
        let key = rope.apply(&self.split(&self.key, x, self.kv_heads)?)?;
        let value = self.split(&self.value, x, self.kv_heads)?;
        cache.key.f_narrow(2, slots.start, new)?.f_copy_(&key)?;
        cache.value.f_narrow(2, slots.start, new)?.f_copy_(&value)?;
        let keys = cache.key.f_narrow(2, 0, slots.visible)?;
        let values = cache.value.f_narrow(2, 0, slots.visible)?;
        if new == 1 {
            return self.attend_one(&query, &keys, &values, mask);
        }
        let (keys, values) = (self.repeat(&keys)?, self.repeat(&values)?);
        let attended =
            Tensor::f_scaled_dot_product_attention(&query, &keys, &values, mask, 0.0, false, None, false)?;
        self.join(&attended.f_transpose(1, 2)?)
    }

    /// One query position: the heads of a group are treated as rows of one head, so that no key is copied.
    fn attend_one(
        &self,
        query: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<Tensor> {
        let batch = query.size()[0];
        let rows = query.f_reshape([batch, self.kv_heads, self.heads / self.kv_heads, self.head_dim])?;
        let attended =
            Tensor::f_scaled_dot_product_attention(&rows, keys, values, mask, 0.0, false, None, false)?;
        self.join(&attended.f_reshape([batch, 1, self.heads, self.head_dim])?)
    }

    /// `[batch, seq, heads, head_dim]` to `[batch, seq, dim]`.
    fn join(&self, attended: &Tensor) -> Result<Tensor> {
        let size = attended.size();
        let joined = attended.f_reshape([size[0], size[1], self.heads * self.head_dim])?;
        Ok(self.output.forward(&joined)?)
    }

    /// `[batch, seq, dim]` to `[batch, heads, seq, head_dim]`.
    fn split(&self, projection: &Linear, x: &Tensor, heads: i64) -> Result<Tensor> {
        let (batch, seq, _) = x.size3()?;
        Ok(projection.forward(x)?.f_reshape([batch, seq, heads, self.head_dim])?.f_transpose(1, 2)?)
    }

    /// Each key/value head once per query head of its group, consecutively.
    fn repeat(&self, x: &Tensor) -> Result<Tensor> {
        if self.heads == self.kv_heads {
            return Ok(x.shallow_clone());
        }
        let size = x.size();
        let group = self.heads / self.kv_heads;
        let expanded = x.f_unsqueeze(2)?.f_expand([size[0], size[1], group, size[2], size[3]], false)?;
        Ok(expanded.f_reshape([size[0], self.heads, size[2], size[3]])?)
    }
}

impl LayerCache {
    pub(super) fn new(
        config: &LlamaConfig,
        batch: i64,
        slots: i64,
        kind: Kind,
        device: Device,
    ) -> Result<Self> {
        let shape = [batch, config.num_key_value_heads, slots, config.head_size()];
        let options = (kind, device);
        Ok(Self {
            key: Tensor::f_zeros(shape, options)?,
            value: Tensor::f_zeros(shape, options)?,
            unmoved: None,
        })
    }

    /// Moves the keys of the first `prefix` slots from where they were first, by the rotation that `rope` holds for each of them.
    pub(super) fn move_prefix(&mut self, prefix: i64, rope: &RopeTable) -> Result<()> {
        let mut slots = self.key.f_narrow(2, 0, prefix)?;
        let unmoved = match &self.unmoved {
            Some(unmoved) => unmoved,
            None => self.unmoved.insert(tensor::copy(&slots)?),
        };
        slots.f_copy_(&rope.apply(unmoved)?)?;
        Ok(())
    }
}

/// Standard deviation of LLaMA's initial weights, that of the embeddings: wider ones would bury a token under what the layers add to it, and a small model
/// would take thousands of steps to find it again.
const INITIAL_STD: f64 = 0.02;

/// Initial weights of matrices that read the residual stream.
pub(super) fn initial() -> Init {
    Init::Normal(INITIAL_STD)
}

/// Initial weights of matrices that write into the residual stream: smaller with depth, so that its variance starts out independent of it
/// (Radford et al., 2019).
pub(super) fn initial_residual(config: &LlamaConfig) -> Init {
    Init::Normal(INITIAL_STD / (2.0 * config.num_hidden_layers as f64).sqrt())
}

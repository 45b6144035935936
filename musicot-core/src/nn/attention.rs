//! Multi-head attention with grouped key/value heads, rotary positions and a key/value cache.

use tch::{Kind, Tensor};

use super::{LayerNorm, Linear, RopeTable};
use crate::{Error, Result, Scope, shape, tensor};

/// Sizes of an [`Attention`].
#[derive(Debug, Clone, Copy)]
pub struct AttentionConfig {
    /// Width of the queries' input and of the output.
    pub dim: i64,
    /// Width of the keys' and values' input; `dim` for self-attention.
    pub context_dim: i64,
    /// Query heads.
    pub heads: i64,
    /// Key/value heads; divides `heads` (grouped-query attention).
    pub kv_heads: i64,
    /// Width of a head.
    pub head_dim: i64,
    /// Whether the projections have a bias.
    pub bias: bool,
}

impl AttentionConfig {
    /// Widths of all query heads and of all key/value heads.
    fn validate(&self) -> Result<(i64, i64)> {
        let sizes = [
            ("dim", self.dim),
            ("context_dim", self.context_dim),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_dim", self.head_dim),
        ];
        if let Some((field, size)) = sizes.into_iter().find(|(_, size)| *size <= 0) {
            return Err(Error::config(field, format!("expected a positive number, got {size}")));
        }
        if self.heads % self.kv_heads != 0 {
            let reason = format!("expected a divisor of heads = {}, got {}", self.heads, self.kv_heads);
            return Err(Error::config("kv_heads", reason));
        }
        let width = |heads: i64| {
            heads.checked_mul(self.head_dim).ok_or_else(|| Error::config("head_dim", "is too large"))
        };
        Ok((width(self.heads)?, width(self.kv_heads)?))
    }
}

/// Projections `q_proj`, `k_proj`, `v_proj`, `o_proj` around scaled dot-product attention.
#[derive(Debug)]
pub struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Of each query and of each key head.
    norms: Option<[LayerNorm; 2]>,
    config: AttentionConfig,
}

impl Attention {
    /// Makes the projections.
    ///
    /// # Errors
    /// [`Error::Config`] when a size is not positive or `kv_heads` does not divide `heads`; see [`Scope::param`].
    pub fn new(scope: &Scope, config: AttentionConfig) -> Result<Self> {
        let c = config;
        let (queries, keys) = c.validate()?;
        Ok(Self {
            query: Linear::new(&scope.sub("q_proj"), c.dim, queries, c.bias)?,
            key: Linear::new(&scope.sub("k_proj"), c.context_dim, keys, c.bias)?,
            value: Linear::new(&scope.sub("v_proj"), c.context_dim, keys, c.bias)?,
            output: Linear::new(&scope.sub("o_proj"), queries, c.dim, c.bias)?,
            norms: None,
            config,
        })
    }

    /// Like [`Attention::new`], with the normalisations `q_norm` and `k_norm` of each query and key head, before they are rotated.
    ///
    /// # Errors
    /// See [`Attention::new`].
    pub fn with_head_norms(scope: &Scope, config: AttentionConfig, eps: f64) -> Result<Self> {
        let plain = Self::new(scope, config)?;
        let norm = |name| LayerNorm::new(&scope.sub(name), config.head_dim, eps);
        Ok(Self { norms: Some([norm("q_norm")?, norm("k_norm")?]), ..plain })
    }

    /// Self-attention over `x [batch, seq, dim]`, keys and values of `cache` first when there is one.
    /// `mask` (bool, true = may attend) broadcasts to `[batch, heads, seq, cached + seq]`.
    ///
    /// # Errors
    /// [`Error::Input`] when the cache is full, [`Error::Shape`] when it was made for another batch or model; libtorch refuses other
    /// shapes that do not match.
    pub fn self_attend(
        &self,
        x: &Tensor,
        rope: Option<&RopeTable>,
        mask: Option<&Tensor>,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor> {
        let query = rotate(self.queries(x)?, rope)?;
        let key = rotate(self.keys(x)?, rope)?;
        let value = self.split(&self.value, x, self.config.kv_heads)?;
        match cache {
            None => self.attend(&query, &key, &value, mask),
            Some(cache) => {
                let (key, value) = cache.append(&key, &value)?;
                self.attend(&query, &key, &value, mask)
            }
        }
    }

    /// Cross-attention of `x [batch, seq, dim]` to `context [batch, context, context_dim]`;
    /// `mask` (bool, true = may attend) broadcasts to `[batch, heads, seq, context]`.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    pub fn cross_attend(&self, x: &Tensor, context: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let query = self.queries(x)?;
        let key = self.keys(context)?;
        let value = self.split(&self.value, context, self.config.kv_heads)?;
        self.attend(&query, &key, &value, mask)
    }

    fn queries(&self, x: &Tensor) -> Result<Tensor> {
        let heads = self.split(&self.query, x, self.config.heads)?;
        match &self.norms {
            Some([norm, _]) => norm.forward(&heads),
            None => Ok(heads),
        }
    }

    fn keys(&self, x: &Tensor) -> Result<Tensor> {
        let heads = self.split(&self.key, x, self.config.kv_heads)?;
        match &self.norms {
            Some([_, norm]) => norm.forward(&heads),
            None => Ok(heads),
        }
    }

    fn attend(&self, query: &Tensor, key: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let grouped = self.config.heads != self.config.kv_heads;
        let attended =
            Tensor::f_scaled_dot_product_attention(query, key, value, mask, 0.0, false, None, grouped)?;
        let (batch, seq) = (query.size()[0], query.size()[2]);
        let joined =
            attended.f_transpose(1, 2)?.f_reshape([batch, seq, self.config.heads * self.config.head_dim])?;
        self.output.forward(&joined)
    }

    /// `[batch, seq, dim] -> [batch, heads, seq, head_dim]`.
    fn split(&self, projection: &Linear, x: &Tensor, heads: i64) -> Result<Tensor> {
        let (batch, seq, _) = x.size3()?;
        Ok(projection.forward(x)?.f_reshape([batch, seq, heads, self.config.head_dim])?.f_transpose(1, 2)?)
    }
}

fn rotate(x: Tensor, rope: Option<&RopeTable>) -> Result<Tensor> {
    match rope {
        None => Ok(x),
        Some(table) => table.apply(&x),
    }
}

/// Keys and values of the positions seen so far, preallocated `[batch, kv_heads, capacity, head_dim]`.
#[derive(Debug)]
pub struct KvCache {
    key: Tensor,
    value: Tensor,
    len: i64,
}

impl KvCache {
    /// Room for `capacity` positions.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn new(
        batch: i64,
        kv_heads: i64,
        capacity: i64,
        head_dim: i64,
        kind: Kind,
        device: tch::Device,
    ) -> Result<Self> {
        let shape = [batch, kv_heads, capacity, head_dim];
        let options = (kind, device);
        Ok(Self { key: Tensor::f_zeros(shape, options)?, value: Tensor::f_zeros(shape, options)?, len: 0 })
    }

    /// Positions held.
    pub fn len(&self) -> i64 {
        self.len
    }

    /// Whether no position is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that fit.
    pub fn capacity(&self) -> i64 {
        self.key.size()[2]
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Forgets the positions `start..start + count`; later ones move up (their rotation stays as it was).
    ///
    /// # Errors
    /// [`Error::Input`] when the range is not held.
    pub fn forget(&mut self, start: i64, count: i64) -> Result<()> {
        if start < 0 || start > self.len || count < 0 || count > self.len - start {
            let reason = format!("cannot forget {count} positions from {start} of {}", self.len);
            return Err(Error::input("cache", reason));
        }
        let rest = self.len - start - count;
        for buffer in [&self.key, &self.value] {
            // Copied first: the two ranges overlap.
            let moved = tensor::copy(&buffer.f_narrow(2, start + count, rest)?)?;
            buffer.f_narrow(2, start, rest)?.f_copy_(&moved)?;
        }
        self.len -= count;
        Ok(())
    }

    /// Adds `[batch, kv_heads, new, head_dim]` and returns all keys and values held.
    fn append(&mut self, key: &Tensor, value: &Tensor) -> Result<(Tensor, Tensor)> {
        let (batch, heads, capacity, dim) = self.key.size4()?;
        shape::expect("keys for the cache", key, &[batch, heads, shape::ANY, dim])?;
        shape::expect("values for the cache", value, &key.size())?;
        let new = key.size4()?.2;
        if new > capacity - self.len {
            let reason = format!("{new} positions do not fit, {} of {capacity} are used", self.len);
            return Err(Error::input("cache", reason));
        }
        // Detached: the cache outlives the step's graph and is for inference.
        self.key.f_narrow(2, self.len, new)?.f_copy_(&key.f_detach()?)?;
        self.value.f_narrow(2, self.len, new)?.f_copy_(&value.f_detach()?)?;
        self.len += new;
        Ok((self.key.f_narrow(2, 0, self.len)?, self.value.f_narrow(2, 0, self.len)?))
    }
}

//! A layer of BERT (Devlin et al., 2019): attention and a two-layer network, both residual with a norm after them.

use musicot_core::nn::{LayerNorm, Linear};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

use crate::activation::Activation;
use crate::config::TextConfig;

#[derive(Debug)]
pub(super) struct TextLayer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    outer_norm: LayerNorm,
    heads: i64,
    activation: Activation,
}

impl TextLayer {
    pub(super) fn new(scope: &Scope, config: &TextConfig) -> Result<Self> {
        let (width, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let linear = |scope: Scope, from, to| Linear::with_init(&scope, from, to, true, Init::Normal(0.02));
        let attention = scope.sub("attention");
        let projection = |name: &str| linear(attention.sub("self").sub(name), width, width);
        Ok(Self {
            query: projection("query")?,
            key: projection("key")?,
            value: projection("value")?,
            attended: linear(attention.sub("output").sub("dense"), width, width)?,
            attended_norm: LayerNorm::new(&attention.sub("output").sub("LayerNorm"), width, eps)?,
            inner: linear(scope.sub("intermediate").sub("dense"), width, inner)?,
            outer: linear(scope.sub("output").sub("dense"), inner, width)?,
            outer_norm: LayerNorm::new(&scope.sub("output").sub("LayerNorm"), width, eps)?,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
        })
    }

    /// `x [batch, seq, width]` to the same; `mask [batch, 1, 1, seq]` (bool) is true at real tokens.
    pub(super) fn forward(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (batch, seq, width) = x.size3()?;
        let split = |linear: &Linear| -> Result<Tensor> {
            Ok(linear
                .forward(x)?
                .f_reshape([batch, seq, self.heads, width / self.heads])?
                .f_transpose(1, 2)?)
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let mixed = Tensor::f_scaled_dot_product_attention(
            &query,
            &key,
            &value,
            Some(mask),
            0.0,
            false,
            None,
            false,
        )?;
        let mixed = self.attended.forward(&mixed.f_transpose(1, 2)?.f_reshape([batch, seq, width])?)?;
        let x = self.attended_norm.forward(&x.f_add(&mixed)?)?;
        let inner = self.outer.forward(&self.activation.apply(&self.inner.forward(&x)?)?)?;
        self.outer_norm.forward(&x.f_add(&inner)?)
    }
}

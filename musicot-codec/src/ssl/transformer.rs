//! The layers over frames.

use musicot_core::Scope;
use musicot_core::nn::{LayerNorm, Linear};
use musicot_core::tch::Tensor;

use super::{SslActivation, SslConfig};
use crate::Result;

/// A layer of attention and of feed-forward.
#[derive(Debug)]
pub(super) struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: SslActivation,
    output: Linear,
    final_norm: LayerNorm,
    /// Whether the norms stand in front.
    is_stable: bool,
    /// Of the residual connections of a layer that is not.
    residual_scale: Option<f64>,
}

impl Layer {
    pub fn new(scope: &Scope, config: &SslConfig) -> Result<Self> {
        let (dim, hidden, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let feed_forward = scope.sub("feed_forward");
        Ok(Self {
            attention: Attention::new(&scope.sub("attention"), config)?,
            attention_norm: LayerNorm::new(&scope.sub("layer_norm"), dim, eps)?,
            intermediate: Linear::new(&feed_forward.sub("intermediate_dense"), dim, hidden, true)?,
            activation: config.hidden_act,
            output: Linear::new(&feed_forward.sub("output_dense"), hidden, dim, true)?,
            final_norm: LayerNorm::new(&scope.sub("final_layer_norm"), dim, eps)?,
            is_stable: config.do_stable_layer_norm,
            residual_scale: config.deepnorm.then(|| (2.0 * config.num_hidden_layers as f64).powf(0.25)),
        })
    }

    /// `[batch, frames, dim] -> [batch, frames, dim]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_stable {
            let x = x.f_add(&self.attention.forward(&self.attention_norm.forward(x)?)?)?;
            return Ok(x.f_add(&self.feed_forward(&self.final_norm.forward(&x)?)?)?);
        }
        let x = self.attention_norm.forward(&self.residual(x)?.f_add(&self.attention.forward(x)?)?)?;
        Ok(self.final_norm.forward(&self.residual(&x)?.f_add(&self.feed_forward(&x)?)?)?)
    }

    fn residual(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self.residual_scale {
            None => x.shallow_clone(),
            Some(scale) => x.f_mul_scalar(scale)?,
        })
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.output.forward(&self.activation.forward(&self.intermediate.forward(x)?)?)?)
    }
}

/// Every frame attends to every frame.
#[derive(Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: i64,
}

impl Attention {
    fn new(scope: &Scope, config: &SslConfig) -> Result<Self> {
        let dim = config.hidden_size;
        let linear = |name| Linear::new(&scope.sub(name), dim, dim, true);
        Ok(Self {
            query: linear("q_proj")?,
            key: linear("k_proj")?,
            value: linear("v_proj")?,
            output: linear("out_proj")?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, frames, dim) = x.size3()?;
        let heads = |linear: &Linear| -> Result<Tensor> {
            let shape = [batch, frames, self.heads, dim / self.heads];
            Ok(linear.forward(x)?.f_reshape(shape)?.f_transpose(1, 2)?)
        };
        let (query, key, value) = (heads(&self.query)?, heads(&self.key)?, heads(&self.value)?);
        let mixed = Tensor::f_scaled_dot_product_attention(
            &query,
            &key,
            &value,
            None::<&Tensor>,
            0.0,
            false,
            None,
            false,
        )?;
        Ok(self.output.forward(&mixed.f_transpose(1, 2)?.f_reshape([batch, frames, dim])?)?)
    }
}

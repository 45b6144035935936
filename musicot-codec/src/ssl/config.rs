//! Sizes and switches of an encoder, under the names that published files use.

use musicot_core::tch::Tensor;
use musicot_core::{Error, Result as CoreResult};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::conv::{check_ratios, check_sizes};

/// Whose model it is. They differ in what their configurations may say and in the names of their files' tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SslArchitecture {
    /// wav2vec 2.0.
    #[serde(rename = "wav2vec2")]
    Wav2Vec2,
    /// HuBERT.
    #[serde(rename = "hubert")]
    Hubert,
    /// MERT.
    #[serde(rename = "mert_model")]
    Mert,
}

/// Where the convolutions over the samples are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FeatureNorm {
    /// Each channel of the first convolution over the whole clip.
    Group,
    /// Every frame of every convolution over its channels.
    Layer,
}

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SslActivation {
    /// Gaussian error linear unit.
    Gelu,
    /// The same by a hyperbolic tangent.
    GeluNew,
    /// Rectified linear unit.
    Relu,
    /// Scaled exponential linear unit.
    Selu,
}

impl SslActivation {
    pub(super) fn forward(self, x: &Tensor) -> CoreResult<Tensor> {
        Ok(match self {
            Self::Gelu => x.f_gelu("none")?,
            Self::GeluNew => x.f_gelu("tanh")?,
            Self::Relu => x.f_relu()?,
            Self::Selu => x.f_selu()?,
        })
    }
}

/// Configuration of a [`crate::SslEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SslConfig {
    /// Whose model it is.
    pub model_type: SslArchitecture,
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Whether each clip is brought to mean 0 and variance 1 first (`do_normalize` of `preprocessor_config.json`).
    pub normalize: bool,
    /// Channels of each convolution over the samples.
    pub conv_dim: Vec<i64>,
    /// Frames that each of them spans.
    pub conv_kernel: Vec<i64>,
    /// Step of each of them, in frames.
    pub conv_stride: Vec<i64>,
    /// Whether they have a bias.
    pub conv_bias: bool,
    /// Where they are normalised.
    pub feat_extract_norm: FeatureNorm,
    /// Activation of these convolutions and of that of the positions.
    pub feat_extract_activation: SslActivation,
    /// Whether their output is normalised before it is projected (always in wav2vec 2.0).
    pub feat_proj_layer_norm: bool,
    /// Frames that the convolution of the positions spans.
    pub num_conv_pos_embeddings: i64,
    /// Groups of channels of that convolution.
    pub num_conv_pos_embedding_groups: i64,
    /// Whether its input is normalised over the batches of the training (HuBERT only).
    pub conv_pos_batch_norm: bool,
    /// Width of the transformer.
    pub hidden_size: i64,
    /// Layers of the transformer.
    pub num_hidden_layers: i64,
    /// Attention heads.
    pub num_attention_heads: i64,
    /// Width inside a feed-forward layer.
    pub intermediate_size: i64,
    /// Activation of the feed-forward layers.
    pub hidden_act: SslActivation,
    /// Added to variances in the norms of the transformer and of the projection.
    pub layer_norm_eps: f64,
    /// Whether layers normalise their input (with a norm behind the last one) instead of their output.
    pub do_stable_layer_norm: bool,
    /// Whether residual connections are scaled by `(2 layers)^(1/4)` (Wang et al., 2022; MERT only, without `do_stable_layer_norm`).
    pub deepnorm: bool,
}

impl SslConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        self.validate_convolutions()?;
        let sizes = [
            ("sample_rate_hz", i64::from(self.sample_rate_hz)),
            ("num_conv_pos_embeddings", self.num_conv_pos_embeddings),
            ("num_conv_pos_embedding_groups", self.num_conv_pos_embedding_groups),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
        ];
        check_sizes(&sizes)?;
        for (field, parts) in [
            ("num_attention_heads", self.num_attention_heads),
            ("num_conv_pos_embedding_groups", self.num_conv_pos_embedding_groups),
        ] {
            if self.hidden_size % parts != 0 {
                let reason = format!("expected a divisor of hidden_size = {}, got {parts}", self.hidden_size);
                return Err(Error::config(field, reason).into());
            }
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps > 0.0) {
            let reason = format!("expected a positive number, got {}", self.layer_norm_eps);
            return Err(Error::config("layer_norm_eps", reason).into());
        }
        self.validate_switches()
    }

    fn validate_convolutions(&self) -> Result<()> {
        let count = self.conv_dim.len();
        if count == 0 {
            return Err(Error::config("conv_dim", "expected at least one convolution, got none").into());
        }
        for (field, sizes) in [
            ("conv_dim", &self.conv_dim),
            ("conv_kernel", &self.conv_kernel),
            ("conv_stride", &self.conv_stride),
        ] {
            if sizes.len() != count {
                let reason = format!("expected {count} numbers as in conv_dim, got {}", sizes.len());
                return Err(Error::config(field, reason).into());
            }
            sizes.iter().try_for_each(|size| check_sizes(&[(field, *size)]))?;
        }
        // As the kernels are bounded too, the samples that a frame spans cannot overflow either.
        Ok(check_ratios("conv_stride", &self.conv_stride, 1)?)
    }

    /// What only some of the models have.
    fn validate_switches(&self) -> Result<()> {
        let is_wav2vec2 = self.model_type == SslArchitecture::Wav2Vec2;
        for (field, value, refused) in [
            ("feat_proj_layer_norm", self.feat_proj_layer_norm, is_wav2vec2 && !self.feat_proj_layer_norm),
            ("conv_pos_batch_norm", self.conv_pos_batch_norm, is_wav2vec2 && self.conv_pos_batch_norm),
            ("deepnorm", self.deepnorm, self.deepnorm && self.model_type != SslArchitecture::Mert),
        ] {
            if refused {
                let reason = format!("expected {} for this model_type, got {value}", !value);
                return Err(Error::config(field, reason).into());
            }
        }
        if self.deepnorm && self.do_stable_layer_norm {
            let reason = "expected false beside do_stable_layer_norm, got true";
            return Err(Error::config("deepnorm", reason).into());
        }
        Ok(())
    }

    /// Samples between frames.
    pub fn hop(&self) -> i64 {
        self.conv_stride.iter().product()
    }

    /// Samples that a frame of the convolutions sees: what a clip must have for its first frame.
    pub fn receptive_field(&self) -> i64 {
        let mut step = 1;
        let mut field = 1;
        for (kernel, stride) in self.conv_kernel.iter().zip(&self.conv_stride) {
            field += (kernel - 1) * step;
            step *= stride;
        }
        field
    }

    /// Frames of a clip of this many samples.
    pub fn frames(&self, samples: i64) -> i64 {
        if samples < self.receptive_field() { 0 } else { (samples - self.receptive_field()) / self.hop() + 1 }
    }
}

//! Samples to frames, and the positions of frames.

use musicot_core::nn::{Conv1d, Conv1dConfig, LayerNorm, Linear};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Init, Scope};

use super::{FeatureNorm, SslActivation, SslConfig};
use crate::Result;

/// Of the norms inside the convolutions, whatever `layer_norm_eps` says.
const EPS: f64 = 1e-5;

/// The convolutions over the samples and the projection of their output.
#[derive(Debug)]
pub(super) struct FrontEnd {
    convolutions: Vec<Convolution>,
    norm: Option<LayerNorm>,
    projection: Linear,
}

impl FrontEnd {
    pub fn new(scope: &Scope, config: &SslConfig) -> Result<Self> {
        let layers = scope.sub("feature_extractor").sub("conv_layers");
        let projection = scope.sub("feature_projection");
        let width = config.conv_dim.last().copied().unwrap_or(1);
        let norm = match config.feat_proj_layer_norm {
            true => Some(LayerNorm::new(&projection.sub("layer_norm"), width, config.layer_norm_eps)?),
            false => None,
        };
        Ok(Self {
            convolutions: (0..config.conv_dim.len())
                .map(|index| Convolution::new(&layers.sub(index), config, index))
                .collect::<Result<_>>()?,
            norm,
            projection: Linear::new(&projection.sub("projection"), width, config.hidden_size, true)?,
        })
    }

    /// Samples `[batch, samples]` to `[batch, frames, hidden_size]`.
    pub fn forward(&self, samples: &Tensor) -> Result<Tensor> {
        let mut x = samples.f_unsqueeze(1)?;
        for convolution in &self.convolutions {
            x = convolution.forward(&x)?;
        }
        let mut x = x.f_transpose(1, 2)?;
        if let Some(norm) = &self.norm {
            x = norm.forward(&x)?;
        }
        Ok(self.projection.forward(&x)?)
    }

    /// Element type of its parameters.
    pub fn kind(&self) -> Kind {
        self.projection.weight().kind()
    }
}

#[derive(Debug)]
struct Convolution {
    conv: Conv1d,
    norm: Norm,
    activation: SslActivation,
}

#[derive(Debug)]
enum Norm {
    None,
    /// Of each channel over time.
    Group {
        weight: Tensor,
        bias: Tensor,
    },
    Layer(LayerNorm),
}

impl Convolution {
    fn new(scope: &Scope, config: &SslConfig, index: usize) -> Result<Self> {
        let channels = config.conv_dim[index];
        let inputs = if index == 0 { 1 } else { config.conv_dim[index - 1] };
        let conv = Conv1dConfig {
            stride: config.conv_stride[index],
            padding: 0,
            bias: config.conv_bias,
            ..Conv1dConfig::same(inputs, channels, config.conv_kernel[index])
        };
        let norm = scope.sub("layer_norm");
        let norm = match config.feat_extract_norm {
            FeatureNorm::Layer => Norm::Layer(LayerNorm::new(&norm, channels, EPS)?),
            FeatureNorm::Group if index == 0 => Norm::Group {
                weight: norm.param("weight", &[channels], Init::Const(1.0))?,
                bias: norm.param("bias", &[channels], Init::Const(0.0))?,
            },
            FeatureNorm::Group => Norm::None,
        };
        let conv = Conv1d::new(&scope.sub("conv"), conv)?;
        Ok(Self { conv, norm, activation: config.feat_extract_activation })
    }

    /// `[batch, inputs, frames] -> [batch, outputs, frames']`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(x)?;
        let x = match &self.norm {
            Norm::None => x,
            Norm::Group { weight, bias } => {
                let channels = weight.size().first().copied().unwrap_or(1);
                x.f_group_norm(channels, Some(weight), Some(bias), EPS, true)?
            }
            Norm::Layer(norm) => norm.forward(&x.f_transpose(1, 2)?)?.f_transpose(1, 2)?,
        };
        Ok(self.activation.forward(&x)?)
    }
}

/// The convolution whose output tells positions apart.
#[derive(Debug)]
pub(super) struct Positions {
    norm: Option<BatchNorm>,
    conv: Conv1d,
    /// An even kernel makes a frame too many.
    is_even: bool,
    activation: SslActivation,
}

impl Positions {
    pub fn new(scope: &Scope, config: &SslConfig) -> Result<Self> {
        let (dim, kernel) = (config.hidden_size, config.num_conv_pos_embeddings);
        let conv = Conv1dConfig {
            groups: config.num_conv_pos_embedding_groups,
            ..Conv1dConfig::same(dim, dim, kernel)
        };
        let norm = match config.conv_pos_batch_norm {
            true => Some(BatchNorm::new(&scope.sub("batch_norm"), dim)?),
            false => None,
        };
        Ok(Self {
            norm,
            conv: Conv1d::new(&scope.sub("conv"), conv)?,
            is_even: kernel % 2 == 0,
            activation: config.feat_extract_activation,
        })
    }

    /// `[batch, frames, dim] -> [batch, frames, dim]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = x.f_transpose(1, 2)?;
        if let Some(norm) = &self.norm {
            y = norm.forward(&y)?;
        }
        y = self.conv.forward(&y)?;
        if self.is_even {
            y = y.f_narrow(2, 0, y.size()[2] - 1)?;
        }
        Ok(self.activation.forward(&y)?.f_transpose(1, 2)?)
    }
}

/// Normalisation by the mean and variance of the training's batches.
#[derive(Debug)]
struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl BatchNorm {
    fn new(scope: &Scope, dim: i64) -> Result<Self> {
        let weight = scope.param("weight", &[dim], Init::Const(1.0))?;
        let bias = scope.param("bias", &[dim], Init::Const(0.0))?;
        let options = (weight.kind(), scope.device());
        let mean = scope.buffer("running_mean", Tensor::f_zeros([dim], options)?)?;
        let variance = scope.buffer("running_var", Tensor::f_ones([dim], options)?)?;
        Ok(Self { weight, bias, mean, variance })
    }

    /// `[batch, dim, frames] -> [batch, dim, frames]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        let (mean, variance) = (Some(&self.mean), Some(&self.variance));
        // The momentum is that of a training.
        Ok(x.f_batch_norm(weight, bias, mean, variance, false, 0.0, EPS, true)?)
    }
}

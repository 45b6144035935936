//! Convolutions that pad and cut by themselves.

use musicot_core::nn::{Conv1d, Conv1dConfig};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

use super::{EncodecConfig, EncodecNorm, EncodecPadding};
use crate::conv::{Transposed, TransposedSizes};

/// Keeps the group normalisation of silence finite.
const EPS: f64 = 1e-5;

/// What a convolution is made of, beside the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub inputs: i64,
    pub outputs: i64,
    pub kernel: i64,
    pub stride: i64,
    pub dilation: i64,
}

/// A convolution that gives a frame per stride, the last one of which may be begun only.
#[derive(Debug)]
pub(super) struct PaddedConv {
    conv: Conv1d,
    norm: Option<TimeNorm>,
    mode: EncodecPadding,
    stride: i64,
    left: i64,
    right: i64,
}

impl PaddedConv {
    pub fn new(scope: &Scope, config: &EncodecConfig, shape: Shape) -> Result<Self> {
        let Shape { inputs, outputs, kernel, stride, dilation } = shape;
        let conv =
            Conv1dConfig { stride, dilation, padding: 0, ..Conv1dConfig::same(inputs, outputs, kernel) };
        let total = (kernel - 1) * dilation + 1 - stride;
        let right = if config.use_causal_conv { 0 } else { total / 2 };
        Ok(Self {
            conv: Conv1d::new(&scope.sub("conv"), conv)?,
            norm: TimeNorm::new(scope, config.norm_type, outputs)?,
            mode: config.pad_mode,
            stride,
            left: total - right,
            right,
        })
    }

    /// `[batch, inputs, frames] -> [batch, outputs, ceil(frames / stride)]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let frames = x.size().last().copied().unwrap_or_default();
        let unfinished = (self.stride - frames % self.stride) % self.stride;
        let padded = pad(x, self.left, self.right + unfinished, self.mode)?;
        normalised(self.conv.forward(&padded)?, self.norm.as_ref())
    }
}

/// Pads the last axis. What is too short to be mirrored is first made longer by zeros, and what they have become is cut off.
fn pad(x: &Tensor, left: i64, right: i64, mode: EncodecPadding) -> Result<Tensor> {
    match mode {
        _ if left == 0 && right == 0 => Ok(x.shallow_clone()),
        EncodecPadding::Constant => Ok(x.f_constant_pad_nd([left, right])?),
        EncodecPadding::Replicate => Ok(x.f_replication_pad1d([left, right])?),
        EncodecPadding::Reflect => {
            let frames = x.size().last().copied().unwrap_or_default();
            let short = (left.max(right) + 1 - frames).max(0);
            let padded = x.f_constant_pad_nd([0, short])?.f_reflection_pad1d([left, right])?;
            Ok(padded.f_narrow(-1, 0, left + frames + right)?)
        }
    }
}

/// A transposed convolution without the frames that its kernel adds.
#[derive(Debug)]
pub(super) struct TrimmedConv {
    conv: Transposed,
    norm: Option<TimeNorm>,
    /// Frames cut off in front, and on both sides together.
    left: i64,
    total: i64,
}

impl TrimmedConv {
    /// `ratio` frames for each.
    pub fn new(scope: &Scope, config: &EncodecConfig, inputs: i64, outputs: i64, ratio: i64) -> Result<Self> {
        let sizes = TransposedSizes { inputs, outputs, kernel: 2 * ratio, stride: ratio, padding: 0 };
        let right = match config.use_causal_conv {
            true => (ratio as f64 * config.trim_right_ratio).ceil() as i64,
            false => ratio / 2,
        };
        Ok(Self {
            conv: Transposed::new(&scope.sub("conv"), sizes)?,
            norm: TimeNorm::new(scope, config.norm_type, outputs)?,
            left: ratio - right,
            total: ratio,
        })
    }

    /// `[batch, inputs, frames] -> [batch, outputs, frames * ratio]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let stretched = normalised(self.conv.forward(x)?, self.norm.as_ref())?;
        let frames = stretched.size().last().copied().unwrap_or_default();
        Ok(stretched.f_narrow(-1, self.left, frames - self.total)?)
    }
}

/// Mean 0 and variance 1 over channels and time together, then a scale and an offset per channel.
#[derive(Debug)]
struct TimeNorm {
    weight: Tensor,
    bias: Tensor,
}

impl TimeNorm {
    /// `None` where weights are normalised instead.
    fn new(scope: &Scope, of: EncodecNorm, channels: i64) -> Result<Option<Self>> {
        if of == EncodecNorm::WeightNorm {
            return Ok(None);
        }
        let scope = scope.sub("norm");
        Ok(Some(Self {
            weight: scope.param("weight", &[channels], Init::Const(1.0))?,
            bias: scope.param("bias", &[channels], Init::Const(0.0))?,
        }))
    }
}

fn normalised(x: Tensor, norm: Option<&TimeNorm>) -> Result<Tensor> {
    match norm {
        None => Ok(x),
        Some(TimeNorm { weight, bias }) => Ok(x.f_group_norm(1, Some(weight), Some(bias), EPS, false)?),
    }
}

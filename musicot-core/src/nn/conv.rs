//! One-dimensional convolution.

use tch::Tensor;

use crate::{Error, Init, Result, Scope};

/// Geometry of a [`Conv1d`].
#[derive(Debug, Clone, Copy)]
pub struct Conv1dConfig {
    /// Input channels.
    pub inputs: i64,
    /// Output channels.
    pub outputs: i64,
    /// Kernel width in frames.
    pub kernel: i64,
    /// Step in frames.
    pub stride: i64,
    /// Zeros on each side.
    pub padding: i64,
    /// Spacing of the kernel's taps.
    pub dilation: i64,
    /// Groups of channels; `inputs` for a depthwise convolution.
    pub groups: i64,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv1dConfig {
    /// A dense convolution that keeps the number of frames (`kernel` odd).
    pub fn same(inputs: i64, outputs: i64, kernel: i64) -> Self {
        Self { inputs, outputs, kernel, stride: 1, padding: kernel / 2, dilation: 1, groups: 1, bias: true }
    }

    /// A depthwise convolution that keeps the number of frames (`kernel` odd).
    pub fn depthwise(channels: i64, kernel: i64) -> Self {
        Self { groups: channels, ..Self::same(channels, channels, kernel) }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("kernel", self.kernel),
            ("stride", self.stride),
            ("dilation", self.dilation),
            ("groups", self.groups),
        ];
        if let Some((field, size)) = sizes.into_iter().find(|(_, size)| *size <= 0) {
            return Err(Error::config(field, format!("expected a positive number, got {size}")));
        }
        if self.padding < 0 {
            return Err(Error::config("padding", format!("expected at least 0, got {}", self.padding)));
        }
        if self.inputs % self.groups != 0 || self.outputs % self.groups != 0 {
            let reason =
                format!("expected a divisor of {} and {}, got {}", self.inputs, self.outputs, self.groups);
            return Err(Error::config("groups", reason));
        }
        Ok(())
    }
}

/// Convolution over the last axis.
#[derive(Debug)]
pub struct Conv1d {
    weight: Tensor,
    bias: Option<Tensor>,
    config: Conv1dConfig,
}

impl Conv1d {
    /// Parameters `weight [outputs, inputs / groups, kernel]` and `bias [outputs]`; weight-normed files are folded when they are loaded.
    ///
    /// # Errors
    /// [`Error::Config`] when a size is not positive, the padding is negative, or `groups` does not divide the channels; see
    /// [`Scope::param`].
    pub fn new(scope: &Scope, config: Conv1dConfig) -> Result<Self> {
        config.validate()?;
        let per_group = config.inputs / config.groups;
        let shape = [config.outputs, per_group, config.kernel];
        let init = Init::fan_in(per_group.saturating_mul(config.kernel));
        let weight = scope.param("weight", &shape, init)?;
        let bias =
            if config.bias { Some(scope.param("bias", &[config.outputs], Init::Const(0.0))?) } else { None };
        Ok(Self { weight, bias, config })
    }

    /// `[batch, inputs, frames] -> [batch, outputs, frames']`.
    ///
    /// # Errors
    /// libtorch refuses another number of channels, or fewer frames than the kernel spans.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let c = &self.config;
        Ok(x.f_conv1d(&self.weight, self.bias.as_ref(), [c.stride], [c.padding], [c.dilation], c.groups)?)
    }
}

//! Residual units: three of them look ever further around a frame.

use musicot_core::nn::{Conv1d, Conv1dConfig};
use musicot_core::tch::Tensor;
use musicot_core::{Result, Scope};

use super::activation::Activation;
use super::stack::Style;

/// Spacings of the wide convolutions of a block's three units.
const DILATIONS: [i64; 3] = [1, 3, 9];

/// Frames that a wide convolution spans.
const KERNEL: i64 = 7;

/// Frames on each side that the three units depend on.
pub(super) const REACH: i64 = (KERNEL / 2) * (DILATIONS[0] + DILATIONS[1] + DILATIONS[2]);

/// The three units of a block.
#[derive(Debug)]
pub(super) struct Units(Vec<Unit>);

#[derive(Debug)]
struct Unit {
    outer: Activation,
    wide: Conv1d,
    inner: Activation,
    narrow: Conv1d,
}

impl Units {
    /// `first`: the number of the first unit in its block, where layers have numbers.
    pub fn new(block: &Scope, channels: i64, style: Style, first: usize) -> Result<Self> {
        let unit = |(index, dilation)| {
            let role = format!("res_unit{}", index + 1);
            Unit::new(&style.names.part(block, &role, first + index), channels, dilation, style)
        };
        Ok(Self(DILATIONS.into_iter().enumerate().map(unit).collect::<Result<_>>()?))
    }

    /// `[batch, channels, frames] -> [batch, channels, frames]`.
    pub fn forward(&self, x: Tensor) -> Result<Tensor> {
        self.0.iter().try_fold(x, |x, unit| unit.forward(&x))
    }
}

impl Unit {
    fn new(scope: &Scope, channels: i64, dilation: i64, style: Style) -> Result<Self> {
        let part = |role, number| style.names.part(scope, role, number);
        let wide = Conv1dConfig {
            dilation,
            padding: KERNEL / 2 * dilation,
            ..Conv1dConfig::same(channels, channels, KERNEL)
        };
        Ok(Self {
            outer: Activation::new(&part("snake1", 0), channels, style.nonlinearity)?,
            wide: Conv1d::new(&part("conv1", 1), wide)?,
            inner: Activation::new(&part("snake2", 2), channels, style.nonlinearity)?,
            narrow: Conv1d::new(&part("conv2", 3), Conv1dConfig::same(channels, channels, 1))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // One statement, at the end of which all but its result is freed: at the rate of samples, every one of them is large.
        let hidden = self.inner.forward(&self.wide.forward(&self.outer.forward(x)?)?)?;
        let mut change = self.narrow.forward(&hidden)?;
        Ok(change.f_add_(x)?)
    }
}

//! Encoder and decoder: a convolution, blocks that change the rate, and a convolution.

use musicot_core::nn::{Conv1d, Conv1dConfig};
use musicot_core::tch::Tensor;
use musicot_core::{Result, Scope};

use super::activation::{Activation, Nonlinearity};
use super::names::Names;
use super::residual::{REACH, Units};
use super::transposed::{Transposed, TransposedSizes};

/// Frames on each side that the first and last convolutions of seven taps depend on.
const EDGE: i64 = 3;

/// Sizes of a stack, in the order in which a signal passes.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    /// Channels that come in.
    pub inputs: i64,
    /// Channels before the first block and behind each.
    pub widths: Vec<i64>,
    /// By how much each block changes the rate.
    pub ratios: Vec<i64>,
    /// Channels that go out.
    pub outputs: i64,
}

impl Sizes {
    /// Channels before and behind each block, and its ratio.
    fn blocks(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        self.widths.windows(2).zip(&self.ratios).map(|(width, ratio)| (width[0], width[1], *ratio))
    }

    fn first(&self) -> i64 {
        self.widths.first().copied().unwrap_or_default()
    }

    fn last(&self) -> i64 {
        self.widths.last().copied().unwrap_or_default()
    }
}

/// What layouts differ in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub names: Names,
    pub nonlinearity: Nonlinearity,
}

/// `[batch, inputs, samples] -> [batch, outputs, frames]`, with a frame for every whole hop.
#[derive(Debug)]
pub(crate) struct Encoder {
    input: Conv1d,
    blocks: Vec<(Units, Activation, Conv1d)>,
    last: Activation,
    output: Conv1d,
    reach: i64,
}

impl Encoder {
    pub fn new(scope: &Scope, sizes: &Sizes, style: Style) -> Result<Self> {
        let names = style.names;
        let block = |(index, (inputs, outputs, ratio))| {
            let scope = names.block(scope, index);
            let shrink = Conv1dConfig {
                stride: ratio,
                padding: (ratio + 1) / 2,
                ..Conv1dConfig::same(inputs, outputs, 2 * ratio)
            };
            Ok((
                Units::new(&scope, inputs, style, 0)?,
                Activation::new(&names.part(&scope, "snake1", 3), inputs, style.nonlinearity)?,
                Conv1d::new(&names.part(&scope, "conv1", 4), shrink)?,
            ))
        };
        let (first, last, count) = (sizes.first(), sizes.last(), sizes.ratios.len());
        Ok(Self {
            input: Conv1d::new(
                &names.layer(scope, "conv1", 0),
                Conv1dConfig::same(sizes.inputs, first, 2 * EDGE + 1),
            )?,
            blocks: sizes.blocks().enumerate().map(block).collect::<Result<_>>()?,
            last: Activation::new(&names.layer(scope, "snake1", count + 1), last, style.nonlinearity)?,
            output: Conv1d::new(
                &names.layer(scope, "conv2", count + 2),
                Conv1dConfig::same(last, sizes.outputs, 3),
            )?,
            reach: encoder_reach(&sizes.ratios),
        })
    }

    /// Frames of context on each side, as many samples as they are long, on which a frame may depend.
    pub fn reach(&self) -> i64 {
        self.reach
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.input.forward(x)?;
        for (units, activation, shrink) in &self.blocks {
            x = units.forward(x)?;
            x = activation.forward(&x)?;
            x = shrink.forward(&x)?;
        }
        self.output.forward(&self.last.forward(&x)?)
    }
}

/// `[batch, inputs, frames] -> [batch, outputs, samples]`: a hop of samples per frame, less a few at the end where a ratio is odd.
#[derive(Debug)]
pub(crate) struct Decoder {
    input: Conv1d,
    blocks: Vec<(Activation, Transposed, Units)>,
    last: Activation,
    output: Conv1d,
    reach: i64,
}

impl Decoder {
    /// `bias`: whether the last convolution has one.
    pub fn new(scope: &Scope, sizes: &Sizes, style: Style, bias: bool) -> Result<Self> {
        let names = style.names;
        let block = |(index, (inputs, outputs, ratio))| {
            let scope = names.block(scope, index);
            let stretch = TransposedSizes {
                inputs,
                outputs,
                kernel: 2 * ratio,
                stride: ratio,
                padding: (ratio + 1) / 2,
            };
            Ok((
                Activation::new(&names.part(&scope, "snake1", 0), inputs, style.nonlinearity)?,
                Transposed::new(&names.part(&scope, "conv_t1", 1), stretch)?,
                Units::new(&scope, outputs, style, 2)?,
            ))
        };
        let (first, last, count) = (sizes.first(), sizes.last(), sizes.ratios.len());
        let output = Conv1dConfig { bias, ..Conv1dConfig::same(last, sizes.outputs, 2 * EDGE + 1) };
        Ok(Self {
            input: Conv1d::new(
                &names.layer(scope, "conv1", 0),
                Conv1dConfig::same(sizes.inputs, first, 2 * EDGE + 1),
            )?,
            blocks: sizes.blocks().enumerate().map(block).collect::<Result<_>>()?,
            last: Activation::new(&names.layer(scope, "snake1", count + 1), last, style.nonlinearity)?,
            output: Conv1d::new(&names.layer(scope, "conv2", count + 2), output)?,
            reach: decoder_reach(&sizes.ratios),
        })
    }

    /// Frames of context on each side on which the samples of a frame may depend.
    pub fn reach(&self) -> i64 {
        self.reach
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.input.forward(x)?;
        for (activation, stretch, units) in &self.blocks {
            x = activation.forward(&x)?;
            x = stretch.forward(&x)?;
            x = units.forward(x)?;
        }
        self.output.forward(&self.last.forward(&x)?)
    }
}

/// From a frame back to the samples it depends on: each strided convolution sees two strides, each block's units [`REACH`].
fn encoder_reach(ratios: &[i64]) -> i64 {
    let samples = ratios.iter().rev().fold(1, |reach, ratio| reach * ratio + 2 * ratio + REACH) + EDGE;
    let hop: i64 = ratios.iter().product();
    samples / hop + 1
}

/// From a sample back to the frames it depends on: in each block [`REACH`] frames of its rate, and one more of the slower rate on either side.
fn decoder_reach(ratios: &[i64]) -> i64 {
    ratios.iter().rev().fold(EDGE, |reach, ratio| (reach + REACH) / ratio + 2) + EDGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_of_stable_audio() {
        assert_eq!(encoder_reach(&[2, 4, 4, 8, 8]), 9);
        assert_eq!(decoder_reach(&[8, 8, 4, 4, 2]), 10);
    }
}

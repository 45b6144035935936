//! The two networks: sequences of numbered layers.

use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

use super::EncodecConfig;
use super::conv::{PaddedConv, Shape, TrimmedConv};

/// A network; files number its layers, activations among them.
#[derive(Debug)]
pub(super) struct Network(Vec<Layer>);

#[derive(Debug)]
enum Layer {
    Conv(PaddedConv),
    Stretch(TrimmedConv),
    Residual(Box<Residual>),
    Recurrent(Recurrent),
    Elu,
}

impl Network {
    /// Waveform `[batch, channels, samples]` to `[batch, hidden, ceil(samples / hop)]`.
    pub fn encoder(scope: &Scope, config: &EncodecConfig) -> Result<Self> {
        let mut build = Builder { scope: scope.sub("layers"), config, layers: Vec::new() };
        let mut width = config.num_filters;
        build.conv(config.audio_channels, width, config.kernel_size, 1)?;
        for ratio in config.upsampling_ratios.iter().rev() {
            build.residuals(width)?;
            build.layers.push(Layer::Elu);
            build.conv(width, 2 * width, 2 * ratio, *ratio)?;
            width *= 2;
        }
        build.recurrent(width)?;
        build.layers.push(Layer::Elu);
        build.conv(width, config.hidden_size, config.last_kernel_size, 1)?;
        Ok(Self(build.layers))
    }

    /// `[batch, hidden, frames]` to a waveform `[batch, channels, frames * hop]`.
    pub fn decoder(scope: &Scope, config: &EncodecConfig) -> Result<Self> {
        let mut build = Builder { scope: scope.sub("layers"), config, layers: Vec::new() };
        let mut width = config.num_filters << config.upsampling_ratios.len();
        build.conv(config.hidden_size, width, config.kernel_size, 1)?;
        build.recurrent(width)?;
        for ratio in &config.upsampling_ratios {
            build.layers.push(Layer::Elu);
            build.stretch(width, width / 2, *ratio)?;
            width /= 2;
            build.residuals(width)?;
        }
        build.layers.push(Layer::Elu);
        build.conv(width, config.audio_channels, config.last_kernel_size, 1)?;
        Ok(Self(build.layers))
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.shallow_clone();
        for layer in &self.0 {
            x = match layer {
                Layer::Conv(conv) => conv.forward(&x)?,
                Layer::Stretch(conv) => conv.forward(&x)?,
                Layer::Residual(block) => block.forward(&x)?,
                Layer::Recurrent(lstm) => lstm.forward(&x)?,
                Layer::Elu => x.f_elu()?,
            };
        }
        Ok(x)
    }
}

struct Builder<'a> {
    scope: Scope<'a>,
    config: &'a EncodecConfig,
    layers: Vec<Layer>,
}

impl<'a> Builder<'a> {
    /// Of the layer that comes next.
    fn next(&self) -> Scope<'a> {
        self.scope.sub(self.layers.len())
    }

    fn conv(&mut self, inputs: i64, outputs: i64, kernel: i64, stride: i64) -> Result<()> {
        let shape = Shape { inputs, outputs, kernel, stride, dilation: 1 };
        self.layers.push(Layer::Conv(PaddedConv::new(&self.next(), self.config, shape)?));
        Ok(())
    }

    fn stretch(&mut self, inputs: i64, outputs: i64, ratio: i64) -> Result<()> {
        let conv = TrimmedConv::new(&self.next(), self.config, inputs, outputs, ratio)?;
        self.layers.push(Layer::Stretch(conv));
        Ok(())
    }

    fn residuals(&mut self, width: i64) -> Result<()> {
        for index in 0..self.config.num_residual_layers {
            // The configuration is checked: no power overflows.
            let dilation = self.config.dilation_growth_rate.pow(index as u32);
            let block = Residual::new(&self.next(), self.config, width, dilation)?;
            self.layers.push(Layer::Residual(Box::new(block)));
        }
        Ok(())
    }

    fn recurrent(&mut self, width: i64) -> Result<()> {
        let lstm = Recurrent::new(&self.next().sub("lstm"), width, self.config.num_lstm_layers)?;
        self.layers.push(Layer::Recurrent(lstm));
        Ok(())
    }
}

/// Two convolutions, the first of them spaced, beside the input or a convolution of it.
#[derive(Debug)]
struct Residual {
    wide: PaddedConv,
    narrow: PaddedConv,
    shortcut: Option<PaddedConv>,
}

impl Residual {
    fn new(scope: &Scope, config: &EncodecConfig, width: i64, dilation: i64) -> Result<Self> {
        let hidden = width / config.compress;
        let kernel = config.residual_kernel_size;
        let wide = Shape { inputs: width, outputs: hidden, kernel, stride: 1, dilation };
        let point = |inputs| Shape { inputs, outputs: width, kernel: 1, stride: 1, dilation: 1 };
        let block = scope.sub("block");
        let shortcut = match config.use_conv_shortcut {
            true => Some(PaddedConv::new(&scope.sub("shortcut"), config, point(width))?),
            false => None,
        };
        Ok(Self {
            wide: PaddedConv::new(&block.sub(1), config, wide)?,
            narrow: PaddedConv::new(&block.sub(3), config, point(hidden))?,
            shortcut,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self.wide.forward(&x.f_elu()?)?.f_elu()?;
        let change = self.narrow.forward(&hidden)?;
        match &self.shortcut {
            Some(shortcut) => Ok(shortcut.forward(x)?.f_add(&change)?),
            None => Ok(x.f_add(&change)?),
        }
    }
}

/// A recurrent network (LSTM) beside its input.
#[derive(Debug)]
struct Recurrent {
    /// Per layer: weights of the input, weights of the state, and a bias of each.
    params: Vec<Tensor>,
    layers: i64,
    width: i64,
}

impl Recurrent {
    fn new(scope: &Scope, width: i64, layers: i64) -> Result<Self> {
        let (square, vector) = ([4 * width, width], [4 * width]);
        let mut params = Vec::new();
        for layer in 0..layers {
            for (name, shape) in [
                ("weight_ih", &square[..]),
                ("weight_hh", &square),
                ("bias_ih", &vector),
                ("bias_hh", &vector),
            ] {
                params.push(scope.param(&format!("{name}_l{layer}"), shape, Init::fan_in(width))?);
            }
        }
        Ok(Self { params, layers, width })
    }

    /// `[batch, width, frames] -> [batch, width, frames]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let steps = x.f_permute([2, 0, 1])?;
        let state = || Tensor::f_zeros([self.layers, x.size()[0], self.width], (x.kind(), x.device()));
        let params: Vec<&Tensor> = self.params.iter().collect();
        let (hidden, cell) = (state()?, state()?);
        let (seen, _, _) =
            steps.f_lstm(&[&hidden, &cell], &params, true, self.layers, 0.0, false, false, false)?;
        Ok(seen.f_add(&steps)?.f_permute([1, 2, 0])?)
    }
}

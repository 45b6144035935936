//! A Swin block: attention within (shifted) windows and a two-layer network, both pre-norm and residual.

use musicot_core::nn::{LayerNorm, Linear};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

use super::window_attention::{Geometry, WindowAttention};
use crate::activation::Activation;
use crate::config::AudioConfig;

#[derive(Debug)]
pub(super) struct Block {
    before: LayerNorm,
    attention: WindowAttention,
    after: LayerNorm,
    inner: Linear,
    outer: Linear,
    geometry: Geometry,
    activation: Activation,
}

impl Block {
    pub(super) fn new(scope: &Scope, config: &AudioConfig, stage: usize, shifted: bool) -> Result<Self> {
        let (width, eps) = (config.width(stage), config.layer_norm_eps);
        let resolution = config.resolution(stage);
        let side = config.window_size.min(resolution[0]).min(resolution[1]);
        // An image of one window cannot be shifted.
        let is_one = resolution[0].min(resolution[1]) <= config.window_size;
        let shift = if shifted && !is_one { side / 2 } else { 0 };
        let padded = resolution.map(|size| (size + side - 1) / side * side);
        let geometry = Geometry { resolution, padded, side, shift };
        let heads = config.num_attention_heads[stage];
        let inner_width = (width as f64 * config.mlp_ratio) as i64;
        let linear = |name: &str, from, to| {
            Linear::with_init(&scope.sub(name).sub("dense"), from, to, true, Init::Normal(0.02))
        };
        Ok(Self {
            before: LayerNorm::new(&scope.sub("layernorm_before"), width, eps)?,
            attention: WindowAttention::new(
                &scope.sub("attention"),
                width,
                heads,
                config.qkv_bias,
                geometry,
            )?,
            after: LayerNorm::new(&scope.sub("layernorm_after"), width, eps)?,
            inner: linear("intermediate", width, inner_width)?,
            outer: linear("output", inner_width, width)?,
            geometry,
            activation: config.hidden_act,
        })
    }

    /// `[batch, rows * columns, width]` to the same.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let windows = self.split_windows(&self.before.forward(x)?)?;
        let attended = self.join_windows(&self.attention.forward(&windows)?, x)?;
        let x = x.f_add(&attended)?;
        let inner = self.activation.apply(&self.inner.forward(&self.after.forward(&x)?)?)?;
        Ok(x.f_add(&self.outer.forward(&inner)?)?)
    }

    /// `[batch, rows * columns, width] -> [batch * windows, side * side, width]`; zeros fill up the last windows.
    fn split_windows(&self, x: &Tensor) -> Result<Tensor> {
        let Geometry { resolution: [rows, columns], padded: [high, wide], side, shift } = self.geometry;
        let (batch, _, width) = x.size3()?;
        let mut image = x.f_reshape([batch, rows, columns, width])?;
        if [high, wide] != [rows, columns] {
            image = image.f_constant_pad_nd([0, 0, 0, wide - columns, 0, high - rows])?;
        }
        if shift > 0 {
            image = image.f_roll([-shift, -shift], [1, 2])?;
        }
        let split = image.f_reshape([batch, high / side, side, wide / side, side, width])?;
        Ok(split.f_transpose(2, 3)?.f_reshape([-1, side * side, width])?)
    }

    /// The inverse of [`Block::split_windows`], to the shape of `like`.
    fn join_windows(&self, windows: &Tensor, like: &Tensor) -> Result<Tensor> {
        let Geometry { resolution: [rows, columns], padded: [high, wide], side, shift } = self.geometry;
        let (batch, tokens, width) = like.size3()?;
        let split = windows.f_reshape([batch, high / side, wide / side, side, side, width])?;
        let mut image = split.f_transpose(2, 3)?.f_reshape([batch, high, wide, width])?;
        if shift > 0 {
            image = image.f_roll([shift, shift], [1, 2])?;
        }
        let image = image.f_narrow(1, 0, rows)?.f_narrow(2, 0, columns)?;
        Ok(image.f_reshape([batch, tokens, width])?)
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::tch::Device;
    use musicot_core::{CounterRng, ParamStore};

    use super::*;

    #[test]
    fn windows_and_back_is_the_identity() {
        // Windows that fit, and windows that are filled up.
        for (window_size, windows, shift) in [(4, 4, 2), (5, 4, 2), (3, 9, 1)] {
            is_the_identity(window_size, windows, shift);
        }
    }

    fn is_the_identity(window_size: i64, windows_of_an_image: i64, shift: i64) {
        let config = AudioConfig {
            spec_size: 32,
            num_mel_bins: 16,
            window_size,
            patch_embeds_hidden_size: 8,
            depths: vec![2],
            num_attention_heads: vec![2],
            hidden_size: 8,
            ..AudioConfig::default()
        };
        let x = CounterRng::new(0).normal(0, &[3, 64, 8], Device::Cpu).unwrap();
        for shifted in [false, true] {
            let store = ParamStore::new(Device::Cpu, 0);
            let block = Block::new(&store.root(), &config, 0, shifted).unwrap();
            assert_eq!(block.geometry.shift, if shifted { shift } else { 0 });
            let windows = block.split_windows(&x).unwrap();
            assert_eq!(windows.size(), [3 * windows_of_an_image, window_size.pow(2), 8]);
            assert_eq!(block.join_windows(&windows, &x).unwrap(), x);
        }
    }
}

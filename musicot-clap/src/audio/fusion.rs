//! Fusing a long clip's windows with its whole (feature fusion of Wu et al., 2023; attentional, Dai et al., 2021).

use musicot_core::tch::Tensor;
use musicot_core::{Result, Scope};

use super::batch_norm::BatchNorm;
use super::conv::Conv2d;
use crate::config::AudioConfig;

/// Windows fused with the whole.
const WINDOWS: i64 = 3;

/// Patches of the windows, three times as long as those of the whole, are laid side by side in time and then mixed with those of the whole.
#[derive(Debug)]
pub(super) struct Fusion {
    windows: Conv2d,
    local: Squeeze,
    global: Squeeze,
}

impl Fusion {
    pub(super) fn new(scope: &Scope, config: &AudioConfig) -> Result<Self> {
        let (width, side) = (config.patch_embeds_hidden_size, config.patch_size);
        let [rows, columns] = config.patch_stride;
        let block = scope.sub("fusion_model");
        Ok(Self {
            windows: Conv2d::new(
                &scope.sub("mel_conv2d"),
                [1, width],
                [side, WINDOWS * side],
                [rows, WINDOWS * columns],
                config.patch_padding(),
            )?,
            local: Squeeze::new(&block.sub("local_att"), 0, config)?,
            // Its first step is the mean.
            global: Squeeze::new(&block.sub("global_att"), 1, config)?,
        })
    }

    /// Patches of the whole `[batch, width, rows, columns]` and images of the windows `[batch, 3, side, side]` to patches like those of the
    /// whole.
    pub(super) fn forward(&self, whole: &Tensor, windows: &Tensor) -> Result<Tensor> {
        let (batch, count, side, _) = windows.size4()?;
        let patches = self.windows.forward(&windows.f_reshape([batch * count, 1, side, side])?)?;
        let (_, width, rows, columns) = patches.size4()?;
        let parts = patches.f_reshape([batch, count, width, rows, columns])?;
        let joined = parts.f_permute([0, 2, 3, 1, 4])?.f_flatten(3, -1)?;
        // The last columns have no window, as the sizes do not divide evenly. (A negative number cuts.)
        let missing = whole.size4()?.3 - joined.size4()?.3;
        let joined = joined.f_constant_pad_nd([0, missing])?;

        let both = whole.f_add(&joined)?;
        let mean = both.f_mean_dim([2, 3].as_slice(), true, None)?;
        let share = self.local.forward(&both)?.f_add(&self.global.forward(&mean)?)?.f_sigmoid()?;
        let rest = share.f_neg()?.f_add_scalar(1.0)?;
        Ok(whole.f_mul(&share)?.f_add(&joined.f_mul(&rest)?)?.f_mul_scalar(2.0)?)
    }
}

/// To fewer channels and back: convolution, norm, ReLU, convolution, norm.
#[derive(Debug)]
struct Squeeze {
    down: Conv2d,
    down_norm: BatchNorm,
    up: Conv2d,
    up_norm: BatchNorm,
}

impl Squeeze {
    /// `first`: number of the first step among the published names.
    fn new(scope: &Scope, first: usize, config: &AudioConfig) -> Result<Self> {
        let width = config.patch_embeds_hidden_size;
        let inner = width / config.aff_block_r;
        let step = |number: usize| scope.sub(first + number);
        Ok(Self {
            down: Conv2d::pointwise(&step(0), [width, inner])?,
            down_norm: BatchNorm::new(&step(1), inner)?,
            up: Conv2d::pointwise(&step(3), [inner, width])?,
            up_norm: BatchNorm::new(&step(4), width)?,
        })
    }

    /// `[batch, width, rows, columns]` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.down_norm.forward(&self.down.forward(x)?)?.f_relu()?;
        self.up_norm.forward(&self.up.forward(&inner)?)
    }
}

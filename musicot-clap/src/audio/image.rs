//! From log-mel frames to a square image.

use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Error, Init, Result, Scope};

use crate::config::AudioConfig;

/// Epsilon of the batch norm.
const EPS: f64 = 1e-5;

/// Normalises each band, stretches the frames to the image's length, and stacks the time parts.
///
/// The batch norm always uses its stored statistics; training sets them once from the data (our choice: it makes the loss a function of
/// each item alone).
#[derive(Debug)]
pub(super) struct MelImage {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    side: i64,
    folds: i64,
    bands: i64,
}

impl MelImage {
    pub(super) fn new(scope: &Scope, config: &AudioConfig) -> Result<Self> {
        let bands = config.num_mel_bins;
        let options = (Kind::Float, scope.device());
        // Only counts batches in training elsewhere; kept so that the set of tensors is the published one.
        let _ = scope
            .buffer("num_batches_tracked", Tensor::f_zeros([0_i64; 0], (Kind::Int64, scope.device()))?)?;
        Ok(Self {
            weight: scope.param("weight", &[bands], Init::Const(1.0))?,
            bias: scope.param("bias", &[bands], Init::Const(0.0))?,
            mean: scope.buffer("running_mean", Tensor::f_zeros([bands], options)?)?,
            variance: scope.buffer("running_var", Tensor::f_ones([bands], options)?)?,
            side: config.spec_size,
            folds: config.folds(),
            bands,
        })
    }

    /// `[batch, frames, bands] -> [batch, 1, side, side]`; row `part * bands + band`, column = frame within the part.
    pub(super) fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let (batch, frames, _) = mel.size3()?;
        let room = self.side * self.folds;
        if frames == 0 || frames > room {
            let expected = format!("[batch, 1..={room}, {}]", self.bands);
            return Err(Error::Shape { what: "log-mel".into(), expected, actual: mel.size() });
        }
        let scale = self.weight.f_div(&self.variance.f_add_scalar(EPS)?.f_sqrt()?)?;
        let normed = mel.f_sub(&self.mean)?.f_mul(&scale)?.f_add(&self.bias)?.f_unsqueeze(1)?;
        let stretched = match frames == room {
            true => normed,
            false => normed.f_upsample_bicubic2d([room, self.bands], true, None, None)?,
        };
        let parts = stretched.f_reshape([batch, self.folds, self.side, self.bands])?.f_transpose(2, 3)?;
        Ok(parts.f_reshape([batch, 1, self.side, self.side])?)
    }

    #[cfg(feature = "train")]
    pub(super) fn set_statistics(&mut self, mean: &Tensor, variance: &Tensor) -> Result<()> {
        self.mean.f_copy_(mean)?;
        Ok(self.variance.f_copy_(variance)?)
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::tch::Device;
    use musicot_core::{ParamStore, tensor};

    use super::*;

    #[test]
    fn stacks_time_parts_by_rows() {
        let store = ParamStore::new(Device::Cpu, 0);
        let config = AudioConfig { spec_size: 8, num_mel_bins: 4, ..AudioConfig::default() };
        let image = MelImage::new(&store.root(), &config).unwrap();
        // Value = 10 * frame + band; the default statistics leave it as it is but for epsilon.
        let mel = Tensor::arange(16, (Kind::Float, Device::Cpu)).unsqueeze(-1) * 10.0
            + Tensor::arange(4, (Kind::Float, Device::Cpu));
        let folded = tensor::to_array(&image.forward(&mel.unsqueeze(0)).unwrap()).unwrap();
        for (part, band, frame) in [(0, 0, 0), (0, 3, 7), (1, 0, 0), (1, 2, 5)] {
            let expected = 10.0 * (part * 8 + frame) as f32 + band as f32;
            assert!((folded[[0, 0, part * 4 + band, frame]] - expected).abs() < 1e-2);
        }
    }

    #[test]
    fn stretches_short_windows_and_refuses_long_ones() {
        let store = ParamStore::new(Device::Cpu, 0);
        let config = AudioConfig { spec_size: 8, num_mel_bins: 4, ..AudioConfig::default() };
        let image = MelImage::new(&store.root(), &config).unwrap();
        let frames = |n: i64| Tensor::zeros([1, n, 4], (Kind::Float, Device::Cpu));
        assert_eq!(image.forward(&frames(11)).unwrap().size(), [1, 1, 8, 8]);
        assert!(image.forward(&frames(17)).is_err());
        assert!(image.forward(&frames(0)).is_err());
    }
}

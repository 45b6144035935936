//! From log-mel frames to a square image.

use musicot_core::tch::Tensor;
use musicot_core::{Error, Result, Scope};

use super::batch_norm::BatchNorm;
use crate::config::AudioConfig;

/// Normalises each band, stretches the frames to the image's length, and stacks the time parts.
#[derive(Debug)]
pub(super) struct MelImage {
    norm: BatchNorm,
    side: i64,
    folds: i64,
    bands: i64,
}

impl MelImage {
    pub(super) fn new(scope: &Scope, config: &AudioConfig) -> Result<Self> {
        Ok(Self {
            norm: BatchNorm::new(scope, config.num_mel_bins)?,
            side: config.spec_size,
            folds: config.folds(),
            bands: config.num_mel_bins,
        })
    }

    /// `[batch, frames, bands] -> [batch, 1, side, side]`; row `part * rows of a part + band`, column = frame within the part.
    pub(super) fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let (batch, frames, _) = mel.size3()?;
        let (length, rows) = (self.side * self.folds, self.side / self.folds);
        if frames == 0 || frames > length {
            let expected = format!("[batch, 1..={length}, {}]", self.bands);
            return Err(Error::Shape { what: "log-mel".into(), expected, actual: mel.size() });
        }
        let mut image = self.norm.forward(&mel.f_transpose(1, 2)?)?.f_transpose(1, 2)?.f_unsqueeze(1)?;
        for size in [[length, self.bands], [length, rows]] {
            if image.size()[2..] != size {
                image = image.f_upsample_bicubic2d(size, true, None, None)?;
            }
        }
        let parts = image.f_reshape([batch, self.folds, self.side, rows])?.f_transpose(2, 3)?;
        Ok(parts.f_reshape([batch, 1, self.side, self.side])?)
    }

    #[cfg(feature = "train")]
    pub(super) fn set_statistics(&mut self, mean: &Tensor, variance: &Tensor) -> Result<()> {
        self.norm.set_statistics(mean, variance)
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::tch::{Device, Kind};
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
        // Three bands for parts of four rows.
        let config = AudioConfig { spec_size: 8, num_mel_bins: 3, ..AudioConfig::default() };
        let image = MelImage::new(&store.root().sub("three"), &config).unwrap();
        let ramp = Tensor::arange(3, (Kind::Float, Device::Cpu)).repeat([1, 16, 1]);
        let stretched = image.forward(&ramp).unwrap();
        assert_eq!(stretched.size(), [1, 1, 8, 8]);
        let row = |at: i64| stretched.double_value(&[0, 0, at, 5]);
        assert!((row(0)).abs() < 1e-6 && (row(3) - 2.0).abs() < 1e-4 && row(1) > 0.4 && row(1) < row(2));
        assert!(image.forward(&frames(0)).is_err());
    }
}

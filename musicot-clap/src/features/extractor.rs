//! Clips of any length to the pictures of the audio tower.

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error, Result, shape};

use super::log_mel::LogMel;
use super::{fill, fusion};
use crate::config::{FUSED_CHANNELS, FeatureConfig, Truncation};

/// Which part of a clip longer than the window is used. The reference draws it at random; here it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Crop {
    /// The first window or, with [`Truncation::Fusion`], the whole and a window from the middle of each third.
    #[default]
    Default,
    /// The window that starts at this sample, as if the clip were no longer.
    Window(i64),
    /// With [`Truncation::Fusion`]: the whole, and the windows that start at these frames.
    Thirds([i64; 3]),
}

/// What the audio tower sees of a clip.
#[derive(Debug)]
pub struct ClipFeatures {
    /// Log-mel frames `[pictures, frames, bands]`, dB: one picture, or four with [`Truncation::Fusion`].
    pub mel: Tensor,
    /// Whether the pictures differ, so that a model with fusion fuses them.
    pub is_longer: bool,
}

/// The front end of a model: fills up or cuts a clip, then makes log-mel frames; see [`FeatureConfig`].
///
/// ```
/// use musicot_clap::{Crop, FeatureConfig, FeatureExtractor};
/// use musicot_core::tch::{Device, Kind, Tensor};
/// let extractor = FeatureExtractor::new(&FeatureConfig::default(), 64, Device::Cpu)?;
/// let minute = Tensor::zeros([60 * 48_000], (Kind::Float, Device::Cpu));
/// let clip = extractor.clip(&minute, Crop::Window(5 * 48_000))?;
/// assert_eq!((clip.mel.size(), clip.is_longer), (vec![1, 1001, 64], false));
/// # Ok::<(), musicot_clap::Error>(())
/// ```
#[derive(Debug)]
pub struct FeatureExtractor {
    config: FeatureConfig,
    mel: LogMel,
    device: Device,
}

impl FeatureExtractor {
    /// A front end with `bands` mel bands.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of range.
    pub fn new(config: &FeatureConfig, bands: i64, device: Device) -> Result<Self> {
        Ok(Self { config: config.clone(), mel: LogMel::new(config, bands, device)?, device })
    }

    /// The part that computes log-mel frames.
    pub fn log_mel(&self) -> &LogMel {
        &self.mel
    }

    /// Samples `[batch, 1..=window]` (f32) to the log-mel frames `[batch, frames, bands]` of one window each, filled up where they are shorter.
    ///
    /// # Errors
    /// [`Error::Input`] for no samples, too many, NaN or infinity; [`Error::Shape`] for another number of axes.
    pub fn windows(&self, samples: &Tensor) -> Result<Tensor> {
        shape::expect("samples", samples, &[shape::ANY, shape::ANY])?;
        shape::expect_kind("samples", samples, Kind::Float)?;
        let (batch, length, window) = (samples.size()[0], samples.size()[1], self.config.window_samples);
        if batch == 0 || length == 0 || length > window {
            let reason = format!(
                "expected at least one clip of 1..={window} samples, got {batch} of {length}: embed_windows takes longer ones"
            );
            return Err(Error::input("samples", reason));
        }
        self.mel.forward(&fill(&samples.f_to_device(self.device)?, self.config.padding, window)?)
    }

    /// Samples `[samples]` (f32), any number of them, to what the tower sees.
    ///
    /// # Errors
    /// [`Error::Input`] for no samples, NaN or infinity, or a crop that is not within the clip; [`Error::Shape`] for another number of axes.
    pub fn clip(&self, samples: &Tensor, crop: Crop) -> Result<ClipFeatures> {
        shape::expect("samples", samples, &[shape::ANY])?;
        shape::expect_kind("samples", samples, Kind::Float)?;
        let (length, window) = (samples.size()[0], self.config.window_samples);
        let is_fused = self.config.truncation == Truncation::Fusion;
        let start = match crop {
            _ if length > window && is_fused && !matches!(crop, Crop::Window(_)) => {
                return self.long_clip(samples, crop);
            }
            Crop::Default => 0,
            Crop::Window(start) => start,
            Crop::Thirds(_) => {
                let reason = "three windows need the truncation `fusion` and a clip longer than the window";
                return Err(Error::input("crop", reason));
            }
        };
        let last = (length - window).max(0);
        if !(0..=last).contains(&start) {
            return Err(Error::input("crop", format!("expected a start in 0..={last}, got {start}")));
        }
        let part = samples.f_narrow(0, start, length.min(window))?;
        self.pictures(self.windows(&part.f_unsqueeze(0)?)?)
    }

    fn long_clip(&self, samples: &Tensor, crop: Crop) -> Result<ClipFeatures> {
        let mel = self.mel.forward(&samples.f_to_device(self.device)?.f_unsqueeze(0)?)?;
        let (frames, window) = (mel.size()[1], self.config.window_frames());
        // A clip that is longer by less than a frame.
        if frames == window {
            return self.pictures(mel);
        }
        let starts = match crop {
            Crop::Thirds(starts) => starts,
            Crop::Default | Crop::Window(_) => fusion::middles(frames, window),
        };
        let mel = fusion::pictures(&mel.f_squeeze_dim(0)?, window, starts)?;
        Ok(ClipFeatures { mel, is_longer: true })
    }

    /// The frames `[1, frames, bands]` of a clip that is no longer than a window, as often as there are pictures.
    fn pictures(&self, mel: Tensor) -> Result<ClipFeatures> {
        let pictures = match self.config.truncation {
            Truncation::Fusion => FUSED_CHANNELS,
            Truncation::RandTrunc => 1,
        };
        Ok(ClipFeatures { mel: mel.f_repeat([pictures, 1, 1])?, is_longer: false })
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;

    use super::*;
    use crate::config::Padding;

    fn extractor(truncation: Truncation) -> FeatureExtractor {
        let config = FeatureConfig {
            sample_rate_hz: 8000,
            n_fft: 64,
            hop_samples: 20,
            max_hz: 4000.0,
            window_samples: 200,
            padding: Padding::Pad,
            truncation,
            ..FeatureConfig::default()
        };
        FeatureExtractor::new(&config, 8, Device::Cpu).unwrap()
    }

    fn noise(samples: i64) -> Tensor {
        CounterRng::new(2).normal(0, &[samples], Device::Cpu).unwrap()
    }

    #[test]
    fn a_crop_is_the_clip_it_cuts_out() {
        for (truncation, pictures) in [(Truncation::RandTrunc, 1), (Truncation::Fusion, 4)] {
            let (extractor, samples) = (extractor(truncation), noise(500));
            let cut = extractor.clip(&samples, Crop::Window(123)).unwrap();
            assert_eq!((cut.mel.size(), cut.is_longer), (vec![pictures, 11, 8], false));
            let alone = extractor.clip(&samples.narrow(0, 123, 200), Crop::Default).unwrap();
            assert_eq!(cut.mel, alone.mel);
            for start in [-1, 301] {
                let error = extractor.clip(&samples, Crop::Window(start)).unwrap_err();
                assert!(error.to_string().contains("0..=300"), "{error}");
            }
        }
    }

    #[test]
    fn long_clips_are_fused_unless_they_have_no_more_frames() {
        let extractor = extractor(Truncation::Fusion);
        let long = extractor.clip(&noise(500), Crop::Thirds([0, 7, 15])).unwrap();
        assert_eq!((long.mel.size(), long.is_longer), (vec![4, 11, 8], true));
        assert_ne!(long.mel.get(1), long.mel.get(2));
        let middle = extractor.clip(&noise(500), Crop::Default).unwrap().mel;
        assert_eq!(middle, extractor.clip(&noise(500), Crop::Thirds([2, 8, 13])).unwrap().mel);
        assert!(extractor.clip(&noise(500), Crop::Thirds([0, 7, 16])).is_err());
        let barely = extractor.clip(&noise(219), Crop::Default).unwrap();
        assert_eq!((barely.mel.size(), barely.is_longer), (vec![4, 11, 8], false));
        assert_eq!(barely.mel.get(0), barely.mel.get(3));
    }

    #[test]
    fn bad_clips_and_crops_are_errors() {
        let extractor = extractor(Truncation::RandTrunc);
        assert!(extractor.clip(&noise(0), Crop::Default).is_err());
        assert!(extractor.clip(&noise(500), Crop::Thirds([0, 1, 2])).is_err());
        assert!(extractor.clip(&noise(50), Crop::Window(1)).is_err());
        assert!(extractor.clip(&noise(50).unsqueeze(0), Crop::Default).is_err());
        assert!(extractor.clip(&(noise(50) * f64::NAN), Crop::Default).is_err());
    }
}

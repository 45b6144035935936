//! When within a latent frame the sound rises: levels of a few broad bands through a short window.

use musicot_core::Result;
use musicot_core::dsp::{Padding, Stft};
use musicot_core::tch::{Device, Kind, Tensor};

use super::SpectralCodecConfig;
use super::latents::{bins, power, shares};
use super::magnitudes::normalise;

/// Samples of the short window: attacks are told apart to half of it.
const WINDOW: i64 = 1024;
/// End of the lowest band, which bass drums have to themselves, in hertz.
const LOWEST_HZ: f64 = 150.0;

/// The analysis from samples to the course of broad bands within each latent frame.
#[derive(Debug)]
pub(super) struct Attacks {
    stft: Stft,
    floor: f64,
    frames: i64,
    /// Share of each bin in a band's mean power `[bands, bins]`.
    means: Tensor,
}

impl Attacks {
    /// `None` where the configuration has no such bands.
    pub fn new(config: &SpectralCodecConfig, device: Device) -> Result<Option<Self>> {
        if config.attack_bands == 0 {
            return Ok(None);
        }
        let bin_hz = f64::from(config.sample_rate_hz) / WINDOW as f64;
        Ok(Some(Self {
            stft: Stft::new(WINDOW, config.spectral_hop, Padding::Same, device)?,
            floor: config.floor,
            frames: config.frames_per_latent,
            means: shares(&bands(config), &bins(WINDOW, bin_hz))?.f_to_device(device)?,
        }))
    }

    /// Samples `[batch, samples]`, whole latents of them, to `[batch, bands * frames per latent, latents]`: how far each spectral frame's
    /// level is from the latent frame's mean, frame by frame and within it band by band.
    pub fn analyse(&self, samples: &Tensor) -> Result<Tensor> {
        let power = power(&self.stft, samples)?;
        let levels = normalise(&self.means.f_matmul(&power)?.f_sqrt()?, self.floor)?;
        let (batch, bands, count) = levels.size3()?;
        let within = levels.f_reshape([batch, bands, count / self.frames, self.frames])?;
        let within = within.f_sub(&within.f_mean_dim([-1].as_slice(), true, Kind::Float)?)?;
        Ok(within.f_permute([0, 3, 1, 2])?.f_reshape([batch, self.frames * bands, count / self.frames])?)
    }
}

/// From 0 Hz to the last latent band's start, evenly spaced in pitch above the lowest.
fn bands(config: &SpectralCodecConfig) -> Vec<(f64, f64)> {
    let count = config.attack_bands;
    let lowest = LOWEST_HZ.min(config.top_hz);
    let edge = |index: i64| match index {
        0 => 0.0,
        _ if index == count => config.top_hz,
        _ => lowest * (config.top_hz / lowest).powf((index - 1) as f64 / (count - 1) as f64),
    };
    (0..count).map(|band| (edge(band), edge(band + 1))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config() -> SpectralCodecConfig {
        SpectralCodecConfig { attack_bands: 6, latent_dim: 152, ..SpectralCodecConfig::default() }
    }

    #[test]
    fn bands_join_and_reach_the_top() {
        let bands = bands(&config());
        assert_eq!((bands.len(), bands[0].0, bands[5].1), (6, 0.0, 16_000.0));
        assert!(bands.windows(2).all(|pair| (pair[0].1 - pair[1].0).abs() < 1e-6 && pair[0].0 < pair[0].1));
        assert!((bands[0].1 - 150.0).abs() < 1e-9);
    }

    /// A click in the third quarter of the sixth latent frame: that quarter is above the mean, the first below, in every band; a frame of
    /// silence is flat.
    #[test]
    fn a_click_is_found_in_its_quarter() {
        let attacks = Attacks::new(&config(), Device::Cpu).unwrap().unwrap();
        let samples = Tensor::zeros([1, 12 * 1920], (Kind::Float, Device::Cpu));
        let _ = samples.narrow(1, 5 * 1920 + 1200, 8).fill_(0.5);
        let values = attacks.analyse(&samples).unwrap();
        assert_eq!(values.size(), [1, 24, 12]);
        let quarters = values.select(2, 5).reshape([4, 6]);
        assert!(quarters.get(2).min().double_value(&[]) > 0.2, "{quarters}");
        assert!(quarters.get(0).max().double_value(&[]) < 0.0, "{quarters}");
        assert_eq!(values.select(2, 1).abs().max().double_value(&[]), 0.0);
    }
}

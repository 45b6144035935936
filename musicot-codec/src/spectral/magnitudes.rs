//! Between waveforms and the log-magnitude bands that the network predicts.

use musicot_core::Result;
use musicot_core::dsp::{Padding, Stft};
use musicot_core::tch::{Device, Tensor};

use super::SpectralCodecConfig;

/// Middle and spread of log-magnitudes of music, so that the network's input is of order 1.
const MIDDLE: f64 = -5.0;
const SPREAD: f64 = 2.0;

/// Linear magnitudes (1 = a full-scale sine) to normalised log-magnitudes.
pub(super) fn normalise(magnitudes: &Tensor, floor: f64) -> Result<Tensor> {
    let log = magnitudes.f_add_scalar(floor)?.f_log()?;
    Ok(log.f_sub_scalar(MIDDLE)?.f_div_scalar(SPREAD)?)
}

/// The transform of a [`crate::SpectralCodec`] without its network: what an ideal network would keep.
#[derive(Debug)]
pub struct Magnitudes {
    stft: Stft,
    config: SpectralCodecConfig,
}

impl Magnitudes {
    /// Builds the transform.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(config: &SpectralCodecConfig, device: Device) -> Result<Self> {
        config.validate()?;
        let stft = Stft::new(config.n_fft, config.spectral_hop, Padding::Same, device)?;
        Ok(Self { stft, config: config.clone() })
    }

    pub(super) fn stft(&self) -> &Stft {
        &self.stft
    }

    /// Samples `[batch, samples]` to normalised log-magnitudes `[batch, bands, spectral frames]`.
    ///
    /// # Errors
    /// Another shape.
    pub fn analyse(&self, samples: &Tensor) -> Result<Tensor> {
        // A full-scale sine has this magnitude under a Hann window.
        let full_scale = self.config.n_fft as f64 / 4.0;
        let magnitudes = self.stft.forward(samples)?.f_abs()?.f_div_scalar(full_scale)?;
        normalise(&self.to_bands(&magnitudes)?, self.config.floor)
    }

    /// Normalised log-magnitudes to linear bands (1 = a full-scale sine).
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn to_linear(&self, normalised: &Tensor) -> Result<Tensor> {
        // Nothing is louder than full scale by more than a crowded chord: keeps a wild latent from becoming a blast.
        let log = normalised.f_mul_scalar(SPREAD)?.f_add_scalar(MIDDLE)?.f_clamp_max(1.0)?;
        Ok(log.f_exp()?.f_sub_scalar(self.config.floor)?.f_clamp_min(0.0)?)
    }

    /// Normalised log-magnitudes `[batch, bands, frames]` to magnitudes of the transform `[batch, frames, n_fft / 2 + 1]`.
    pub(super) fn expand(&self, normalised: &Tensor) -> Result<Tensor> {
        let c = &self.config;
        // Turned while there are few values.
        let by_frame = normalised.f_transpose(1, 2)?.f_contiguous()?;
        let linear = self.to_linear(&by_frame)?.f_mul_scalar(c.n_fft as f64 / 4.0)?;
        let fine = linear.f_narrow(2, 0, c.fine_bins)?;
        let coarse = linear.f_narrow(2, c.fine_bins, c.bands() - c.fine_bins)?;
        let coarse = coarse.f_repeat_interleave_self_int(c.band_width, 2, None)?;
        let nyquist = linear.f_narrow(2, 0, 1)?.f_zeros_like()?;
        Ok(Tensor::f_cat(&[fine, coarse, nyquist], 2)?)
    }

    fn to_bands(&self, magnitudes: &Tensor) -> Result<Tensor> {
        let c = &self.config;
        let fine = magnitudes.f_narrow(1, 0, c.fine_bins)?;
        let rest = magnitudes.f_narrow(1, c.fine_bins, c.n_fft / 2 - c.fine_bins)?;
        let (batch, frames) = (rest.size()[0], rest.size()[2]);
        let coarse = rest.f_reshape([batch, -1, c.band_width, frames])?;
        // Root mean square keeps the energy of noise-like bands.
        let coarse = coarse.f_square()?.f_mean_dim([2].as_slice(), false, None)?.f_sqrt()?;
        Ok(Tensor::f_cat(&[fine, coarse], 1)?)
    }

    /// `[batch, bands * n, latents] -> [batch, bands, latents * n]` for n spectral frames per latent.
    pub(super) fn unstack(&self, stacked: &Tensor) -> Result<Tensor> {
        let (n, (batch, rows, count)) = (self.config.frames_per_latent, stacked.size3()?);
        let split = stacked.f_reshape([batch, n, rows / n, count])?;
        Ok(split.f_permute([0, 2, 3, 1])?.f_reshape([batch, rows / n, count * n])?)
    }
}

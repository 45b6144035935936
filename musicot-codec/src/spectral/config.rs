//! Sizes and settings of the spectral codec.

use musicot_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::convnext::Sizes;

/// Configuration of a [`crate::SpectralCodec`]; all values are our choice, found by measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectralCodecConfig {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Samples per spectral frame (the window); sets the resolution in pitch.
    pub n_fft: i64,
    /// Samples between spectral frames.
    pub spectral_hop: i64,
    /// Spectral frames per latent frame.
    pub frames_per_latent: i64,
    /// Bins from 0 Hz kept one by one.
    pub fine_bins: i64,
    /// Bins averaged into one band above them.
    pub band_width: i64,
    /// Magnitude (1 = a full-scale sine) below which differences do not count.
    pub floor: f64,
    /// Values per latent frame.
    pub latent_dim: i64,
    /// Width of encoder and decoder.
    pub dim: i64,
    /// Width inside a block.
    pub hidden: i64,
    /// Blocks of the encoder.
    pub encoder_blocks: i64,
    /// Blocks of the decoder.
    pub decoder_blocks: i64,
    /// Standard deviation of noise added to latents in training, so that small errors of a generator do no harm.
    pub latent_noise: f64,
    /// Rounds of Griffin-Lim per block of decoding.
    pub rounds: usize,
}

impl Default for SpectralCodecConfig {
    fn default() -> Self {
        Self {
            sample_rate_hz: 48_000,
            n_fft: 4096,
            spectral_hop: 960,
            frames_per_latent: 2,
            fine_bins: 512,
            band_width: 8,
            floor: 3e-4,
            latent_dim: 128,
            dim: 384,
            hidden: 1152,
            encoder_blocks: 4,
            decoder_blocks: 6,
            latent_noise: 0.1,
            rounds: 32,
        }
    }
}

impl SpectralCodecConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("sample_rate_hz", i64::from(self.sample_rate_hz)),
            ("n_fft", self.n_fft),
            ("spectral_hop", self.spectral_hop),
            ("frames_per_latent", self.frames_per_latent),
            ("fine_bins", self.fine_bins),
            ("band_width", self.band_width),
            ("latent_dim", self.latent_dim),
            ("dim", self.dim),
            ("hidden", self.hidden),
            ("encoder_blocks", self.encoder_blocks),
            ("decoder_blocks", self.decoder_blocks),
        ];
        for (field, value) in sizes {
            // The upper bound keeps products of two sizes far from overflow.
            if !(1..=1 << 20).contains(&value) {
                return Err(Error::config(field, format!("expected 1..={}, got {value}", 1 << 20)));
            }
        }
        if self.n_fft % 2 != 0
            || self.fine_bins > self.n_fft / 2
            || (self.n_fft / 2 - self.fine_bins) % self.band_width != 0
        {
            let reason = format!(
                "expected n_fft / 2 = fine_bins + a multiple of band_width, got n_fft {}",
                self.n_fft
            );
            return Err(Error::config("fine_bins", reason));
        }
        if !(self.floor > 0.0 && self.floor < 1.0) {
            return Err(Error::config("floor", format!("expected 0 < floor < 1, got {}", self.floor)));
        }
        if !(self.latent_noise >= 0.0 && self.latent_noise.is_finite()) {
            return Err(Error::config(
                "latent_noise",
                format!("expected at least 0, got {}", self.latent_noise),
            ));
        }
        Ok(())
    }

    /// Samples per latent frame.
    pub fn hop(&self) -> i64 {
        self.spectral_hop * self.frames_per_latent
    }

    /// Values per spectral frame: single bins, then bands (the Nyquist bin is left out).
    pub fn bands(&self) -> i64 {
        self.fine_bins + (self.n_fft / 2 - self.fine_bins) / self.band_width
    }

    pub(crate) fn encoder(&self) -> Sizes {
        Sizes {
            inputs: self.bands() * self.frames_per_latent,
            outputs: self.latent_dim,
            dim: self.dim,
            hidden: self.hidden,
            blocks: self.encoder_blocks,
        }
    }

    pub(crate) fn decoder(&self) -> Sizes {
        Sizes {
            inputs: self.latent_dim,
            outputs: self.bands() * self.frames_per_latent,
            dim: self.dim,
            hidden: self.hidden,
            blocks: self.decoder_blocks,
        }
    }
}

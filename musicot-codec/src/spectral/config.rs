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
    /// Samples per spectral frame (the window of what is decoded): short enough for attacks.
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
    /// Values per latent frame: levels of as many bands, but for those of attacks.
    pub latent_dim: i64,
    /// Broad bands whose course within a latent frame is told, spectral frame by spectral frame, by the last `attack_bands * frames_per_latent` of a
    /// latent's values: when an attack comes, and how sharp it is. 0 leaves that to the decoder's guess.
    pub attack_bands: i64,
    /// Samples of the window through which latents see: long enough for pitch.
    pub latent_n_fft: i64,
    /// Latent bands per octave where pitch is told apart; single bins of the long window below, where those are wider.
    pub bands_per_octave: f64,
    /// End of that range in hertz. What is left of `latent_dim` is spread evenly in pitch above it.
    pub pitch_hz: f64,
    /// Start of the last latent band in hertz.
    pub top_hz: f64,
    /// Width of the decoder.
    pub dim: i64,
    /// Width inside a block.
    pub hidden: i64,
    /// Blocks of the decoder.
    pub blocks: i64,
    /// Standard deviation of noise added to latents in training, so that small errors of a generator do no harm.
    pub latent_noise: f64,
    /// Rounds of Griffin-Lim per block of decoding.
    pub rounds: usize,
}

impl Default for SpectralCodecConfig {
    fn default() -> Self {
        Self {
            sample_rate_hz: 48_000,
            n_fft: 3072,
            spectral_hop: 480,
            frames_per_latent: 4,
            fine_bins: 384,
            band_width: 6,
            floor: 3e-4,
            latent_dim: 128,
            attack_bands: 0,
            latent_n_fft: 4096,
            bands_per_octave: 24.0,
            pitch_hz: 4000.0,
            top_hz: 16_000.0,
            dim: 384,
            hidden: 1152,
            blocks: 8,
            latent_noise: 0.05,
            rounds: 16,
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
            ("latent_n_fft", self.latent_n_fft),
            ("dim", self.dim),
            ("hidden", self.hidden),
            ("blocks", self.blocks),
        ];
        for (field, value) in sizes {
            // The upper bound keeps products of two sizes far from overflow.
            if !(1..=1 << 20).contains(&value) {
                return Err(Error::config(field, format!("expected 1..={}, got {value}", 1 << 20)));
            }
        }
        // The upper bound keeps narrow bands from having no bin of the short window.
        if !(0..=8).contains(&self.attack_bands) || self.levels() < 1 {
            let reason = format!(
                "expected 0..=8 and fewer than {} / {}, got {}",
                self.latent_dim, self.frames_per_latent, self.attack_bands
            );
            return Err(Error::config("attack_bands", reason));
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
        if self.latent_n_fft % 2 != 0 || self.hop() % 2 != 0 || self.latent_n_fft < self.hop() / 2 {
            let (window, hop) = (self.latent_n_fft, self.hop());
            let reason = format!(
                "expected even numbers and a window of at least half of a latent's hop, got {window} and {hop}"
            );
            return Err(Error::config("latent_n_fft", reason));
        }
        if !(self.floor > 0.0 && self.floor < 1.0) {
            return Err(Error::config("floor", format!("expected 0 < floor < 1, got {}", self.floor)));
        }
        let nyquist = f64::from(self.sample_rate_hz) / 2.0;
        if !(self.bands_per_octave > 0.0 && self.bands_per_octave <= 1200.0) {
            let reason = format!("expected more than 0 and at most 1200, got {}", self.bands_per_octave);
            return Err(Error::config("bands_per_octave", reason));
        }
        if !(self.pitch_hz > 0.0 && self.pitch_hz < self.top_hz && self.top_hz < nyquist) {
            let (pitch, top) = (self.pitch_hz, self.top_hz);
            let reason = format!("expected 0 < pitch_hz < top_hz < {nyquist}, got {pitch} and {top}");
            return Err(Error::config("pitch_hz", reason));
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

    /// Values of a latent that are levels of bands.
    pub(crate) fn levels(&self) -> i64 {
        self.latent_dim - self.attack_bands * self.frames_per_latent
    }

    /// Values per spectral frame: single bins, then bands (the Nyquist bin is left out).
    pub fn bands(&self) -> i64 {
        self.fine_bins + (self.n_fft / 2 - self.fine_bins) / self.band_width
    }

    /// Lower edge of a spectral band in hertz.
    pub(crate) fn edge_hz(&self, band: i64) -> f64 {
        let bin = band.min(self.fine_bins) + (band - self.fine_bins).max(0) * self.band_width;
        bin as f64 * f64::from(self.sample_rate_hz) / self.n_fft as f64
    }

    pub(crate) fn decoder(&self) -> Sizes {
        Sizes {
            inputs: self.latent_dim,
            outputs: self.bands() * self.frames_per_latent,
            dim: self.dim,
            hidden: self.hidden,
            blocks: self.blocks,
        }
    }
}

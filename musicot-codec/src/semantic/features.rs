//! Semitone bands and envelopes, a column per token.

use musicot_core::dsp::{MelBank, MelConfig, MelNorm, MelScale, Padding, Stft, log_frequency_bank};
use musicot_core::tch::{Device, Tensor};
use musicot_core::{Result, tensor};

use super::NoteTokenizerConfig;

/// C1.
const LOWEST_HZ: f64 = 32.703;
/// Magnitude (1 = a full-scale sine) below which nothing counts.
const FLOOR: f64 = 1e-3;
/// Middle and spread of the logarithms, so that features are of order 1.
const MIDDLE: f64 = -5.0;
const SPREAD: f64 = 1.5;

/// The fixed analysis in front of a [`crate::NoteTokenizer`].
#[derive(Debug)]
pub struct NoteFeatures {
    pitch: Stft,
    /// `[semitones, bins]`.
    pitch_bank: Tensor,
    rhythm: Stft,
    /// `[rhythm bands, bins]`.
    rhythm_bank: Tensor,
    config: NoteTokenizerConfig,
}

impl NoteFeatures {
    /// Builds the filter banks.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(config: &NoteTokenizerConfig, device: Device) -> Result<Self> {
        config.validate()?;
        let c = config;
        let pitch_bank =
            log_frequency_bank(c.sample_rate_hz, c.pitch_window as usize, LOWEST_HZ, 12, c.semitones)?;
        let mel = MelBank::new(&MelConfig {
            sample_rate_hz: c.sample_rate_hz,
            n_fft: c.rhythm_window as usize,
            bands: c.rhythm_bands,
            min_hz: 0.0,
            max_hz: f64::from(c.sample_rate_hz) / 3.0,
            scale: MelScale::Htk,
            norm: MelNorm::None,
        })?;
        // A mean over the band, not a sum: wide bands must not drown narrow ones.
        let sums = mel.weights.sum_axis(ndarray::Axis(1)).mapv(|s| s.max(1.0)).insert_axis(ndarray::Axis(1));
        let rhythm_bank = mel.weights / sums;
        Ok(Self {
            pitch: Stft::new(c.pitch_window, c.hop / c.pitch_frames, Padding::Same, device)?,
            pitch_bank: tensor::from_array(pitch_bank.view(), device)?,
            rhythm: Stft::new(c.rhythm_window, c.hop / c.rhythm_frames, Padding::Same, device)?,
            rhythm_bank: tensor::from_array(rhythm_bank.view(), device)?,
            config: c.clone(),
        })
    }

    /// Samples `[batch, tokens * hop]` to features `[batch, features, tokens]`: first the semitone frames of a token, then its envelopes.
    ///
    /// # Errors
    /// Another number of axes.
    pub fn analyse(&self, samples: &Tensor) -> Result<Tensor> {
        let c = &self.config;
        let pitch = bands(&self.pitch, &self.pitch_bank, samples)?;
        let rhythm = bands(&self.rhythm, &self.rhythm_bank, samples)?;
        Ok(Tensor::f_cat(&[stack(&pitch, c.pitch_frames)?, stack(&rhythm, c.rhythm_frames)?], 1)?)
    }

    /// Number of leading features that are semitone bands.
    pub fn pitch_features(&self) -> i64 {
        self.config.pitch_frames * self.config.semitones as i64
    }
}

fn bands(stft: &Stft, bank: &Tensor, samples: &Tensor) -> Result<Tensor> {
    let magnitudes = stft.forward(samples)?.f_abs()?.f_div_scalar(stft.n_fft() as f64 / 4.0)?;
    let energy = bank.f_matmul(&magnitudes.f_square()?)?;
    let log = energy.f_add_scalar(FLOOR * FLOOR)?.f_log()?.f_mul_scalar(0.5)?;
    Ok(log.f_sub_scalar(MIDDLE)?.f_div_scalar(SPREAD)?)
}

/// `[batch, bands, tokens * n] -> [batch, n * bands, tokens]`.
fn stack(frames: &Tensor, n: i64) -> Result<Tensor> {
    let (batch, bands, count) = frames.size3()?;
    let split = frames.f_reshape([batch, bands, count / n, n])?;
    Ok(split.f_permute([0, 3, 1, 2])?.f_reshape([batch, n * bands, count / n])?)
}

/// Normalised features back to magnitudes (1 = a full-scale sine), above the floor.
#[cfg(feature = "train")]
pub(crate) fn to_linear(features: &Tensor) -> Result<Tensor> {
    // Nothing is louder than full scale: keeps an untrained network from overflowing.
    let log = features.f_mul_scalar(SPREAD)?.f_add_scalar(MIDDLE)?.f_clamp_max(0.0)?;
    Ok(log.f_exp()?.f_sub_scalar(FLOOR)?.f_clamp_min(0.0)?)
}

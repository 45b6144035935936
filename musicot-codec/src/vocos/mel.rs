//! Waveform to mel bands.

use musicot_core::dsp::{MelBank, MelConfig, MelNorm, MelScale, Padding};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Error, Scope, tensor};

use super::MelFeaturesConfig;
use crate::Result;

/// The least magnitude that counts.
const FLOOR: f64 = 1e-7;

/// Windowed transform and filters; both are the checkpoint's own.
#[derive(Debug)]
pub(super) struct MelFeatures {
    window: Tensor,
    /// `[bins, mels]`.
    bank: Tensor,
    config: MelFeaturesConfig,
}

impl MelFeatures {
    /// Buffers `spectrogram.window [n_fft]` and `mel_scale.fb [n_fft / 2 + 1, n_mels]`.
    pub fn new(scope: &Scope, config: &MelFeaturesConfig) -> Result<Self> {
        let c = config;
        let window = Tensor::f_hann_window_periodic(c.n_fft, true, (Kind::Float, scope.device()))?;
        let bank = MelBank::new(&MelConfig {
            sample_rate_hz: c.sample_rate,
            n_fft: c.n_fft as usize,
            bands: c.n_mels as usize,
            min_hz: 0.0,
            max_hz: f64::from(c.sample_rate) / 2.0,
            scale: MelScale::Htk,
            norm: MelNorm::None,
        })?;
        let bank = tensor::from_array(bank.weights.t(), scope.device())?;
        Ok(Self {
            window: scope.sub("spectrogram").buffer("window", window)?,
            bank: scope.sub("mel_scale").buffer("fb", bank)?,
            config: c.clone(),
        })
    }

    /// Finite samples `[batch, samples]` to `[batch, mels, frames]`.
    pub fn forward(&self, audio: &Tensor) -> Result<Tensor> {
        let c = &self.config;
        let edge = match c.padding {
            Padding::Same => (c.n_fft - c.hop_length) / 2,
            _ => c.n_fft / 2,
        };
        // What a reflection and a frame need.
        let least = (edge + 1).max(c.n_fft - 2 * edge);
        let samples = audio.size().last().copied().unwrap_or(0);
        if samples < least {
            return Err(
                Error::input("audio", format!("expected at least {least} samples, got {samples}")).into()
            );
        }
        let padded = audio.f_reflection_pad1d([edge, edge])?;
        let spectrum =
            padded.f_stft(c.n_fft, c.hop_length, c.n_fft, Some(&self.window), false, true, true, false)?;
        let bands = spectrum.f_abs()?.f_transpose(1, 2)?.f_matmul(&self.bank)?;
        Ok(bands.f_clamp_min(FLOOR)?.f_log()?.f_transpose(1, 2)?)
    }
}

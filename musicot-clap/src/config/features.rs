//! From samples to log-mel frames.

use musicot_core::Result;
use musicot_core::dsp::{MelNorm, MelScale};
use serde::{Deserialize, Serialize};

use super::check;

/// Bands may lie above half the sample rate, where they stay empty; this many times as high at most.
const MOST_NYQUISTS: f64 = 8.0;

/// How a clip shorter than the window is filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Padding {
    /// Repeated as often as it fits whole, then silence.
    #[default]
    RepeatPad,
    /// Repeated to the end, the last time in part.
    Repeat,
    /// Followed by silence.
    Pad,
}

/// What becomes of a clip longer than the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Truncation {
    /// One window is cut from it. (Published training drew its start; here the caller says it.)
    #[default]
    RandTrunc,
    /// Four pictures: the whole clip shrunk to a window, and a window from each of its thirds. A shorter clip is the same picture four times.
    Fusion,
}

/// From samples to log-mel frames: centred frames with reflected edges, periodic Hann window, power spectrum, mel bands,
/// `10 log10(max(x, 1e-10))`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureConfig {
    /// Samples per second, mono.
    pub sample_rate_hz: u32,
    /// Samples per spectrum and in its window.
    pub n_fft: i64,
    /// Samples between frames.
    pub hop_samples: i64,
    /// Lower edge of the lowest band.
    pub min_hz: f64,
    /// Upper edge of the highest band.
    pub max_hz: f64,
    /// Mel formula: `slaney` in the models without fusion, `htk` in those with it.
    pub mel_scale: MelScale,
    /// Height of the bands: `slaney` in the models without fusion, `none` in those with it.
    pub mel_norm: MelNorm,
    /// Length of the audio that is embedded at once.
    pub window_samples: i64,
    /// How a clip shorter than the window is filled up.
    pub padding: Padding,
    /// What becomes of a clip longer than the window.
    pub truncation: Truncation,
}

impl Default for FeatureConfig {
    fn default() -> Self {
        Self {
            sample_rate_hz: 48_000,
            n_fft: 1024,
            hop_samples: 480,
            min_hz: 50.0,
            max_hz: 14_000.0,
            mel_scale: MelScale::Slaney,
            mel_norm: MelNorm::Slaney,
            window_samples: 480_000,
            padding: Padding::RepeatPad,
            truncation: Truncation::RandTrunc,
        }
    }
}

impl FeatureConfig {
    /// The same with a way of cutting and the bands that published models have with it: those of the `htk` formula with fusion, those of the
    /// `slaney` one without.
    pub(crate) fn truncated(self, truncation: Truncation) -> Self {
        let (mel_scale, mel_norm) = match truncation {
            Truncation::Fusion => (MelScale::Htk, MelNorm::None),
            Truncation::RandTrunc => (MelScale::Slaney, MelNorm::Slaney),
        };
        Self { truncation, mel_scale, mel_norm, ..self }
    }

    /// Frames of one window.
    pub fn window_frames(&self) -> i64 {
        self.window_samples / self.hop_samples.max(1) + 1
    }

    pub(crate) fn validate(&self) -> Result<()> {
        check(
            "features.sample_rate_hz",
            self.sample_rate_hz > 0,
            "expected a positive rate",
            self.sample_rate_hz,
        )?;
        let spectrum = (16..=1 << 20).contains(&self.n_fft) && self.n_fft % 2 == 0;
        check("features.n_fft", spectrum, "expected an even number from 16 to 2^20", self.n_fft)?;
        check("features.hop_samples", self.hop_samples > 0, "expected a positive number", self.hop_samples)?;
        let bounded = self.window_samples <= 1 << 28;
        check("features.window_samples", bounded, "expected at most 2^28", self.window_samples)?;
        let most = MOST_NYQUISTS * f64::from(self.sample_rate_hz) / 2.0;
        let edges = self.min_hz >= 0.0 && self.min_hz < self.max_hz && self.max_hz <= most;
        check("features.max_hz", edges, &format!("expected 0 <= min_hz < max_hz <= {most}"), self.max_hz)?;
        // Reflection needs more samples than it mirrors.
        let long_enough = self.window_samples > self.n_fft / 2;
        check("features.window_samples", long_enough, "expected more than n_fft / 2", self.window_samples)
    }
}

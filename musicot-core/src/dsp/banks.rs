//! Filter banks that turn a linear spectrum into mel or log-frequency bands.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Formula of the mel scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelScale {
    /// `2595 log10(1 + f / 700)`.
    Htk,
    /// Linear below 1 kHz, logarithmic above (Slaney's Auditory Toolbox).
    Slaney,
}

/// Height of the triangles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelNorm {
    /// Each peaks at 1.
    None,
    /// Each has unit area per hertz (times 2).
    Slaney,
}

/// A bank of triangular mel filters. Filters narrower than the spacing of the spectrum may miss every bin and be zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MelConfig {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Samples per frame of the spectrum.
    pub n_fft: usize,
    /// Number of filters.
    pub bands: usize,
    /// Lower edge of the first filter.
    pub min_hz: f64,
    /// Upper edge of the last filter.
    pub max_hz: f64,
    /// Formula of the scale.
    pub scale: MelScale,
    /// Height of the triangles.
    pub norm: MelNorm,
}

/// Weights of mel filters `[bands, n_fft / 2 + 1]`.
#[derive(Debug, Clone)]
pub struct MelBank {
    /// Weights `[bands, bins]`.
    pub weights: Array2<f32>,
}

impl MelBank {
    /// Computes the weights in f64.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no band, or the edges do not rise within 0 and half the sample rate.
    pub fn new(config: &MelConfig) -> Result<Self> {
        let c = config;
        let nyquist = f64::from(c.sample_rate_hz) / 2.0;
        if c.bands == 0 || c.n_fft == 0 {
            let reason = format!("expected positive bands and n_fft, got {} and {}", c.bands, c.n_fft);
            return Err(Error::config("mel", reason));
        }
        let is_ordered = c.min_hz >= 0.0 && c.min_hz < c.max_hz && c.max_hz <= nyquist;
        if !is_ordered {
            let reason = format!("expected 0 <= min < max <= {nyquist} Hz, got {}..{}", c.min_hz, c.max_hz);
            return Err(Error::config("mel", reason));
        }
        let (low, high) = (hz_to_mel(c.min_hz, c.scale), hz_to_mel(c.max_hz, c.scale));
        let step = (high - low) / (c.bands + 1) as f64;
        let edges: Vec<f64> = (0..c.bands + 2).map(|i| mel_to_hz(low + step * i as f64, c.scale)).collect();
        let bin_hz = f64::from(c.sample_rate_hz) / c.n_fft as f64;
        let weights = Array2::from_shape_fn((c.bands, c.n_fft / 2 + 1), |(band, bin)| {
            let height = match c.norm {
                MelNorm::None => 1.0,
                MelNorm::Slaney => 2.0 / (edges[band + 2] - edges[band]),
            };
            (height * triangle(&edges[band..band + 3], bin as f64 * bin_hz)) as f32
        });
        Ok(Self { weights })
    }
}

fn triangle(edges: &[f64], hz: f64) -> f64 {
    let rising = (hz - edges[0]) / (edges[1] - edges[0]);
    let falling = (edges[2] - hz) / (edges[2] - edges[1]);
    rising.min(falling).max(0.0)
}

/// Below this the Slaney scale is linear.
const SLANEY_KNEE_HZ: f64 = 1000.0;
const SLANEY_KNEE_MEL: f64 = 15.0;
const SLANEY_HZ_PER_MEL: f64 = 200.0 / 3.0;

/// Mels per natural logarithm above the knee: a factor of 6.4 spans 27 mels.
fn slaney_log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn hz_to_mel(hz: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        MelScale::Slaney if hz < SLANEY_KNEE_HZ => hz / SLANEY_HZ_PER_MEL,
        MelScale::Slaney => SLANEY_KNEE_MEL + (hz / SLANEY_KNEE_HZ).ln() / slaney_log_step(),
    }
}

fn mel_to_hz(mel: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
        MelScale::Slaney if mel < SLANEY_KNEE_MEL => mel * SLANEY_HZ_PER_MEL,
        MelScale::Slaney => SLANEY_KNEE_HZ * ((mel - SLANEY_KNEE_MEL) * slaney_log_step()).exp(),
    }
}

/// Weights `[bands, n_fft / 2 + 1]` of bands that are equally wide in pitch: band i is a raised cosine centred on
/// `min_hz * 2^(i / bands_per_octave)` that falls to zero, in hertz to both sides, at the distance of the next band's centre,
/// but at one bin's at least. It sums to 1 (a weighted mean of the bins, so that white noise is flat). Our choice.
///
/// # Errors
/// [`Error::Config`] when a band lies beyond the Nyquist frequency or `min_hz` is not positive.
pub fn log_frequency_bank(
    sample_rate_hz: u32,
    n_fft: usize,
    min_hz: f64,
    bands_per_octave: usize,
    bands: usize,
) -> Result<Array2<f32>> {
    if min_hz.is_nan() || min_hz <= 0.0 || bands_per_octave == 0 || bands == 0 || n_fft == 0 {
        return Err(Error::config(
            "log_frequency",
            "expected positive min_hz, bands_per_octave, bands and n_fft",
        ));
    }
    let center = |band: f64| min_hz * 2_f64.powf(band / bands_per_octave as f64);
    let nyquist = f64::from(sample_rate_hz) / 2.0;
    if center(bands as f64 - 1.0) >= nyquist {
        return Err(Error::config(
            "bands",
            format!("the last band lies beyond the Nyquist frequency {nyquist} Hz"),
        ));
    }
    let bin_hz = f64::from(sample_rate_hz) / n_fft as f64;
    let mut weights = Array2::from_shape_fn((bands, n_fft / 2 + 1), |(band, bin)| {
        let (middle, hz) = (center(band as f64), bin as f64 * bin_hz);
        let half_width = (center(band as f64 + 1.0) - middle).max(bin_hz);
        let distance = ((hz - middle) / half_width).abs();
        if distance < 1.0 { (0.5 + 0.5 * (std::f64::consts::PI * distance).cos()) as f32 } else { 0.0 }
    });
    for mut row in weights.rows_mut() {
        let sum = row.sum();
        if sum > 0.0 {
            row /= sum;
        }
    }
    Ok(weights)
}

//! Shape of the spectrum, and distances between spectra.
//!
//! Spectral distances alone prove little: they prefer smeared audio without notes to clean audio a little off. Read them
//! beside [`crate::chroma`] and [`crate::onsets`].

use musicot_core::AudioBuffer;
use ndarray::ArrayView1;
use serde::Serialize;

use crate::analysis::Analysis;
use crate::{Error, Result, check};

const WINDOW_SECS: f64 = 2048.0 / 48_000.0;
const HOP_SECS: f64 = 0.02;

/// The band that is measured (up to half the sample rate).
const MIN_HZ: f64 = 30.0;
const MAX_HZ: f64 = 16_000.0;

/// A frame is active above this share of the loudest frame's power (-40 dB).
const ACTIVE_SHARE: f64 = 1e-4;

/// No frame is active at or below this power, -120 dB of a full-scale sine; cells below it are raised to it.
const SILENCE: f64 = 1e-12;

/// Levels below this are equal to the log-spectral distance: -100 dB of a full-scale sine.
const DISTANCE_FLOOR: f32 = 1e-10;

/// Means over the active frames (within 40 dB of the loudest; windows of 43 ms every 20 ms; 30 Hz to 16 kHz).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpectralShape {
    /// Geometric over arithmetic mean of the powers of a frame (Gray and Markel, 1974): 0 (a pure tone; silence throughout) to 1;
    /// white noise has 0.56, as its powers are exponentially distributed.
    pub flatness: f64,
    /// Mean frequency in hertz, weighted by power; 0 for silence throughout.
    pub centroid_hz: f64,
}

impl SpectralShape {
    /// Measures the mean of all channels.
    ///
    /// # Errors
    /// [`Error::TooFew`] for no samples; [`Error::NotFinite`]; [`Error::Range`] for a rate below 8 kHz.
    pub fn of(audio: &AudioBuffer) -> Result<Self> {
        let samples = check::mono("audio", audio)?;
        let analysis = Analysis::new(audio.sample_rate_hz(), WINDOW_SECS, HOP_SECS)?;
        let bins = band(&analysis);
        let mut frames = Vec::with_capacity(analysis.frames(samples.len()));
        for range in analysis.blocks(samples.len()) {
            let power = analysis.power(&samples, range)?;
            let rows = power.slice(ndarray::s![.., bins.clone()]);
            frames.extend(rows.rows().into_iter().map(|row| Frame::of(row, bins.start, analysis.bin_hz())));
        }
        Ok(Self::mean(&frames))
    }

    fn mean(frames: &[Frame]) -> Self {
        let loudest = frames.iter().map(|frame| frame.power).fold(0.0, f64::max);
        let active: Vec<_> =
            frames.iter().filter(|frame| frame.power > (loudest * ACTIVE_SHARE).max(SILENCE)).collect();
        let count = active.len().max(1) as f64;
        Self {
            flatness: active.iter().map(|frame| frame.flatness).sum::<f64>() / count,
            centroid_hz: active.iter().map(|frame| frame.centroid_hz).sum::<f64>() / count,
        }
    }
}

fn band(analysis: &Analysis) -> std::ops::Range<usize> {
    let bin = |hz: f64| (hz / analysis.bin_hz()).ceil() as usize;
    bin(MIN_HZ)..bin(MAX_HZ).min(analysis.bins())
}

struct Frame {
    power: f64,
    flatness: f64,
    centroid_hz: f64,
}

impl Frame {
    fn of(row: ArrayView1<'_, f32>, first_bin: usize, bin_hz: f64) -> Self {
        let (mut sum, mut weighted, mut logs) = (0.0, 0.0, 0.0);
        for (bin, power) in row.iter().enumerate() {
            let power = f64::from(*power).max(SILENCE);
            sum += power;
            weighted += power * (first_bin + bin) as f64 * bin_hz;
            logs += power.ln();
        }
        let count = row.len() as f64;
        let power = row.iter().map(|power| f64::from(*power)).sum();
        Self { power, flatness: ((logs / count).exp() / (sum / count)).min(1.0), centroid_hz: weighted / sum }
    }
}

/// Log-spectral distance in decibels, at least 0: the mean over frames of the root mean square difference of the levels of all
/// bins up to half the sample rate (Gray and Markel, "Distance measures for speech processing", 1976), levels below -100 dB
/// being equal. The shorter length counts.
///
/// # Errors
/// [`Error::TooFew`] for no samples; [`Error::NotFinite`]; [`Error::Range`] for a rate below 8 kHz or two rates.
pub fn log_spectral_distance(reference: &AudioBuffer, estimate: &AudioBuffer) -> Result<f64> {
    same_rate(reference, estimate)?;
    let (mut a, mut b) = (check::mono("reference", reference)?, check::mono("estimate", estimate)?);
    let length = a.len().min(b.len());
    a.truncate(length);
    b.truncate(length);
    let analysis = Analysis::new(reference.sample_rate_hz(), WINDOW_SECS, HOP_SECS)?;
    let mut sum = 0.0;
    for range in analysis.blocks(length) {
        let (a, b) = (analysis.power(&a, range.clone())?, analysis.power(&b, range)?);
        sum += a.rows().into_iter().zip(b.rows()).map(|(a, b)| distance(a, b)).sum::<f64>();
    }
    Ok(sum / analysis.frames(length) as f64)
}

fn distance(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    let level = |power: &f32| 10.0 * f64::from(power.max(DISTANCE_FLOOR)).log10();
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (level(a) - level(b)).powi(2)).sum();
    (squares / a.len() as f64).sqrt()
}

pub(crate) fn same_rate(a: &AudioBuffer, b: &AudioBuffer) -> Result<()> {
    if a.sample_rate_hz() == b.sample_rate_hz() {
        return Ok(());
    }
    let reason =
        format!("expected one sample rate, got {} and {} Hz", a.sample_rate_hz(), b.sample_rate_hz());
    Err(Error::range("audio", reason))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signals::{buffer, noise, sine};

    #[test]
    fn tones_are_peaked_and_noise_is_flat() {
        let tone = SpectralShape::of(&buffer(sine(1000.0, 0.5, 1.0, 48_000), 48_000)).unwrap();
        assert!(tone.flatness < 1e-3, "{tone:?}");
        // The two frames at the ends see a tone that is cut off.
        assert!((tone.centroid_hz - 1000.0).abs() < 20.0, "{tone:?}");
        let hiss = SpectralShape::of(&buffer(noise(1, 48_000), 48_000)).unwrap();
        // exp(-Euler's constant) = 0.5615; the windows overlap, the standard error of 50 frames is about 0.003.
        assert!((hiss.flatness - 0.5615).abs() < 0.015, "{hiss:?}");
        assert!((hiss.centroid_hz - 8015.0).abs() < 150.0, "{hiss:?}");
    }

    #[test]
    fn silence_is_defined_and_nothing_is_an_error() {
        let silence = SpectralShape::of(&buffer(vec![0.0; 9000], 48_000)).unwrap();
        assert_eq!(silence, SpectralShape { flatness: 0.0, centroid_hz: 0.0 });
        assert!(SpectralShape::of(&buffer(vec![], 48_000)).is_err());
    }

    #[test]
    fn half_the_amplitude_is_6_db() {
        let loud = noise(2, 24_000);
        let soft: Vec<f32> = loud.iter().map(|s| s * 0.5).collect();
        let (loud, soft) = (buffer(loud, 24_000), buffer(soft, 24_000));
        let db = 20.0 * 2_f64.log10();
        assert!((log_spectral_distance(&loud, &soft).unwrap() - db).abs() < 1e-3);
        assert_eq!(log_spectral_distance(&loud, &loud).unwrap(), 0.0);
        assert!(log_spectral_distance(&loud, &buffer(vec![0.0; 9], 16_000)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn values_are_within_their_ranges(seed in 0_u64..100, samples in 1_usize..5000, gain in 0.0_f32..3.0) {
            let audio = buffer(noise(seed, samples).iter().map(|s| s * gain).collect(), 16_000);
            let shape = SpectralShape::of(&audio).unwrap();
            prop_assert!((0.0..=1.0).contains(&shape.flatness));
            prop_assert!((0.0..=8000.0).contains(&shape.centroid_hz));
            let other = buffer(noise(seed + 1, samples), 16_000);
            let (ab, ba) = (log_spectral_distance(&audio, &other).unwrap(), log_spectral_distance(&other, &audio).unwrap());
            prop_assert!(ab.is_finite() && ab >= 0.0 && (ab - ba).abs() < 1e-9);
        }
    }
}

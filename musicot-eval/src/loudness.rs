//! Loudness by ITU-R BS.1770-4, plain level, silence and clipping.

use std::f64::consts::PI;

use musicot_core::AudioBuffer;

use crate::{Result, check};

/// Loudness of silence: the absolute gate of BS.1770, below which nothing is counted.
pub const SILENT_LUFS: f64 = -70.0;

/// Level of digital silence, in place of minus infinity.
pub const SILENT_DB: f64 = -120.0;

/// The relative gate is this far below the mean of the blocks above the absolute gate.
const RELATIVE_GATE_LU: f64 = -10.0;

/// Gated integrated loudness in LUFS, at least [`SILENT_LUFS`]: K-weighting, blocks of 400 ms every 100 ms, both gates. All
/// channels weigh 1 (the standard's 1.41 for surround channels is not applied). A recording shorter than a block is one block.
///
/// # Errors
/// [`crate::Error::TooFew`] for no samples; [`crate::Error::NotFinite`]; [`crate::Error::Range`] for a rate below 8 kHz.
pub fn integrated_lufs(audio: &AudioBuffer) -> Result<f64> {
    check::check_audio("audio", audio)?;
    let hop = (f64::from(audio.sample_rate_hz()) / 10.0).round() as usize;
    let mut quarters = vec![0.0; audio.frames().div_ceil(hop)];
    for channel in audio.samples().rows() {
        let mut weighting = KWeighting::new(audio.sample_rate_hz());
        for (n, sample) in channel.iter().enumerate() {
            quarters[n / hop] += weighting.next(f64::from(*sample)).powi(2);
        }
    }
    Ok(gated(&block_powers(&quarters, hop, audio.frames())))
}

/// Mean squares of whole blocks of four quarters, or of all samples where there is no whole block.
fn block_powers(quarters: &[f64], hop: usize, samples: usize) -> Vec<f64> {
    let whole = &quarters[..samples / hop];
    if whole.len() < 4 {
        return vec![quarters.iter().sum::<f64>() / samples as f64];
    }
    whole.windows(4).map(|block| block.iter().sum::<f64>() / (4 * hop) as f64).collect()
}

fn gated(powers: &[f64]) -> f64 {
    let above = |gate: f64| {
        let kept: Vec<f64> = powers.iter().copied().filter(|power| lufs(*power) > gate).collect();
        if kept.is_empty() { SILENT_LUFS } else { lufs(kept.iter().sum::<f64>() / kept.len() as f64) }
    };
    let ungated = above(SILENT_LUFS);
    above((ungated + RELATIVE_GATE_LU).max(SILENT_LUFS))
}

fn lufs(power: f64) -> f64 {
    -0.691 + 10.0 * power.log10()
}

/// The two filters of BS.1770. The standard gives their coefficients for 48 kHz only; these are the analog prototypes behind
/// them, put through the bilinear transform at any rate (De Man, "Evaluation of implementations of the EBU R128 loudness
/// measurement", AES 145, 2018).
struct KWeighting {
    shelf: Biquad,
    high_pass: Biquad,
}

impl KWeighting {
    fn new(sample_rate_hz: u32) -> Self {
        Self { shelf: Biquad::shelf(sample_rate_hz), high_pass: Biquad::high_pass(sample_rate_hz) }
    }

    fn next(&mut self, sample: f64) -> f64 {
        let shelved = self.shelf.next(sample);
        self.high_pass.next(shelved)
    }
}

/// A filter of second order in transposed direct form II.
#[derive(Debug, Clone)]
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    /// The head: +4 dB above about 1.7 kHz.
    fn shelf(sample_rate_hz: u32) -> Self {
        let (hz, gain_db, q) = (1681.974450955533, 3.999843853973347, 0.7071752369554196);
        let k = (PI * hz / f64::from(sample_rate_hz)).tan();
        let high = 10_f64.powf(gain_db / 20.0);
        let band = high.powf(0.4996667741545416);
        let a0 = 1.0 + k / q + k * k;
        Self {
            b: [
                (high + band * k / q + k * k) / a0,
                2.0 * (k * k - high) / a0,
                (high - band * k / q + k * k) / a0,
            ],
            a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0],
            state: [0.0; 2],
        }
    }

    /// The ear's loss of bass: a high-pass at 38 Hz, whose numerator the standard leaves unscaled.
    fn high_pass(sample_rate_hz: u32) -> Self {
        let (hz, q) = (38.13547087602444, 0.5003270373238773);
        let k = (PI * hz / f64::from(sample_rate_hz)).tan();
        let a0 = 1.0 + k / q + k * k;
        Self {
            b: [1.0, -2.0, 1.0],
            a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0],
            state: [0.0; 2],
        }
    }

    fn next(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.state[0];
        self.state = [self.b[1] * x - self.a[0] * y + self.state[1], self.b[2] * x - self.a[1] * y];
        y
    }
}

/// Root mean square level of all channels in decibels of full scale, at least [`SILENT_DB`]; a full-scale sine has -3.01.
///
/// # Errors
/// [`crate::Error::TooFew`] for no samples; [`crate::Error::NotFinite`]; [`crate::Error::Range`] for a rate below 8 kHz.
pub fn rms_db(audio: &AudioBuffer) -> Result<f64> {
    check::check_audio("audio", audio)?;
    let squares: f64 = audio.samples().iter().map(|sample| f64::from(*sample).powi(2)).sum();
    Ok((10.0 * (squares / audio.samples().len() as f64).log10()).max(SILENT_DB))
}

/// [`rms_db`] of each window of a recording, one after the other (10 s are the windows of a plan); what remains at the end is a window of its
/// own where it is at least half as long, and left out otherwise. This is the quantity that an instrument's curve in a plan is held
/// against, from its stem.
///
/// # Errors
/// [`crate::Error::TooFew`] for no samples, or less than half a window; [`crate::Error::NotFinite`]; [`crate::Error::Range`] for a rate
/// below 8 kHz, or a window of less than a sample.
pub fn level_curve_db(audio: &AudioBuffer, window_secs: f64) -> Result<Vec<f64>> {
    check::check_audio("audio", audio)?;
    let window = (window_secs * f64::from(audio.sample_rate_hz())).round();
    if !(window.is_finite() && window >= 1.0) {
        return Err(crate::Error::range(
            "window",
            format!("expected seconds of at least a sample, got {window_secs}"),
        ));
    }
    let window = window as usize;
    check::at_least("samples", audio.frames(), window.div_ceil(2))?;
    let level = |start: usize| {
        let end = start.saturating_add(window).min(audio.frames());
        let samples = audio.samples().slice(ndarray::s![.., start..end]);
        let squares: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (10.0 * (squares / samples.len() as f64).log10()).max(SILENT_DB)
    };
    let starts = (0..audio.frames()).step_by(window);
    Ok(starts.filter(|start| audio.frames() - start >= window.div_ceil(2)).map(level).collect())
}

const SILENCE_FRAME_SECS: f64 = 0.05;
const SILENCE_DB: f64 = -60.0;

/// Share of frames of 50 ms (the last one may be shorter) whose level is below -60 dB of full scale, 0..=1. The frame and the
/// level are our choice.
///
/// # Errors
/// [`crate::Error::TooFew`] for no samples; [`crate::Error::NotFinite`]; [`crate::Error::Range`] for a rate below 8 kHz.
pub fn silence_share(audio: &AudioBuffer) -> Result<f64> {
    let samples = check::mono("audio", audio)?;
    let frame = (SILENCE_FRAME_SECS * f64::from(audio.sample_rate_hz())).round() as usize;
    let limit = 10_f64.powf(SILENCE_DB / 10.0);
    let power = |frame: &[f32]| frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / frame.len() as f64;
    let silent = samples.chunks(frame).filter(|frame| power(frame) < limit).count();
    Ok(silent as f64 / samples.len().div_ceil(frame) as f64)
}

/// From here on a sample counts as clipped: the last but 32 steps of 16 bits.
const CLIPPED: f32 = 0.999;

/// Share of samples of all channels at or beyond 0.999 of full scale, 0..=1.
///
/// # Errors
/// [`crate::Error::TooFew`] for no samples; [`crate::Error::NotFinite`]; [`crate::Error::Range`] for a rate below 8 kHz.
pub fn clipping_share(audio: &AudioBuffer) -> Result<f64> {
    check::check_audio("audio", audio)?;
    let clipped = audio.samples().iter().filter(|sample| sample.abs() >= CLIPPED).count();
    Ok(clipped as f64 / audio.samples().len() as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signals::{buffer, noise, sine};

    /// Tables 1 and 2 of ITU-R BS.1770-4.
    #[test]
    fn filters_are_the_standard_s_at_48_khz() {
        let (shelf, high_pass) = (Biquad::shelf(48_000), Biquad::high_pass(48_000));
        let expected = [
            (shelf.b[0], 1.53512485958697),
            (shelf.b[1], -2.69169618940638),
            (shelf.b[2], 1.19839281085285),
            (shelf.a[0], -1.69065929318241),
            (shelf.a[1], 0.73248077421585),
            (high_pass.a[0], -1.99004745483398),
            (high_pass.a[1], 0.99007225036621),
        ];
        for (ours, standard) in expected {
            assert!((ours - standard).abs() < 1e-8, "{ours} {standard}");
        }
    }

    /// BS.1770: a full-scale sine of 997 Hz in one channel reads -3.01 LUFS; EBU Tech 3341 case 1: stereo, -23 dBFS reads -23.
    #[test]
    fn the_calibration_tones_read_as_they_should() {
        for rate in [44_100, 48_000, 96_000] {
            let mono = buffer(sine(997.0, 1.0, 5.0, rate), rate);
            assert!((integrated_lufs(&mono).unwrap() + 3.01).abs() < 0.02, "{rate} Hz");
        }
        let tone = sine(1000.0, 10_f64.powf(-23.0 / 20.0), 10.0, 48_000);
        let both = ndarray::Array2::from_shape_fn((2, tone.len()), |(_, n)| tone[n]);
        let stereo = AudioBuffer::new(both, 48_000).unwrap();
        assert!((integrated_lufs(&stereo).unwrap() + 23.0).abs() < 0.1);
    }

    /// EBU Tech 3341 case 3, made shorter: the quiet ends are gated out.
    #[test]
    fn quiet_parts_are_gated() {
        let part = |db: f64, secs: f64| sine(1000.0, 10_f64.powf(db / 20.0), secs, 48_000);
        let mut samples = part(-36.0, 3.0);
        samples.extend(part(-20.0, 12.0));
        samples.extend(part(-36.0, 3.0));
        // One channel: 3.01 dB less than both.
        assert!((integrated_lufs(&buffer(samples, 48_000)).unwrap() + 23.01).abs() < 0.1);
    }

    #[test]
    fn silence_and_moments_are_defined() {
        let silence = buffer(vec![0.0; 48_000], 48_000);
        assert_eq!(integrated_lufs(&silence).unwrap(), SILENT_LUFS);
        assert_eq!(rms_db(&silence).unwrap(), SILENT_DB);
        assert_eq!((silence_share(&silence).unwrap(), clipping_share(&silence).unwrap()), (1.0, 0.0));
        assert!(integrated_lufs(&buffer(vec![0.5], 48_000)).unwrap().is_finite());
        assert!(integrated_lufs(&buffer(vec![], 48_000)).is_err());
    }

    #[test]
    fn levels_and_shares() {
        let full = buffer(sine(1000.0, 1.0, 1.0, 48_000), 48_000);
        assert!((rms_db(&full).unwrap() + 3.0103).abs() < 1e-3);
        let mut samples = vec![0.0; 48_000];
        samples[24_000..].copy_from_slice(&noise(1, 24_000));
        samples[0] = 1.0;
        samples[1] = -1.0;
        let half = buffer(samples, 48_000);
        // The two clipped samples are loud enough to sound in their frame.
        assert!((silence_share(&half).unwrap() - 9.0 / 20.0).abs() < 1e-12);
        assert!((clipping_share(&half).unwrap() - 2.0 / 48_000.0).abs() < 1e-12);
    }

    #[test]
    fn levels_follow_the_windows() {
        let loud = sine(1000.0, 1.0, 1.0, 16_000);
        let quiet: Vec<f32> = loud.iter().map(|sample| sample * 0.1).collect();
        let samples = [&loud[..], &quiet, &[0.0; 16_000], &loud[..8000]].concat();
        let curve = |samples: Vec<f32>, secs| level_curve_db(&buffer(samples, 16_000), secs);
        let levels = curve(samples.clone(), 1.0).unwrap();
        for (level, expected) in levels.iter().zip([-3.01, -23.01, -120.0, -3.01]) {
            assert!((level - expected).abs() < 0.01, "{levels:?}");
        }
        assert_eq!(levels.len(), 4);
        assert_eq!(curve(samples[..55_000].to_vec(), 1.0).unwrap().len(), 3);
        assert!(curve(samples[..7000].to_vec(), 1.0).is_err());
        assert!(curve(samples.clone(), 0.0).is_err() && curve(samples, f64::NAN).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn gain_moves_loudness_by_as_much(seed in 0_u64..100, db in -20.0_f64..0.0, samples in 4800_usize..40_000) {
            let loud = noise(seed, samples);
            let gain = 10_f64.powf(db / 20.0) as f32;
            let soft = buffer(loud.iter().map(|s| s * gain).collect(), 24_000);
            let loud = buffer(loud, 24_000);
            let moved = integrated_lufs(&soft).unwrap() - integrated_lufs(&loud).unwrap();
            prop_assert!((moved - db).abs() < 1e-3);
            prop_assert!((rms_db(&soft).unwrap() - rms_db(&loud).unwrap() - db).abs() < 1e-3);
        }
    }
}

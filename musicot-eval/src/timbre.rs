//! Timbre in numbers that no network made: which instruments sound, and how.
//!
//! The features are statistics over time of the log-mel levels (80 bands of 30 Hz to 16 kHz, frames of 10 ms): mel-frequency cepstral
//! coefficients (Davis and Mermelstein, 1980; here the orthonormal DCT-II of the decibels), their change from frame to frame, and
//! spectral contrast (Jiang et al., "Music type classification by spectral contrast feature", ICME 2002: peaks above valleys, here of
//! ten mel bands each). They serve [`crate::probe`], and as a second space for [`crate::frechet`], beside that of an embedding.

use musicot_core::AudioBuffer;
use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use crate::log_mel::LogMel;
use crate::{Error, Result};

/// Number of features.
pub const FEATURES: usize = 2 * COEFFICIENTS + CHANGES + 2 * CONTRASTS + LEVELS;

const COEFFICIENTS: usize = 24;
const CHANGES: usize = COEFFICIENTS;
const BANDS_PER_CONTRAST: usize = 10;
const CONTRASTS: usize = 8;
const LEVELS: usize = 2;

/// Of ten bands, the mean of this many greatest (smallest) is the peak (valley).
const EXTREMES: usize = 2;

/// A frame is active within this many decibels of the loudest.
const ACTIVE_DB: f64 = 40.0;

/// The features `[FEATURES]` of the mean of all channels, over the frames within 40 dB of the loudest. They do not depend on the gain, but where a
/// recording is so quiet that the range of 80 dB below its loudest band reaches under -120 dB of full scale. In order:
/// mean and standard deviation of 24 cepstral coefficients from the first on (the zeroth, the level, is left out), the mean absolute
/// change of each between frames; mean and standard deviation of the contrasts of 8 groups of bands; the standard deviation
/// of the level of the active frames, and the share of active frames. Mean and deviation of the log spectrum are in decibels.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::AudioBuffer, timbre::{FEATURES, features}};
/// let tone = (0..16_000).map(|n| 0.5 * (n as f32 * 0.2).sin()).collect();
/// let features = features(&AudioBuffer::mono(tone, 16_000)?)?;
/// assert_eq!(features.len(), FEATURES);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no samples; [`Error::NotFinite`]; [`Error::Range`] for a rate below 8 kHz; [`Error::Silent`] for silence.
pub fn features(audio: &AudioBuffer) -> Result<Vec<f32>> {
    let mel = LogMel::of("audio", audio)?;
    let levels: Vec<f64> = mel.db.rows().into_iter().map(frame_level).collect();
    let loudest = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if loudest <= SILENT_DB {
        return Err(Error::Silent { what: "audio".to_owned() });
    }
    let active: Vec<usize> = (0..levels.len()).filter(|frame| levels[*frame] > loudest - ACTIVE_DB).collect();
    let db = mel.db.select(Axis(0), &active).mapv(f64::from);
    let cepstra = db.dot(&dct(db.ncols()));
    let mut features = Vec::with_capacity(FEATURES);
    push_moments(&mut features, &cepstra);
    features.extend(changes(&cepstra, &active).iter());
    push_moments(&mut features, &contrasts(&db));
    let active_levels = Array2::from_shape_fn((active.len(), 1), |(row, _)| levels[active[row]]);
    features.push(deviation(&active_levels)[0]);
    features.push(active.len() as f64 / levels.len() as f64);
    Ok(features.into_iter().map(|value| value as f32).collect())
}

/// A frame whose bands are all at the floor of -120 dB has this level: ten times the logarithm of 80 bands above it, and rounding.
const SILENT_DB: f64 = -100.9;

/// Level of the sum of the bands' powers in decibels.
fn frame_level(row: ArrayView1<'_, f32>) -> f64 {
    10.0 * row.iter().map(|db| 10_f64.powf(f64::from(*db) / 10.0)).sum::<f64>().log10()
}

/// Columns 1 to 24 of the orthonormal DCT-II `[bands, coefficients]`.
fn dct(bands: usize) -> Array2<f64> {
    Array2::from_shape_fn((bands, COEFFICIENTS), |(band, column)| {
        let angle = std::f64::consts::PI * (column + 1) as f64 * (band as f64 + 0.5) / bands as f64;
        (2.0 / bands as f64).sqrt() * angle.cos()
    })
}

fn means(rows: &Array2<f64>) -> Array1<f64> {
    rows.sum_axis(Axis(0)) / rows.nrows().max(1) as f64
}

fn deviation(rows: &Array2<f64>) -> Array1<f64> {
    let centred = rows - &means(rows);
    means(&(&centred * &centred)).mapv(f64::sqrt)
}

fn push_moments(features: &mut Vec<f64>, rows: &Array2<f64>) {
    features.extend(means(rows));
    features.extend(deviation(rows));
}

/// Mean absolute difference of neighbouring frames, of those pairs that are both active; 0 without any.
fn changes(cepstra: &Array2<f64>, active: &[usize]) -> Array1<f64> {
    let mut sum = Array1::zeros(cepstra.ncols());
    let mut count = 0_usize;
    for (row, pair) in active.windows(2).enumerate() {
        if pair[1] == pair[0] + 1 {
            sum += &(&cepstra.row(row + 1) - &cepstra.row(row)).mapv(f64::abs);
            count += 1;
        }
    }
    sum / count.max(1) as f64
}

/// Decibels between peaks and valleys of each group of bands `[frames, groups]`.
fn contrasts(db: &Array2<f64>) -> Array2<f64> {
    Array2::from_shape_fn((db.nrows(), CONTRASTS), |(frame, group)| {
        let start = group * BANDS_PER_CONTRAST;
        let mut bands = db.slice(s![frame, start..start + BANDS_PER_CONTRAST]).to_vec();
        bands.sort_by(f64::total_cmp);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / EXTREMES as f64;
        mean(&bands[BANDS_PER_CONTRAST - EXTREMES..]) - mean(&bands[..EXTREMES])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signals::{buffer, noise, notes, sine};

    #[test]
    fn the_gain_does_not_count_and_the_timbre_does() {
        let melody = notes(&[(0.0, 262.0), (0.6, 330.0)], 1.5, 16_000);
        let quiet: Vec<f32> = melody.iter().map(|s| s * 0.3).collect();
        let (a, b) = (features(&buffer(melody, 16_000)).unwrap(), features(&buffer(quiet, 16_000)).unwrap());
        let distance =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        // f32 rounding of the quieter samples, in decibels.
        assert!(distance(&a, &b) < 0.1, "{}", distance(&a, &b));
        let hiss = features(&buffer(noise(1, 24_000), 16_000)).unwrap();
        assert!(distance(&a, &hiss) > 30.0, "{}", distance(&a, &hiss));
    }

    #[test]
    fn cepstra_are_those_of_a_known_spectrum() {
        // One period of a cosine over the bands is the second coefficient alone.
        let bands = 80;
        let db = Array2::from_shape_fn((1, bands), |(_, band)| {
            -40.0 + 10.0 * (std::f64::consts::TAU * (band as f64 + 0.5) / bands as f64).cos()
        });
        let cepstra = db.dot(&dct(bands));
        assert!((cepstra[[0, 1]] - 10.0 * (bands as f64 / 2.0).sqrt()).abs() < 1e-9, "{cepstra}");
        assert!(cepstra.iter().enumerate().all(|(i, value)| i == 1 || value.abs() < 1e-9));
    }

    #[test]
    fn silence_is_an_error_and_one_sample_is_not() {
        assert!(matches!(features(&buffer(vec![0.0; 9000], 16_000)), Err(Error::Silent { .. })));
        assert!(features(&buffer(vec![], 16_000)).is_err());
        assert!(features(&buffer(vec![0.5], 16_000)).unwrap().iter().all(|value| value.is_finite()));
    }

    #[test]
    fn pauses_are_left_out() {
        let tone = sine(440.0, 0.5, 1.0, 16_000);
        let with_pause = [&tone[..], &[0.0; 16_000]].concat();
        let share = |samples| *features(&buffer(samples, 16_000)).unwrap().last().unwrap();
        assert_eq!(share(tone), 1.0);
        assert!((share(with_pause) - 0.5).abs() < 0.03);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn all_features_are_finite(seed in 0_u64..100, samples in 1_usize..9000, gain in 1e-4_f32..3.0) {
            let audio = buffer(noise(seed, samples).iter().map(|s| s * gain).collect(), 16_000);
            let features = features(&audio).unwrap();
            prop_assert_eq!(features.len(), FEATURES);
            prop_assert!(features.iter().all(|value| value.is_finite()));
        }
    }
}

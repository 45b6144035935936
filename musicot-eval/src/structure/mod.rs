//! Structure: which parts of a recording are alike, where it changes, and whether that fits the sections that were asked for.
//!
//! [`SelfSimilarity`] compares every stretch of a recording (a second, a bar) with every other (Foote, "Visualizing music and audio
//! using self-similarity", 1999) in harmony and timbre; [`SelfSimilarity::novelty`] and [`SelfSimilarity::boundaries`] find
//! changes in it, [`boundary_f1`] compares them with those expected, and [`SelfSimilarity::fit`] asks
//! whether stretches of sections of one label are more alike than others.

mod boundaries;
mod fit;

use musicot_core::AudioBuffer;
use ndarray::{Array2, Axis, s};

use crate::chroma::Chroma;
use crate::log_mel::LogMel;
use crate::{Error, Result, check};

pub use boundaries::{BoundaryScore, boundary_f1};
pub use fit::{Section, SectionFit};

/// How alike any two stretches of a recording are.
///
/// Harmony is the mean chroma of a stretch (frames at unit length), timbre its mean log-mel spectrum in decibels (80 bands), level
/// included. The squared Euclidean distance of each is divided by its mean over all pairs, so that both count equally and the gain does
/// not; similarity is `exp(-(harmony + timbre) / 2)`: 1 for a stretch with itself, about exp(-1) = 0.37 for an average pair.
/// It is relative to the variety of the recording: compare figures across recordings only against their chance levels.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::AudioBuffer, structure::{Section, SelfSimilarity}};
/// let times = [0.0, 8.0, 12.0, 18.0, 24.0]; // verse, chorus, verse, chorus
/// let hz = |secs: usize| if (8..12).contains(&secs) || secs >= 18 { 311.13 } else { 220.0_f32 };
/// let tone = (0..192_000).map(|n| 0.5 * (n as f32 * hz(n / 8000) / 8000.0 * std::f32::consts::TAU).sin()).collect();
/// let similarity = SelfSimilarity::every(&AudioBuffer::mono(tone, 8000)?, 1.0)?;
/// assert_eq!(similarity.boundaries(4)?, times[1..4]);
/// let section = |index: usize| Section {
///     label: ["verse", "chorus"][index % 2].to_owned(), start_secs: times[index], end_secs: times[index + 1],
/// };
/// let fit = similarity.fit(&[0, 1, 2, 3].map(section))?;
/// assert!(fit.labels.found > 0.7 && fit.labels.p < 0.05);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SelfSimilarity {
    values: Array2<f64>,
    bounds_secs: Vec<f64>,
}

impl SelfSimilarity {
    /// Stretches of equal length (1 s serves without a score); what remains at the end is left out.
    ///
    /// # Errors
    /// [`Error::Range`] for a length that is not at least 0.1 s; the errors of [`Self::of`].
    pub fn every(audio: &AudioBuffer, secs: f64) -> Result<Self> {
        if !(secs.is_finite() && secs >= MIN_STRETCH_SECS) {
            return Err(Error::range(
                "stretch",
                format!("expected at least {MIN_STRETCH_SECS} s, got {secs}"),
            ));
        }
        // A recording that is short by a rounding has its last stretch.
        let count = (audio.duration_secs() / secs + 1e-6) as usize;
        let bounds: Vec<f64> = (0..=count).map(|index| index as f64 * secs).collect();
        Self::of(audio, &bounds)
    }

    /// Stretches between given times in seconds (of bars, say), rising; one stretch less than times.
    ///
    /// # Errors
    /// [`Error::TooFew`] for no samples, or fewer than two stretches; [`Error::NotFinite`]; [`Error::Range`] for times that are less
    /// than 0.1 s apart or outside the recording, for more than 4096 of them, and for a rate below 8 kHz; [`Error::Silent`] for silence throughout.
    pub fn of(audio: &AudioBuffer, bounds_secs: &[f64]) -> Result<Self> {
        let (chroma, mel) = (Chroma::of(audio)?, LogMel::of("audio", audio)?);
        check_bounds(bounds_secs, audio.duration_secs())?;
        if !chroma.active().contains(&true) {
            return Err(Error::Silent { what: "audio".to_owned() });
        }
        let harmony = means(&unit_frames(&chroma), chroma.frame_rate_hz(), bounds_secs);
        let timbre = means(&mel.db.mapv(f64::from), mel.frame_rate_hz, bounds_secs);
        let distance = relative_distances(&harmony) + relative_distances(&timbre);
        Ok(Self {
            values: distance.mapv(|distance| (-0.5 * distance).exp()),
            bounds_secs: bounds_secs.to_vec(),
        })
    }

    /// Similarities `[stretches, stretches]`, above 0 up to 1, symmetric.
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// Where the stretches begin and end, in seconds: one time more than stretches.
    pub fn bounds_secs(&self) -> &[f64] {
        &self.bounds_secs
    }

    /// Pearson's correlation of the similarities of all pairs with those of another recording of as many stretches, -1..=1: how far two
    /// recordings (seeds of one prompt, say) repeat and change at the same places, whatever they sound like. `None` where one does not
    /// vary.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] for other stretches.
    pub fn correlation(&self, other: &Self) -> Result<Option<f64>> {
        check::same_len("other recording: stretches", other.values.nrows(), self.values.nrows())?;
        let pairs = |values: &Array2<f64>| -> Vec<f64> {
            values.indexed_iter().filter(|((i, j), _)| i < j).map(|(_, value)| *value).collect()
        };
        if self.values.nrows() < 3 {
            return Ok(None);
        }
        crate::statistics::correlation(&pairs(&self.values), &pairs(&other.values))
    }
}

/// Shorter stretches than a few frames of chroma have no mean to speak of.
const MIN_STRETCH_SECS: f64 = 0.1;

/// All pairs of more would take more than 128 MiB.
const MAX_STRETCHES: usize = 4096;

fn check_bounds(bounds: &[f64], duration: f64) -> Result<()> {
    check::at_least("stretches", bounds.len().saturating_sub(1), 2)?;
    check::finite("bounds", bounds.iter().copied())?;
    if bounds.len() > MAX_STRETCHES {
        return Err(Error::range(
            "stretches",
            format!("expected at most {MAX_STRETCHES}, got {}", bounds.len()),
        ));
    }
    if let Some(pair) = bounds.windows(2).find(|pair| pair[1] - pair[0] < MIN_STRETCH_SECS - 1e-9) {
        let reason =
            format!("expected times at least {MIN_STRETCH_SECS} s apart, got {} and {}", pair[0], pair[1]);
        return Err(Error::range("bounds", reason));
    }
    match bounds.iter().find(|time| !(-1e-6..=duration + 1e-3).contains(*time)) {
        None => Ok(()),
        Some(time) => {
            Err(Error::range("bounds", format!("expected times within 0..={duration} s, got {time}")))
        }
    }
}

/// Frames at unit length `[frames, 12]`; 0 where nothing sounds.
fn unit_frames(chroma: &Chroma) -> Array2<f64> {
    let mut units = chroma.values().clone();
    for (mut row, active) in units.rows_mut().into_iter().zip(chroma.active()) {
        let norm = if *active { row.dot(&row).sqrt() } else { f64::INFINITY };
        row /= norm;
    }
    units
}

/// The mean of the frames of each stretch `[stretches, columns]`.
fn means(frames: &Array2<f64>, rate_hz: f64, bounds: &[f64]) -> Array2<f64> {
    let last = frames.nrows() - 1;
    let mut means = Array2::zeros((bounds.len() - 1, frames.ncols()));
    for (mut mean, pair) in means.rows_mut().into_iter().zip(bounds.windows(2)) {
        let at = |secs: f64| ((secs.max(0.0) * rate_hz).round() as usize).min(last);
        let (start, end) = (at(pair[0]), at(pair[1]).max(at(pair[0]) + 1));
        let rows = frames.slice(s![start..end, ..]);
        mean.assign(&(rows.sum_axis(Axis(0)) / rows.nrows() as f64));
    }
    means
}

/// Squared distances of all pairs of rows over their mean, the rows' distances to themselves left out; 0 where all rows are equal.
fn relative_distances(rows: &Array2<f64>) -> Array2<f64> {
    let count = rows.nrows();
    let distance = |(i, j): (usize, usize)| {
        rows.row(i).iter().zip(rows.row(j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
    };
    let distances = Array2::from_shape_fn((count, count), distance);
    let mean = distances.sum() / (count * (count - 1)) as f64;
    if mean > 1e-12 { distances / mean } else { Array2::zeros((count, count)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::{buffer, noise, notes, sine};

    #[test]
    fn equal_stretches_are_1_and_the_gain_does_not_count() {
        let bar = notes(&[(0.0, 262.0), (0.5, 330.0)], 2.0, 16_000);
        let other = notes(&[(0.0, 196.0), (0.25, 247.0)], 2.0, 16_000);
        let samples = [&bar[..], &other, &bar, &other].concat();
        let quiet: Vec<f32> = samples.iter().map(|s| s * 0.05).collect();
        let (a, b) = (
            SelfSimilarity::every(&buffer(samples, 16_000), 2.0).unwrap(),
            SelfSimilarity::every(&buffer(quiet, 16_000), 2.0).unwrap(),
        );
        assert!(a.values()[[0, 2]] > 0.9 && a.values()[[0, 1]] < 0.4, "{}", a.values());
        assert!(a.values().diag().iter().all(|value| *value == 1.0));
        assert!(a.values().iter().zip(b.values()).all(|(a, b)| (a - b).abs() < 1e-3));
        assert!((a.correlation(&b).unwrap().unwrap() - 1.0).abs() < 1e-3);
        let short = SelfSimilarity::every(&buffer(bar, 16_000), 1.0).unwrap();
        assert!(matches!(a.correlation(&short), Err(Error::LengthMismatch { .. })));
        assert_eq!(short.correlation(&short).unwrap(), None);
    }

    #[test]
    fn bars_may_have_any_length() {
        let audio = buffer(noise(1, 48_000), 16_000);
        let similarity = SelfSimilarity::of(&audio, &[0.0, 0.5, 1.5, 3.0]).unwrap();
        assert_eq!((similarity.values().dim(), similarity.bounds_secs().len()), ((3, 3), 4));
        for bad in [&[0.0, 1.0][..], &[0.0, 1.0, 0.5], &[0.0, 0.05, 1.0], &[0.0, 1.0, 3.5], &[-1.0, 1.0, 2.0]]
        {
            assert!(SelfSimilarity::of(&audio, bad).is_err(), "{bad:?}");
        }
        assert!(matches!(SelfSimilarity::of(&audio, &[0.0, f64::NAN, 1.0]), Err(Error::NotFinite { .. })));
        for bad in [0.0, f64::NAN, 0.05, -1.0] {
            assert!(matches!(SelfSimilarity::every(&audio, bad), Err(Error::Range { .. })));
        }
        assert!(SelfSimilarity::every(&audio, 1e9).is_err());
    }

    #[test]
    fn silence_is_an_error_and_partial_silence_is_not() {
        assert!(matches!(
            SelfSimilarity::every(&buffer(vec![0.0; 48_000], 16_000), 1.0),
            Err(Error::Silent { .. })
        ));
        let half = [sine(440.0, 0.5, 2.0, 16_000), vec![0.0; 32_000]].concat();
        let similarity = SelfSimilarity::every(&buffer(half, 16_000), 1.0).unwrap();
        assert!(similarity.values().iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(similarity.values()[[0, 1]] > similarity.values()[[0, 3]]);
    }
}

//! Onsets: when notes begin, and how well two lists of them agree.
//!
//! Detection is by spectral flux: the rise of the log-mel levels from frame to frame, mean over the bands (Dixon, "Onset detection
//! revisited", DAFx 2006), with the peak picking of Böck, Krebs and Schedl ("Evaluating the online capabilities of onset
//! detection methods", ISMIR 2012): a peak is the greatest value around it, above the local mean by a
//! threshold, and not too soon after the last. 80 mel bands of 30 Hz to 16 kHz, windows of 43 ms every 10 ms, levels cut off
//! 80 dB below the loudest; the numbers are our choice, and constants so that figures compare.

use musicot_core::AudioBuffer;
use serde::Serialize;

use crate::log_mel::{LogMel, WINDOW_SECS};
use crate::{Error, Result, check};

/// A peak is the greatest value within so many frames (of 10 ms) on both sides.
const PEAK_FRAMES: usize = 3;

/// The local mean is over so many frames on both sides.
const MEAN_FRAMES: usize = 10;

/// Frames within which no second onset is reported.
const WAIT_FRAMES: usize = 3;

/// Height above the local mean, as a share of the greatest flux of the recording.
const THRESHOLD: f64 = 0.07;

/// Flux in decibels (mean over the bands) below which nothing is an onset; without it, rounding would be one in a steady tone.
const MIN_FLUX_DB: f64 = 0.5;

/// On a logarithmic scale a window rises before its middle reaches the attack: half a window before a click in silence, hardly
/// before a slow attack under other notes. Between the two.
const DELAY_SECS: f64 = WINDOW_SECS / 4.0;

/// Times of onsets in seconds, rising. Silence has none. A sound that is already there when the
/// recording begins is no onset; the first 50 ms and the last 20 ms have none, as windows reach over the ends there.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::AudioBuffer, onsets::onset_times};
/// let mut samples = vec![0.0_f32; 32_000];
/// samples[16_000] = 1.0; // a click after one second
/// let onsets = onset_times(&AudioBuffer::mono(samples, 16_000)?)?;
/// assert!(onsets.len() == 1 && (onsets[0] - 1.0).abs() < 0.02);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no samples; [`Error::NotFinite`]; [`Error::Range`] for a rate below 8 kHz.
pub fn onset_times(audio: &AudioBuffer) -> Result<Vec<f64>> {
    let mel = LogMel::of("audio", audio)?;
    let flux = mel.changes(|change| change.max(0.0));
    let duration = audio.duration_secs();
    let time = |frame: usize| (frame as f64 / mel.frame_rate_hz + DELAY_SECS).min(duration);
    Ok(peaks(&flux).into_iter().map(time).collect())
}

fn peaks(flux: &[f64]) -> Vec<usize> {
    let greatest = flux.iter().copied().fold(0.0, f64::max);
    let mut found: Vec<usize> = Vec::new();
    for (frame, value) in flux.iter().enumerate() {
        let is_clear = *value >= MIN_FLUX_DB && *value >= local_mean(flux, frame) + THRESHOLD * greatest;
        let is_late = found.last().is_none_or(|last| frame - last > WAIT_FRAMES);
        if is_clear && is_late && is_local_maximum(flux, frame) {
            found.push(frame);
        }
    }
    found
}

fn local_mean(flux: &[f64], frame: usize) -> f64 {
    let around = &flux[frame.saturating_sub(MEAN_FRAMES)..flux.len().min(frame + MEAN_FRAMES + 1)];
    around.iter().sum::<f64>() / around.len() as f64
}

/// Of equal neighbours the first is the maximum.
fn is_local_maximum(flux: &[f64], frame: usize) -> bool {
    let before = &flux[frame.saturating_sub(PEAK_FRAMES)..frame];
    let after = &flux[frame..flux.len().min(frame + PEAK_FRAMES + 1)];
    before.iter().all(|value| *value < flux[frame]) && after.iter().all(|value| *value <= flux[frame])
}

/// How well estimated onsets agree with reference ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OnsetScore {
    /// Share of the estimated onsets that match, 0..=1.
    pub precision: f64,
    /// Share of the reference onsets that are matched, 0..=1.
    pub recall: f64,
    /// Harmonic mean of the two, 0..=1.
    pub f1: f64,
    /// Number of pairs.
    pub matched: usize,
}

/// Agreement of two lists of times in seconds, in any order. As many pairs as possible are formed, each time in one pair at
/// most and at most `tolerance_secs` apart (0.05 in the MIREX task and in mir_eval). Two empty lists agree (1); where one of
/// the two is empty all values are 0.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::onsets::onset_f1;
/// let score = onset_f1(&[1.0, 2.0, 3.0], &[1.03, 2.08], 0.05)?;
/// assert_eq!((score.matched, score.precision, score.recall), (1, 0.5, 1.0 / 3.0));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::NotFinite`] for a time; [`Error::Range`] for a tolerance that is negative or not finite.
pub fn onset_f1(reference_secs: &[f64], estimate_secs: &[f64], tolerance_secs: f64) -> Result<OnsetScore> {
    check::finite("reference onsets", reference_secs.iter().copied())?;
    check::finite("estimated onsets", estimate_secs.iter().copied())?;
    if !(tolerance_secs.is_finite() && tolerance_secs >= 0.0) {
        return Err(Error::range(
            "tolerance",
            format!("expected seconds of at least 0, got {tolerance_secs}"),
        ));
    }
    let (expected, found) = (reference_secs.len(), estimate_secs.len());
    if expected == 0 && found == 0 {
        return Ok(OnsetScore { precision: 1.0, recall: 1.0, f1: 1.0, matched: 0 });
    }
    let matched = count_pairs(sorted(reference_secs), sorted(estimate_secs), tolerance_secs);
    let share = |of: usize| if of == 0 { 0.0 } else { matched as f64 / of as f64 };
    let f1 = 2.0 * matched as f64 / (expected + found) as f64;
    Ok(OnsetScore { precision: share(found), recall: share(expected), f1, matched })
}

fn sorted(times: &[f64]) -> Vec<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times
}

/// Greedy from the left: of two sorted lists with one tolerance for all, pairing the earliest two that fit loses no pair, since
/// whatever else either could be paired with, the later ones can take.
fn count_pairs(reference: Vec<f64>, estimate: Vec<f64>, tolerance: f64) -> usize {
    let (mut i, mut j, mut pairs) = (0, 0, 0);
    while i < reference.len() && j < estimate.len() {
        let ahead = estimate[j] - reference[i];
        if ahead.abs() <= tolerance {
            (i, j, pairs) = (i + 1, j + 1, pairs + 1);
        } else if ahead > 0.0 {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signals::{buffer, noise, notes, sine};

    #[test]
    fn clicks_are_found_where_they_are() {
        let starts: Vec<f64> = (1..12).map(|i| f64::from(i) * 0.25).collect();
        for rate in [16_000_u32, 44_100, 48_000] {
            let mut samples = vec![0_f32; 3 * rate as usize];
            starts.iter().for_each(|start| samples[(start * f64::from(rate)) as usize] = 0.8);
            let found = onset_times(&buffer(samples, rate)).unwrap();
            assert_eq!(found.len(), starts.len(), "{rate} Hz: {found:?}");
            // Two frames: the frame grid, and where on the window's flank the rise is steepest.
            assert!(found.iter().zip(&starts).all(|(a, b)| (a - b).abs() < 0.02), "{rate} Hz: {found:?}");
        }
    }

    #[test]
    fn notes_of_other_loudness_and_gain_are_found() {
        let starts = [(0.3, 262.0), (0.8, 330.0), (1.3, 196.0), (1.55, 392.0)];
        let samples = notes(&starts, 2.2, 48_000);
        let quiet: Vec<f32> = samples.iter().map(|s| s * 0.02).collect();
        for samples in [samples, quiet] {
            let found = onset_times(&buffer(samples, 48_000)).unwrap();
            let truth: Vec<f64> = starts.iter().map(|(start, _)| *start).collect();
            let score = onset_f1(&truth, &found, 0.05).unwrap();
            assert_eq!(score.f1, 1.0, "{found:?}");
        }
    }

    #[test]
    fn silence_and_steady_tones_have_no_onsets() {
        assert!(onset_times(&buffer(vec![0.0; 16_000], 16_000)).unwrap().is_empty());
        assert!(onset_times(&buffer(vec![0.1], 16_000)).unwrap().is_empty());
        assert!(onset_times(&buffer(vec![], 16_000)).is_err());
        let mut tone = sine(440.0, 0.5, 2.0, 16_000);
        let faded = tone.len() - 1600;
        tone.iter_mut().skip(faded).enumerate().for_each(|(n, s)| *s *= 1.0 - n as f32 / 1600.0);
        let found = onset_times(&buffer(tone, 16_000)).unwrap();
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn shifts_by_30_ms_match_and_by_80_ms_do_not() {
        let times: Vec<f64> = (1..20).map(|i| f64::from(i) * 0.5).collect();
        let shifted = |by: f64| times.iter().map(|time| time + by).collect::<Vec<_>>();
        assert_eq!(onset_f1(&times, &shifted(0.03), 0.05).unwrap().f1, 1.0);
        assert_eq!(onset_f1(&times, &shifted(0.08), 0.05).unwrap().f1, 0.0);
        assert_eq!(onset_f1(&times, &times, 0.0).unwrap().f1, 1.0);
    }

    #[test]
    fn each_time_is_used_once_and_lists_may_be_empty() {
        let score = onset_f1(&[1.0], &[0.98, 1.0, 1.02], 0.05).unwrap();
        assert_eq!((score.matched, score.recall, score.precision), (1, 1.0, 1.0 / 3.0));
        assert_eq!(onset_f1(&[], &[], 0.05).unwrap().f1, 1.0);
        assert_eq!(onset_f1(&[1.0], &[], 0.05).unwrap().f1, 0.0);
        assert_eq!(onset_f1(&[], &[1.0], 0.05).unwrap().f1, 0.0);
        assert!(matches!(onset_f1(&[f64::NAN], &[], 0.05), Err(Error::NotFinite { .. })));
        assert!(matches!(onset_f1(&[], &[], -1.0), Err(Error::Range { .. })));
    }

    /// Maximum matching by augmenting paths, the slow and obvious way.
    fn maximum(reference: &[f64], estimate: &[f64], tolerance: f64) -> usize {
        fn augment(
            i: usize,
            fits: &dyn Fn(usize, usize) -> bool,
            of: &mut [Option<usize>],
            seen: &mut [bool],
        ) -> bool {
            for j in 0..of.len() {
                if fits(i, j) && !seen[j] {
                    seen[j] = true;
                    if of[j].is_none_or(|other| augment(other, fits, of, seen)) {
                        of[j] = Some(i);
                        return true;
                    }
                }
            }
            false
        }
        let fits = |i: usize, j: usize| (reference[i] - estimate[j]).abs() <= tolerance;
        let mut of = vec![None; estimate.len()];
        (0..reference.len()).filter(|i| augment(*i, &fits, &mut of, &mut vec![false; estimate.len()])).count()
    }

    proptest! {
        #[test]
        fn pairs_are_as_many_as_possible(
            reference in prop::collection::vec(0.0_f64..1.0, 0..12),
            estimate in prop::collection::vec(0.0_f64..1.0, 0..12),
        ) {
            let score = onset_f1(&reference, &estimate, 0.05).unwrap();
            prop_assert_eq!(score.matched, maximum(&reference, &estimate, 0.05));
            prop_assert!((0.0..=1.0).contains(&score.f1));
            let swapped = onset_f1(&estimate, &reference, 0.05).unwrap();
            prop_assert_eq!((score.f1, score.precision), (swapped.f1, swapped.recall));
        }

        #[test]
        fn onsets_rise_and_lie_within_the_recording(seed in 0_u64..500, samples in 1_usize..20_000) {
            let audio = buffer(noise(seed, samples), 16_000);
            let found = onset_times(&audio).unwrap();
            prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(found.iter().all(|time| (0.0..=audio.duration_secs()).contains(time)));
        }
    }
}

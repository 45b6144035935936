//! Where a recording changes, and how well that agrees with where it should.

use serde::Serialize;

use super::SelfSimilarity;
use crate::onsets::{OnsetScore, onset_f1};
use crate::{Error, Result, check};

/// Circular shifts of the found boundaries over which chance is averaged.
const SHIFTS: usize = 100;

impl SelfSimilarity {
    /// How different what follows is from what came before, at the beginning of each stretch `[stretches]`: the mean
    /// similarity of pairs on one side less that of pairs across, of the `reach` stretches on both sides, -1..=1. This is Foote's
    /// checkerboard kernel ("Automatic audio segmentation using a measure of audio novelty", 2000), its cells weighted by a normal
    /// window of half the reach, with means in place of sums. Near the ends it is multiplied by the share of the kernel's cells across that
    /// lie within the recording, as beginnings and fades would otherwise look like changes; 0 at the very beginning.
    ///
    /// # Errors
    /// [`Error::Range`] for a reach of 0, or more than there are stretches.
    pub fn novelty(&self, reach: usize) -> Result<Vec<f64>> {
        let stretches = self.values.nrows();
        if !(1..=stretches).contains(&reach) {
            return Err(Error::range("reach", format!("expected 1..={stretches} stretches, got {reach}")));
        }
        Ok((0..self.values.nrows()).map(|at| self.novelty_at(at, reach)).collect())
    }

    fn novelty_at(&self, at: usize, reach: usize) -> f64 {
        if at == 0 {
            return 0.0;
        }
        let around = at.saturating_sub(reach)..self.values.nrows().min(at + reach);
        // Distance from the boundary to the middle of a stretch, over half the reach.
        let by_distance = |distance: f64| (-0.5 * (2.0 * distance / reach as f64).powi(2)).exp();
        let weight = |stretch: usize| by_distance(stretch as f64 + 0.5 - at as f64);
        let side: f64 = (0..reach).map(|distance| by_distance(distance as f64 + 0.5)).sum();
        let (mut sums, mut weights) = ([0.0; 2], [0.0; 2]);
        for i in around.clone() {
            for j in around.clone() {
                let side = usize::from((i < at) != (j < at));
                sums[side] += weight(i) * weight(j) * self.values[[i, j]];
                weights[side] += weight(i) * weight(j);
            }
        }
        (sums[0] / weights[0] - sums[1] / weights[1]) * (weights[1] / (2.0 * side * side))
    }

    /// Times in seconds, rising, at which [`Self::novelty`] of that reach is the greatest within half the reach on both sides, and above its
    /// mean (our choice); neither beginning nor end. Of reaches of 4 to 10 s, 10 s found the sections of 100 rendered pieces best.
    ///
    /// # Errors
    /// [`Error::Range`] for a reach of 0, or more than there are stretches.
    pub fn boundaries(&self, reach: usize) -> Result<Vec<f64>> {
        let novelty = self.novelty(reach)?;
        let threshold = crate::statistics::mean(&novelty)?.max(0.0);
        let half = reach.div_ceil(2);
        let is_peak = |at: usize| {
            let before = &novelty[at.saturating_sub(half)..at];
            let after = &novelty[at..novelty.len().min(at + half + 1)];
            novelty[at] > threshold
                && before.iter().all(|value| *value < novelty[at])
                && after.iter().all(|value| *value <= novelty[at])
        };
        Ok((1..novelty.len()).filter(|at| is_peak(*at)).map(|at| self.bounds_secs[at]).collect())
    }
}

/// Agreement of found with expected boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BoundaryScore {
    /// Precision, recall and F1 of one-to-one pairs.
    pub score: OnsetScore,
    /// Mean F1 of as many boundaries at the same distances elsewhere: over 100 equal circular shifts within the recording.
    pub chance_f1: f64,
}

/// Compares boundaries in seconds within a recording of a given length; beginning and end are no boundaries, and are left out where they
/// are listed (`trim` of `mir_eval.segment.detection`). MIREX takes tolerances of 0.5 and 3 s.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// let found = musicot_eval::structure::boundary_f1(&[0.0, 8.0, 16.0, 24.0], &[8.5, 15.0], 24.0, 3.0)?;
/// assert!(found.score.f1 == 1.0 && found.chance_f1 < 0.8);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::NotFinite`] for a time; [`Error::Range`] for a time outside the recording, a length that is not above 0 or a tolerance that is
/// negative.
pub fn boundary_f1(
    expected_secs: &[f64],
    found_secs: &[f64],
    duration_secs: f64,
    tolerance_secs: f64,
) -> Result<BoundaryScore> {
    if !(duration_secs.is_finite() && duration_secs > 0.0) {
        return Err(Error::range("duration", format!("expected seconds above 0, got {duration_secs}")));
    }
    let inner = |what: &str, times: &[f64]| -> Result<Vec<f64>> {
        check::finite(what, times.iter().copied())?;
        if let Some(time) = times.iter().find(|time| !(0.0..=duration_secs).contains(*time)) {
            return Err(Error::range(
                what,
                format!("expected times within 0..={duration_secs} s, got {time}"),
            ));
        }
        Ok(times.iter().copied().filter(|time| *time > 0.0 && *time < duration_secs).collect())
    };
    let (expected, found) =
        (inner("expected boundaries", expected_secs)?, inner("found boundaries", found_secs)?);
    let mut sum = 0.0;
    for shift in 0..SHIFTS {
        let by = duration_secs * (shift as f64 + 0.5) / SHIFTS as f64;
        let shifted: Vec<f64> = found.iter().map(|time| (time + by) % duration_secs).collect();
        sum += onset_f1(&expected, &shifted, tolerance_secs)?.f1;
    }
    Ok(BoundaryScore { score: onset_f1(&expected, &found, tolerance_secs)?, chance_f1: sum / SHIFTS as f64 })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    fn blocks(labels: &[usize]) -> SelfSimilarity {
        let values = Array2::from_shape_fn((labels.len(), labels.len()), |(i, j)| {
            if labels[i] == labels[j] { 1.0 } else { 0.2 }
        });
        SelfSimilarity { values, bounds_secs: (0..=labels.len()).map(|i| i as f64).collect() }
    }

    #[test]
    fn boundaries_are_where_blocks_end() {
        let similarity = blocks(&[0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2]);
        let novelty = similarity.novelty(4).unwrap();
        // A whole change: 1 on both sides, 0.2 across.
        assert!((novelty[4] - 0.8).abs() < 1e-12 && novelty[0] == 0.0, "{novelty:?}");
        assert_eq!(similarity.boundaries(4).unwrap(), [4.0, 9.0, 13.0]);
        assert!(blocks(&[0; 9]).boundaries(3).unwrap().is_empty());
        assert!(similarity.novelty(0).is_err() && similarity.boundaries(0).is_err());
        assert!(similarity.novelty(usize::MAX).is_err());
        // One stretch on one side of four: less of the kernel, less novelty.
        let late = blocks(&[0, 0, 0, 0, 0, 0, 0, 0, 1]).novelty(4).unwrap();
        assert!(late[8] > 0.0 && late[8] < 0.4, "{late:?}");
    }

    #[test]
    fn times_outside_are_refused_and_ends_do_not_count() {
        let score = boundary_f1(&[0.0, 5.0, 10.0], &[5.2], 10.0, 0.5).unwrap();
        assert_eq!(score.score.f1, 1.0);
        assert_eq!(boundary_f1(&[0.0, 10.0], &[], 10.0, 0.5).unwrap().score.f1, 1.0);
        for (expected, found, duration, tolerance) in [
            (11.0, 1.0, 10.0, 0.5),
            (1.0, -1.0, 10.0, 0.5),
            (1.0, f64::NAN, 10.0, 0.5),
            (0.0, 0.0, 0.0, 0.5),
            (1.0, 1.0, 10.0, -1.0),
        ] {
            assert!(boundary_f1(&[expected], &[found], duration, tolerance).is_err());
        }
    }

    proptest! {
        #[test]
        fn values_are_within_their_ranges(
            cells in prop::collection::vec(0.0_f64..1.0, 64), reach in 1_usize..=8,
            times in prop::collection::vec(0.0_f64..8.0, 0..6),
        ) {
            let raw = Array2::from_shape_vec((8, 8), cells).unwrap();
            let values = (&raw + &raw.t()) / 2.0;
            let similarity = SelfSimilarity { values, bounds_secs: (0..=8).map(f64::from).collect() };
            prop_assert!(similarity.novelty(reach).unwrap().iter().all(|value| value.abs() <= 1.0));
            let found = similarity.boundaries(reach).unwrap();
            prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
            let score = boundary_f1(&times, &found, 8.0, 0.5).unwrap();
            prop_assert!((0.0..=1.0).contains(&score.chance_f1) && (0.0..=1.0).contains(&score.score.f1));
        }
    }
}

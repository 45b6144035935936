//! Notes: how many of a piece's notes are still there in another.
//!
//! Two notes match when they begin within a tolerance of time and lie within a tolerance of pitch, whenever they end; as many pairs as
//! possible are formed, each note in one pair at most. That is `mir_eval.transcription` without offsets (Raffel et al., "mir_eval: a
//! transparent implementation of common MIR metrics", ISMIR 2014), to whose values these are equal. Notes come from a
//! score or from a transcriber, which is not part of this crate.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::onsets::OnsetScore;
use crate::{Error, Result, check};

/// Differences of time are rounded to this unit, so that 50 ms within a file of decimals are 50 ms.
const PER_SECOND: f64 = 1e4;

/// A note, as far as it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// When it begins, in seconds.
    pub onset_secs: f64,
    /// Pitch in semitones as MIDI counts them, 69 being 440 Hz; fractions are allowed.
    pub pitch: f64,
}

/// How far two matching notes may be apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Seconds between the onsets, at least 0.
    pub onset_secs: f64,
    /// Cents between the pitches, at least 0.
    pub cents: f64,
}

/// 50 ms and 50 cents, as in the MIREX task "multiple fundamental frequency estimation and tracking".
impl Default for Tolerance {
    fn default() -> Self {
        Self { onset_secs: 0.05, cents: 50.0 }
    }
}

/// Agreement of two lists of notes in any order; precision, recall and F1 are of notes. Two empty lists agree (1); where one of the
/// two is empty all values are 0.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::notes::{Note, Tolerance, note_f1};
/// let note = |onset_secs, pitch| Note { onset_secs, pitch };
/// let score = [note(0.0, 60.0), note(0.0, 64.0), note(0.5, 67.0)];
/// let heard = [note(0.02, 60.2), note(0.01, 65.0)];
/// let found = note_f1(&score, &heard, Tolerance::default())?;
/// assert_eq!((found.matched, found.precision, found.recall), (1, 0.5, 1.0 / 3.0));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::NotFinite`] for a time or pitch; [`Error::Range`] for a tolerance that is negative or not finite.
pub fn note_f1(reference: &[Note], estimate: &[Note], tolerance: Tolerance) -> Result<OnsetScore> {
    for (what, notes) in [("reference notes", reference), ("estimated notes", estimate)] {
        check::finite(what, notes.iter().flat_map(|note| [note.onset_secs, note.pitch]))?;
    }
    for (what, value) in [("onset tolerance", tolerance.onset_secs), ("pitch tolerance", tolerance.cents)] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::range(what, format!("expected at least 0, got {value}")));
        }
    }
    let (expected, found) = (reference.len(), estimate.len());
    if expected == 0 && found == 0 {
        return Ok(OnsetScore { precision: 1.0, recall: 1.0, f1: 1.0, matched: 0 });
    }
    let matched = most_pairs(&candidates(reference, estimate, tolerance), found);
    let share = |of: usize| if of == 0 { 0.0 } else { matched as f64 / of as f64 };
    let f1 = 2.0 * matched as f64 / (expected + found) as f64;
    Ok(OnsetScore { precision: share(found), recall: share(expected), f1, matched })
}

/// Per reference note, the estimated notes that fit.
fn candidates(reference: &[Note], estimate: &[Note], tolerance: Tolerance) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..estimate.len()).collect();
    order.sort_by(|a, b| estimate[*a].onset_secs.total_cmp(&estimate[*b].onset_secs));
    let apart = |a: f64, b: f64| ((a - b).abs() * PER_SECOND).round() / PER_SECOND;
    let of = |note: &Note| {
        // A unit more than the tolerance, since the rounding may forgive half of one.
        let earliest = note.onset_secs - tolerance.onset_secs - 1.0 / PER_SECOND;
        let first = order.partition_point(|other| estimate[*other].onset_secs < earliest);
        let near = order[first..].iter().copied();
        let near = near.take_while(|other| estimate[*other].onset_secs <= 2.0 * note.onset_secs - earliest);
        let fits = |other: &usize| {
            apart(estimate[*other].onset_secs, note.onset_secs) <= tolerance.onset_secs
                && 100.0 * (estimate[*other].pitch - note.pitch).abs() <= tolerance.cents
        };
        near.filter(fits).collect()
    };
    reference.iter().map(of).collect()
}

/// Size of a maximum matching, by shortest augmenting paths (Berge, 1957), one breadth-first search per left item.
fn most_pairs(fits: &[Vec<usize>], right: usize) -> usize {
    let mut left_of: Vec<Option<usize>> = vec![None; right];
    (0..fits.len()).filter(|start| augment(*start, fits, &mut left_of)).count()
}

/// Finds a path from an unmatched left item to an unmatched right one along which the pairs can be swapped, and swaps them.
fn augment(start: usize, fits: &[Vec<usize>], left_of: &mut [Option<usize>]) -> bool {
    // Per right item that was reached, the left item it was reached from.
    let mut reached: Vec<Option<usize>> = vec![None; left_of.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(left) = queue.pop_front() {
        for right in &fits[left] {
            if reached[*right].is_some() {
                continue;
            }
            reached[*right] = Some(left);
            match left_of[*right] {
                Some(next) => queue.push_back(next),
                None => {
                    swap(*right, start, &reached, left_of);
                    return true;
                }
            }
        }
    }
    false
}

/// Gives each right item of the path, from its end, to the left item it was reached from.
fn swap(end: usize, start: usize, reached: &[Option<usize>], left_of: &mut [Option<usize>]) {
    let mut right = end;
    while let Some(left) = reached[right] {
        let before = left_of.iter().position(|owner| *owner == Some(left));
        left_of[right] = Some(left);
        match before {
            Some(next) if left != start => right = next,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note(onset_secs: f64, pitch: f64) -> Note {
        Note { onset_secs, pitch }
    }

    fn f1(reference: &[Note], estimate: &[Note]) -> f64 {
        note_f1(reference, estimate, Tolerance::default()).unwrap().f1
    }

    #[test]
    fn tolerances_hold_at_their_edges() {
        let one = [note(1.0, 60.0)];
        assert_eq!(f1(&one, &[note(1.05, 60.5)]), 1.0);
        assert_eq!(f1(&one, &[note(0.95, 59.5)]), 1.0);
        assert_eq!(f1(&one, &[note(1.0502, 60.0)]), 0.0);
        assert_eq!(f1(&one, &[note(1.0, 60.51)]), 0.0);
        assert_eq!(f1(&one, &[note(1.0, 72.0)]), 0.0);
    }

    #[test]
    fn a_pair_is_given_up_for_two() {
        // The first reference note fits both estimates, the second only the first.
        let reference = [note(1.0, 60.0), note(1.04, 60.0)];
        assert_eq!(f1(&reference, &[note(1.05, 60.0), note(0.96, 60.0)]), 1.0);
        // A chain of three.
        let reference = [note(0.0, 60.0), note(0.04, 60.0), note(0.08, 60.0)];
        assert_eq!(f1(&reference, &[note(0.05, 60.0), note(0.01, 60.0), note(-0.03, 60.0)]), 1.0);
    }

    #[test]
    fn empty_lists_and_bad_values() {
        assert_eq!(f1(&[], &[]), 1.0);
        assert_eq!(f1(&[note(0.0, 60.0)], &[]), 0.0);
        assert_eq!(f1(&[], &[note(0.0, 60.0)]), 0.0);
        let tolerance = Tolerance::default();
        assert!(matches!(note_f1(&[note(f64::NAN, 1.0)], &[], tolerance), Err(Error::NotFinite { .. })));
        assert!(note_f1(&[], &[], Tolerance { cents: -1.0, ..tolerance }).is_err());
        assert!(note_f1(&[], &[], Tolerance { onset_secs: f64::NAN, ..tolerance }).is_err());
    }

    #[test]
    fn thousands_of_equal_notes_end_in_time() {
        let many = vec![note(1.0, 60.0); 1500];
        assert_eq!(f1(&many, &many), 1.0);
    }

    /// The recursive textbook search.
    fn slow(fits: &[Vec<usize>], right: usize) -> usize {
        fn find(left: usize, fits: &[Vec<usize>], of: &mut [Option<usize>], seen: &mut [bool]) -> bool {
            fits[left].iter().any(|right| {
                let is_new = !std::mem::replace(&mut seen[*right], true);
                let is_free = is_new && of[*right].is_none_or(|other| find(other, fits, of, seen));
                if is_free {
                    of[*right] = Some(left);
                }
                is_free
            })
        }
        let mut of = vec![None; right];
        (0..fits.len()).filter(|left| find(*left, fits, &mut of, &mut vec![false; right])).count()
    }

    proptest! {
        #[test]
        fn pairs_are_as_many_as_possible(
            fits in prop::collection::vec(prop::collection::vec(0_usize..9, 0..5), 0..9),
        ) {
            prop_assert_eq!(most_pairs(&fits, 9), slow(&fits, 9));
        }

        #[test]
        fn the_score_does_not_depend_on_order_or_direction(
            a in prop::collection::vec((0.0_f64..0.4, 60.0_f64..62.0), 0..12),
            b in prop::collection::vec((0.0_f64..0.4, 60.0_f64..62.0), 0..12),
        ) {
            let notes = |list: &[(f64, f64)]| list.iter().map(|(t, p)| note(*t, *p)).collect::<Vec<_>>();
            let (a, mut b) = (notes(&a), notes(&b));
            let forward = note_f1(&a, &b, Tolerance::default()).unwrap();
            b.reverse();
            let backward = note_f1(&b, &a, Tolerance::default()).unwrap();
            prop_assert_eq!((forward.f1, forward.precision), (backward.f1, backward.recall));
            prop_assert!(forward.matched <= a.len().min(b.len()));
        }
    }
}

//! Copies by ear: the longest passage that two recordings have in common, in any key and at slightly other tempi.
//!
//! The measure is Qmax of Serrà, Serra and Andrzejak ("Cross recurrence quantification for cover song identification", New Journal of
//! Physics 11, 2009). Both chromas are averaged to four frames per second; eight frames in a row (2 s) are one state; two
//! states recur when each is among the nearest 9.5 % of the other recording's states, and their cosine is at least 0.9; and the longest
//! path through the recurrences is found that may skip frames and bear gaps, at the paper's costs of 5 to begin a gap and 0.5 to
//! go on with it. The second recording is tried in all 12 transpositions.
//!
//! The paper looks for versions of whole songs: frames of half a second, states of 4.5 s, one transposition by the mean chroma, and
//! no least cosine. For passages of seconds in recordings of 10 s and up that is too coarse and too generous. In 40 clips of 30 s, of
//! which 8 s were replaced by those of another piece, one transposition and no least cosine found a third of the pieces copied from
//! among 40; all transpositions and the least cosine found all, and the longest passage by chance fell from 7.6 s to 1.7 s.
//!
//! Common chord loops are common passages too: read a length against those of unrelated recordings of the same style, by
//! [`crate::significance::empirical_p`]. Exact copies of tokens are found by [`crate::tokens`].

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::Serialize;

use crate::chroma::{Chroma, PITCH_CLASSES};
use crate::{Error, Result, check};

/// Frames per second of the averaged chroma.
const RATE_HZ: f64 = 4.0;

/// Frames of a state.
const STATE_FRAMES: usize = 8;

/// Share of the other recording's states that count as near.
const NEAR: f64 = 0.095;

/// The cosines of longer recordings would take more than 200 MB.
const MAX_FRAMES: usize = 4800;

/// Least cosine of two states that recur.
const MIN_COSINE: f64 = 0.9;

const GAP_ONSET: f64 = 5.0;
const GAP_EXTENSION: f64 = 0.5;

/// The longest common passage of two recordings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Passage {
    /// Qmax over the frame rate: seconds in common, less the cost of gaps. 0 when nothing recurs.
    pub secs: f64,
    /// Where the passage begins and ends in the first recording, in seconds.
    pub first_secs: (f64, f64),
    /// Where it begins and ends in the second.
    pub second_secs: (f64, f64),
    /// Semitones, 0..12, by which the second recording is raised to fit the first; the least of those that fit equally.
    pub transposition: usize,
}

/// Finds the longest passage that two recordings have in common.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{chroma::Chroma, copies::longest_passage, core::AudioBuffer};
/// let tone = |step: usize| 220.0 * ((step * step % 13) as f32 / 12.0).exp2(); // a new pitch every half second
/// let melody = (0..120_000).map(|n| (n as f32 * tone(n / 4000) / 8000.0 * std::f32::consts::TAU).sin()).collect();
/// let chroma = Chroma::of(&AudioBuffer::mono(melody, 8000)?)?;
/// let passage = longest_passage(&chroma, &chroma)?;
/// assert!(passage.secs > 12.0 && passage.transposition == 0); // 15 s less what a state takes
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for a recording of less than 4 s; [`Error::Silent`] for one without an active frame; [`Error::Range`] for one of more
/// than 20 minutes, and for frame rates that differ.
pub fn longest_passage(first: &Chroma, second: &Chroma) -> Result<Passage> {
    if (first.frame_rate_hz() - second.frame_rate_hz()).abs() > 1e-9 {
        let (a, b) = (first.frame_rate_hz(), second.frame_rate_hz());
        return Err(Error::range("chroma", format!("expected equal frame rates, got {a} and {b} Hz")));
    }
    let (a, b) = (averaged("first recording", first)?, averaged("second recording", second)?);
    let own = states(&a);
    let (mut path, mut transposition) = (Path::NONE, 0);
    for by in 0..PITCH_CLASSES {
        let raised = Array2::from_shape_fn(b.dim(), |(frame, class)| {
            b[[frame, (class + PITCH_CLASSES - by) % PITCH_CLASSES]]
        });
        let cosines = own.dot(&states(&raised).t());
        // A path gains at most 1 in each row in which anything recurs.
        let rows =
            cosines.rows().into_iter().filter(|row| row.iter().any(|cosine| *cosine >= MIN_COSINE)).count();
        if rows as f64 > path.score {
            let found = Path::longest(recurrences(&cosines).view());
            if found.score > path.score {
                (path, transposition) = (found, by);
            }
        }
    }
    let span = |from: usize, to: usize| {
        if path.score > 0.0 {
            (from as f64 / RATE_HZ, (to + STATE_FRAMES) as f64 / RATE_HZ)
        } else {
            (0.0, 0.0)
        }
    };
    Ok(Passage {
        secs: path.score / RATE_HZ,
        first_secs: span(path.start.0, path.end.0),
        second_secs: span(path.start.1, path.end.1),
        transposition,
    })
}

/// Index of the piece of a corpus that has the longest passage in common with a recording, and the passage; of equals the first. Its
/// chance level is the same figure of recordings that cannot have been copied from the corpus.
///
/// # Errors
/// [`Error::TooFew`] for a corpus without pieces; the errors of [`longest_passage`].
pub fn closest_piece(recording: &Chroma, corpus: &[Chroma]) -> Result<(usize, Passage)> {
    check::at_least("pieces of the corpus", corpus.len(), 1)?;
    let mut best = (0, longest_passage(recording, &corpus[0])?);
    for (index, piece) in corpus.iter().enumerate().skip(1) {
        let passage = longest_passage(recording, piece)?;
        if passage.secs > best.1.secs {
            best = (index, passage);
        }
    }
    Ok(best)
}

/// Qmax of a recurrence plot `[a, b]`: the score of its longest path, in frames. 0 for a plot without a recurrence.
///
/// ```
/// let diagonal = ndarray::Array2::from_shape_fn((5, 6), |(i, j)| i + 1 == j);
/// assert_eq!(musicot_eval::copies::qmax(diagonal.view()), 5.0);
/// ```
pub fn qmax(recurrences: ArrayView2<'_, bool>) -> f64 {
    Path::longest(recurrences).score
}

/// Mean of the frames of each quarter of a second, divided by its greatest value `[frames, 12]`; silent frames are 0.
fn averaged(what: &str, chroma: &Chroma) -> Result<Array2<f64>> {
    let values = chroma.values();
    let count = (values.nrows() as f64 * RATE_HZ / chroma.frame_rate_hz()) as usize;
    check::at_least(&format!("{what}: frames of 0.25 s"), count, 2 * STATE_FRAMES)?;
    if count > MAX_FRAMES {
        let secs = MAX_FRAMES as f64 / RATE_HZ;
        return Err(Error::range(
            what,
            format!("expected at most {secs} s, got {} s", count as f64 / RATE_HZ),
        ));
    }
    if !chroma.active().contains(&true) {
        return Err(Error::Silent { what: what.to_owned() });
    }
    let mut means = Array2::zeros((count, PITCH_CLASSES));
    for (frame, mut mean) in means.rows_mut().into_iter().enumerate() {
        let at = |frame: usize| (frame as f64 * chroma.frame_rate_hz() / RATE_HZ).round() as usize;
        for row in at(frame)..at(frame + 1).min(values.nrows()) {
            if chroma.active()[row] {
                mean += &values.row(row);
            }
        }
        let greatest = mean.iter().copied().fold(0.0, f64::max);
        if greatest > 0.0 {
            mean /= greatest;
        }
    }
    Ok(means)
}

/// [`STATE_FRAMES`] frames in a row, one after the other and at unit length `[states, 12 x frames]`; silence is 0.
fn states(frames: &Array2<f64>) -> Array2<f64> {
    let count = frames.nrows() + 1 - STATE_FRAMES;
    let mut states = Array2::from_shape_fn((count, STATE_FRAMES * PITCH_CLASSES), |(state, column)| {
        frames[[state + column / PITCH_CLASSES, column % PITCH_CLASSES]]
    });
    for mut state in states.rows_mut() {
        let norm = state.dot(&state).sqrt();
        if norm > 0.0 {
            state /= norm;
        }
    }
    states
}

/// Whether the states of two recordings, given their cosines `[a, b]`, are near enough, and among the nearest in both directions.
fn recurrences(cosines: &Array2<f64>) -> Array2<bool> {
    let least = |row: ArrayView1<'_, f64>| {
        let mut values = row.to_vec();
        let rank = ((NEAR * row.len() as f64).ceil() as usize).clamp(1, row.len()) - 1;
        values.select_nth_unstable_by(rank, |a, b| b.total_cmp(a)).1.max(MIN_COSINE)
    };
    let of_a: Vec<f64> = cosines.rows().into_iter().map(least).collect();
    let of_b: Vec<f64> = cosines.columns().into_iter().map(least).collect();
    Array2::from_shape_fn(cosines.dim(), |(i, j)| cosines[[i, j]] >= of_a[i] && cosines[[i, j]] >= of_b[j])
}

/// A path through recurrences.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Path {
    score: f64,
    start: (usize, usize),
    end: (usize, usize),
}

impl Path {
    const NONE: Self = Self { score: 0.0, start: (0, 0), end: (0, 0) };

    /// Each cell holds the best path that ends there: one longer than the best before it where states recur, and less the cost of a
    /// gap elsewhere. Before a cell are its diagonal neighbour and the two cells a knight's move back.
    fn longest(recurs: ArrayView2<'_, bool>) -> Self {
        let (rows, columns) = recurs.dim();
        // Of the rows that are still needed.
        let mut cells = Array2::from_elem((3, columns), Self::NONE);
        let mut best = Self::NONE;
        for i in 0..rows {
            for j in 0..columns {
                let before = [(1, 1), (1, 2), (2, 1)].into_iter();
                let before = before.filter_map(|(up, left)| Some((i.checked_sub(up)?, j.checked_sub(left)?)));
                let cost = |cell| match (recurs[[i, j]], recurs[cell]) {
                    (true, _) => -1.0,
                    (false, true) => GAP_ONSET,
                    (false, false) => GAP_EXTENSION,
                };
                let fresh = Self { score: f64::from(recurs[[i, j]]), start: (i, j), end: (i, j) };
                let path = before.fold(fresh, |path, (row, column)| {
                    let cell: Self = cells[[row % 3, column]];
                    let score = cell.score - cost([row, column]);
                    if cell.score > 0.0 && score > path.score {
                        Self { score, end: (i, j), ..cell }
                    } else {
                        path
                    }
                });
                cells[[i % 3, j]] = path;
                if path.score > best.score {
                    best = path;
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;
    use proptest::prelude::*;

    use super::*;
    use crate::signals::{buffer, notes};

    /// Random pitches of a scale, one every 0.4 s.
    fn melody(seed: u64, count: usize, transposed: f64) -> Vec<f32> {
        let scale = [0.0, 2.0, 4.0, 5.0, 7.0, 9.0, 11.0, 12.0];
        let mut draws = CounterRng::new(seed).at(0);
        let pitch = |degree: f64| 261.63 * ((degree + transposed) / 12.0).exp2();
        let score: Vec<_> = (0..count).map(|i| (0.4 * i as f64, pitch(scale[draws.below(8)]))).collect();
        notes(&score, 0.4 * count as f64, 16_000)
    }

    fn chroma(samples: Vec<f32>) -> Chroma {
        Chroma::of(&buffer(samples, 16_000)).unwrap()
    }

    #[test]
    fn a_passage_is_found_where_it_is_and_in_another_key() {
        let own = chroma(melody(1, 50, 0.0));
        let whole = longest_passage(&own, &own).unwrap();
        assert!(whole.secs >= 17.0 && whole.transposition == 0, "{whole:?}");
        // 8 s of the first (from 6 s on), between others.
        let quoted: Vec<f32> = melody(1, 50, 0.0)[96_000..224_000].to_vec();
        let mixed = chroma([melody(7, 15, 0.0), quoted, melody(8, 15, 0.0)].concat());
        let passage = longest_passage(&own, &mixed).unwrap();
        assert!(passage.secs >= 5.5, "{passage:?}");
        let (starts, middle) = (passage.second_secs.0 - passage.first_secs.0, passage.second_secs);
        assert!(starts.abs() < 1.0 && (middle.0 + middle.1 - 20.0).abs() < 3.0, "{passage:?}");
        let raised = longest_passage(&own, &chroma(melody(1, 50, 3.0))).unwrap();
        assert!(raised.transposition == 9 && raised.secs >= 17.0, "{raised:?}");
    }

    #[test]
    fn strangers_share_less_than_copies() {
        let own = chroma(melody(1, 50, 0.0));
        let strangers: Vec<Chroma> = (10..20).map(|seed| chroma(melody(seed, 50, 0.0))).collect();
        let (_, by_chance) = closest_piece(&own, &strangers).unwrap();
        assert!(by_chance.secs < 3.0, "{by_chance:?}");
        let corpus: Vec<Chroma> = strangers.into_iter().chain([own.clone()]).collect();
        assert_eq!(closest_piece(&own, &corpus).unwrap().0, 10);
        assert!(closest_piece(&own, &[]).is_err());
    }

    #[test]
    fn short_and_silent_recordings_are_named() {
        let own = chroma(melody(1, 50, 0.0));
        let error = longest_passage(&own, &chroma(vec![0.0; 160_000])).unwrap_err();
        assert!(error.to_string().starts_with("second recording: silent"), "{error}");
        assert!(matches!(longest_passage(&chroma(melody(1, 5, 0.0)), &own), Err(Error::TooFew { .. })));
    }

    #[test]
    fn gaps_cost_what_they_cost() {
        let score = |cells: &[(usize, usize)]| {
            let mut recurs = Array2::from_elem((12, 12), false);
            cells.iter().for_each(|cell| recurs[[cell.0, cell.1]] = true);
            qmax(recurs.view())
        };
        assert_eq!(score(&[]), 0.0);
        assert_eq!(score(&[(3, 4)]), 1.0);
        assert_eq!(score(&[(0, 0), (1, 1), (2, 2)]), 3.0);
        assert_eq!(score(&[(0, 0), (1, 2), (3, 3)]), 3.0);
        // Eight, one gap of two cells (5 and 0.5), two more: no better than the eight.
        let mut cells: Vec<_> = (0..8).map(|i| (i, i)).collect();
        cells.extend([(10, 10), (11, 11)]);
        assert_eq!(score(&cells), 8.0);
        // A single cell is missing: a knight's move goes round it.
        let mut cells: Vec<_> = (0..6).map(|i| (i, i)).collect();
        cells.extend((6..11).map(|i| (i, i + 1)));
        assert_eq!(score(&cells), 11.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn scores_are_symmetric_and_bounded(cells in prop::collection::vec((0_usize..9, 0_usize..7), 0..30)) {
            let mut recurs = Array2::from_elem((9, 7), false);
            cells.iter().for_each(|cell| recurs[[cell.0, cell.1]] = true);
            let (path, turned) = (Path::longest(recurs.view()), Path::longest(recurs.t()));
            prop_assert_eq!(path.score, turned.score);
            prop_assert!(path.score <= 7.0 && path.start.0 <= path.end.0 && path.start.1 <= path.end.1);
            prop_assert_eq!(path.score > 0.0, !cells.is_empty());
        }
    }
}

//! Themes: motifs, their order, and the contour of a phrase.

use super::line::Aim;
use super::rhythm::{Beat, Pace};
use crate::piece::{Label, Note};
use crate::rng::Rng;
use crate::theory::{Chord, Key};

/// A bar's rhythm and the steps of its line.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) rhythm: Vec<Beat>,
    /// Semitones from note to note, as a wish.
    pub(super) motions: Vec<f64>,
}

/// The tune of one kind of section.
#[derive(Clone, Debug)]
pub(super) struct Theme {
    pub(super) label: Label,
    pub(super) figures: [Figure; 2],
    /// Which figure each bar of a phrase has.
    pub(super) order: [usize; 4],
    /// Height at the beginning of each bar of a phrase and at its end, from 0 (low) to 1.
    pub(super) contour: [f64; 5],
    /// Whether a few notes lead from one phrase into the next.
    pub(super) pickup: bool,
    pub(super) units: Vec<Unit>,
}

/// Two bars that were written before: they come back where the same chords do.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) is_tail: bool,
    pub(super) aim: Aim,
    /// The chords, relative to the key.
    pub(super) chords: Vec<(u32, Chord)>,
    pub(super) key: Key,
    /// Relative to the unit's first tick.
    pub(super) notes: Vec<Note>,
}

const ORDERS: [[usize; 4]; 5] = [[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 0]];
const CONTOURS: [[f64; 5]; 5] = [
    [0.3, 0.5, 0.7, 0.9, 0.3],
    [0.9, 0.7, 0.5, 0.4, 0.2],
    [0.2, 0.6, 0.3, 0.8, 0.4],
    [0.3, 0.4, 0.6, 0.8, 0.7],
    [0.6, 0.8, 0.5, 0.6, 0.3],
];

impl Theme {
    /// Draws the tune of a kind of section.
    pub(super) fn draw(label: Label, pace: Pace, rng: &mut Rng) -> Self {
        let calmer = Pace { density: pace.density * 0.85, ..pace };
        Self {
            label,
            figures: [Figure::draw(pace, rng), Figure::draw(calmer, rng)],
            order: rng.pick(&ORDERS).copied().unwrap_or(ORDERS[0]),
            contour: rng.pick(&CONTOURS).copied().unwrap_or(CONTOURS[0]),
            pickup: rng.chance(0.4),
            units: Vec::new(),
        }
    }
}

impl Figure {
    fn draw(pace: Pace, rng: &mut Rng) -> Self {
        let rhythm = pace.bar(rng);
        let mut direction = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let motions = (0..rhythm.len())
            .map(|_| {
                // A line keeps its direction for a while.
                if rng.chance(0.35) {
                    direction = -direction;
                }
                direction * [0.0, 2.0, 4.0, 7.0][rng.weighted(&[0.1, 0.6, 0.2, 0.1])]
            })
            .collect();
        Self { rhythm, motions }
    }
}

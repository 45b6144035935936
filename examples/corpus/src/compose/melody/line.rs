//! The pitches of a line: the cheapest path through the keys that are possible, by dynamic programming.
//!
//! All costs are our choice, in units of about "one awkward interval".

use super::super::voicing::is_parallel;

/// What a note of a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// Nothing special.
    Free,
    /// The one highest note.
    Climax,
    /// The end of an open phrase: any chord tone but the tonic.
    Open,
    /// The end of a closed phrase: the tonic, or another note of its chord.
    Closed,
}

/// A note of which only the pitch is missing.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// On a strong place: a chord tone is wanted.
    pub(super) strong: bool,
    pub(super) aim: Aim,
    /// Pitch classes of the scale, of the chord, and of the tonic.
    pub(super) scale: Vec<u8>,
    pub(super) chord: Vec<u8>,
    pub(super) tonic: u8,
    /// The bass beneath.
    pub(super) bass: u8,
    /// Whether a fifth or octave above the bass is better avoided here, so that none can follow another.
    pub(super) strict: bool,
    /// The key that the contour asks for.
    pub(super) target: f64,
    /// Semitones from the note before, as in the motif.
    pub(super) motion: f64,
    /// A small random liking for each key, so that no two lines are the same.
    pub(super) taste: Vec<f64>,
}

/// The keys a line moves in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) low: u8,
    pub(super) high: u8,
    /// Only the climax goes higher than this.
    pub(super) ceiling: u8,
}

const STRANGER: f64 = 6.0;
const LEAP_FROM_STRANGER: f64 = 4.0;
const PARALLEL: f64 = 2.5;
const CEILING: f64 = 3.0;
const PERFECT: f64 = 1.8;

/// The keys of the slots; `before` is the note that leads in.
pub(super) fn find(slots: &[Slot], window: Window, before: Option<u8>) -> Vec<u8> {
    let keys: Vec<u8> = (window.low..=window.high).collect();
    let mut costs: Vec<f64> = Vec::new();
    let mut came_from: Vec<Vec<usize>> = Vec::with_capacity(slots.len());
    for (index, slot) in slots.iter().enumerate() {
        let here: Vec<f64> = keys.iter().map(|key| place_cost(slot, *key, window)).collect();
        let last = index.checked_sub(1).map(|previous| &slots[previous]);
        let mut next = Vec::with_capacity(keys.len());
        let mut origins = Vec::with_capacity(keys.len());
        for (key, place) in keys.iter().zip(&here) {
            let (cost, origin) = match last {
                None => (before.map_or(0.0, |old| 0.5 * leap_cost(old, *key)), 0),
                Some(last) => cheapest(&costs, &keys, *key, last, slot),
            };
            next.push(cost + place);
            origins.push(origin);
        }
        costs = next;
        came_from.push(origins);
    }
    trace(&costs, &came_from, &keys)
}

fn cheapest(costs: &[f64], keys: &[u8], key: u8, last: &Slot, slot: &Slot) -> (f64, usize) {
    let mut best = (f64::INFINITY, 0);
    for (index, (cost, from)) in costs.iter().zip(keys).enumerate() {
        let total = cost + move_cost(*from, key, last, slot);
        if total < best.0 {
            best = (total, index);
        }
    }
    best
}

/// The cheapest path, from its end to its beginning and turned round.
fn trace(costs: &[f64], came_from: &[Vec<usize>], keys: &[u8]) -> Vec<u8> {
    let mut at = 0;
    for (index, cost) in costs.iter().enumerate() {
        if *cost < costs[at] {
            at = index;
        }
    }
    let mut path = Vec::with_capacity(came_from.len());
    for origins in came_from.iter().rev() {
        path.extend(keys.get(at));
        at = origins[at];
    }
    path.reverse();
    path
}

fn place_cost(slot: &Slot, key: u8, window: Window) -> f64 {
    let tone = key % 12;
    let in_chord = slot.chord.contains(&tone);
    let mut cost = 0.1 * (f64::from(key) - slot.target).abs();
    cost += slot.taste.get(usize::from(tone)).copied().unwrap_or(0.0);
    if !slot.scale.contains(&tone) {
        cost += 3.0 * STRANGER;
    }
    if slot.strong && !in_chord {
        cost += STRANGER;
    }
    if slot.strict && slot.aim == Aim::Free && matches!(key.abs_diff(slot.bass) % 12, 0 | 7) {
        cost += PERFECT;
    }
    if slot.aim != Aim::Climax && key >= window.ceiling {
        cost += CEILING;
    }
    cost + match slot.aim {
        Aim::Free => 0.0,
        Aim::Climax => {
            let below = f64::from(window.ceiling.saturating_sub(key));
            let above = f64::from(key.saturating_sub(window.ceiling));
            2.0 * below + 0.4 * above + if in_chord { 0.0 } else { STRANGER }
        }
        Aim::Open if tone == slot.tonic => 2.5,
        Aim::Closed if tone == slot.tonic => 0.0,
        Aim::Open | Aim::Closed if !in_chord => STRANGER,
        Aim::Open => 0.0,
        Aim::Closed => 1.5,
    }
}

fn move_cost(from: u8, to: u8, last: &Slot, slot: &Slot) -> f64 {
    let up = f64::from(to) - f64::from(from);
    let mut cost = leap_cost(from, to) + 0.28 * (up - slot.motion).abs();
    let is_step = from.abs_diff(to) <= 2;
    // A foreign tone is entered and left by step.
    if !last.chord.contains(&(from % 12)) && !is_step {
        cost += LEAP_FROM_STRANGER;
    }
    if !slot.chord.contains(&(to % 12)) && !is_step {
        cost += LEAP_FROM_STRANGER / 2.0;
    }
    if is_parallel((last.bass, slot.bass), (from, to)) {
        cost += PARALLEL;
    }
    cost
}

/// Steps are free, thirds nearly so; sixths and more are rare, the tritone and the sevenths rarer.
fn leap_cost(from: u8, to: u8) -> f64 {
    match from.abs_diff(to) {
        0 => 1.1,
        1 | 2 => 0.0,
        3 | 4 => 0.5,
        5 => 1.0,
        7 => 1.7,
        8 | 9 => 2.8,
        12 => 2.6,
        6 | 10 | 11 => 5.0,
        _ => 9.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { low: 60, high: 80, ceiling: 77 };

    fn slot(strong: bool, aim: Aim, target: f64) -> Slot {
        Slot {
            strong,
            aim,
            scale: vec![0, 2, 4, 5, 7, 9, 11],
            chord: vec![0, 4, 7],
            tonic: 0,
            bass: 36,
            strict: false,
            target,
            motion: 0.0,
            taste: Vec::new(),
        }
    }

    #[test]
    fn strong_notes_are_chord_tones_and_the_line_closes_on_the_tonic() {
        let slots = [
            slot(true, Aim::Free, 64.0),
            slot(false, Aim::Free, 65.0),
            slot(true, Aim::Free, 67.0),
            slot(false, Aim::Free, 66.0),
            slot(true, Aim::Closed, 63.0),
        ];
        let keys = find(&slots, WINDOW, None);
        assert_eq!(keys.len(), 5);
        assert!([0, 2].iter().all(|index| [0, 4, 7].contains(&(keys[*index] % 12))), "{keys:?}");
        assert_eq!(keys[4] % 12, 0);
        assert!(keys.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 5), "{keys:?}");
    }

    #[test]
    fn the_climax_alone_is_highest() {
        let mut slots = vec![slot(true, Aim::Free, 76.0); 7];
        slots[4].aim = Aim::Climax;
        let keys = find(&slots, WINDOW, Some(67));
        let highest = keys.iter().max().unwrap();
        assert_eq!(keys.iter().position(|key| key == highest), Some(4), "{keys:?}");
        assert_eq!(keys.iter().filter(|key| *key == highest).count(), 1, "{keys:?}");
    }
}

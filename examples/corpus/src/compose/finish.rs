//! The last pass over the notes: swing, small human deviations, and no overlap on one key.

use super::plan::Plan;
use crate::metre::Metre;
use crate::piece::{Note, Part, Role, TICKS_PER_BEAT};
use crate::rng::Rng;

/// Deviation of start times (one standard deviation), pitched parts and drums.
const TIMING_SECS: f64 = 0.005;
const DRUM_TIMING_SECS: f64 = 0.0025;
/// Deviation of velocities.
const VELOCITY_SPREAD: f64 = 4.0;
/// Two strokes of one key nearer than this are one.
const SAME_STROKE_SECS: f64 = 0.03;

/// Finishes all parts in place.
pub(crate) fn finish(plan: &Plan, parts: &mut [Part], rng: &mut Rng) {
    let limit = plan.end();
    let merge = plan.ticks(SAME_STROKE_SECS);
    for part in parts {
        let spread = if part.role == Role::Drums { DRUM_TIMING_SECS } else { TIMING_SECS };
        let behind = behind_secs(plan, part.role);
        let (low, high) = (part.program.low, part.program.high);
        for note in &mut part.notes {
            // The eighths of 6/8 are beats of their own.
            if plan.metre != Metre::SixEight {
                swing(note, plan.style.swing);
            }
            // The first and the last notes come together.
            let together = note.start == 0 || note.start + plan.bar_ticks() >= plan.bars() * plan.bar_ticks();
            humanise(note, plan, if together { 0.0 } else { behind }, spread, rng);
            note.key = fold(note.key, low, high);
        }
        part.notes = separate(&part.notes, merge, limit);
    }
}

/// Moves the middle of each beat to `middle` (0.5: nothing changes), stretching what lies between.
fn swing(note: &mut Note, middle: f64) {
    let end = swung(note.end(), middle);
    note.start = swung(note.start, middle);
    note.length = end.saturating_sub(note.start).max(1);
}

fn swung(tick: u32, middle: f64) -> u32 {
    let beat = tick / TICKS_PER_BEAT * TICKS_PER_BEAT;
    let place = f64::from(tick % TICKS_PER_BEAT) / f64::from(TICKS_PER_BEAT);
    let moved =
        if place < 0.5 { place * 2.0 * middle } else { middle + (place - 0.5) * 2.0 * (1.0 - middle) };
    beat + (moved * f64::from(TICKS_PER_BEAT)).round() as u32
}

/// How far a role lies behind the beat: the tune most, chords half as much, the drums not at all.
fn behind_secs(plan: &Plan, role: Role) -> f64 {
    plan.style.behind_secs
        * match role {
            Role::Melody | Role::Solo | Role::Counter => 1.0,
            Role::Chords | Role::Arpeggio => 0.6,
            Role::Bass => 0.4,
            Role::Pad | Role::Drums => 0.0,
        }
}

fn humanise(note: &mut Note, plan: &Plan, behind_secs: f64, spread_secs: f64, rng: &mut Rng) {
    let ticks_per_sec = f64::from(TICKS_PER_BEAT) / plan.quarter_secs();
    let shift = ((rng.normal() * spread_secs + behind_secs) * ticks_per_sec).round() as i64;
    note.start = (i64::from(note.start) + shift).max(0) as u32;
    let velocity = f64::from(note.velocity) + rng.normal() * VELOCITY_SPREAD;
    note.velocity = velocity.round().clamp(20.0, 124.0) as u8;
}

/// Octaves up or down into the instrument's range.
fn fold(mut key: u8, low: u8, high: u8) -> u8 {
    while key < low {
        key += 12;
    }
    while key > high {
        key -= 12;
    }
    key
}

/// Sorts the notes, merges strokes of one key that fall together, and shortens those that run into the next.
pub(crate) fn separate(notes: &[Note], merge_ticks: u32, limit: u32) -> Vec<Note> {
    let mut sorted = notes.to_vec();
    sorted.sort_by_key(|note| (note.key, note.start));
    let mut kept: Vec<Note> = Vec::with_capacity(sorted.len());
    for mut note in sorted {
        if note.start >= limit {
            continue;
        }
        note.length = note.length.min(limit - note.start);
        match kept.last_mut().filter(|last| last.key == note.key) {
            Some(last) if note.start - last.start < merge_ticks => {
                last.length = last.length.max(note.end() - last.start);
                last.velocity = last.velocity.max(note.velocity);
            }
            Some(last) => {
                last.length = last.length.min(note.start - last.start);
                kept.push(note);
            }
            None => kept.push(note),
        }
    }
    kept.sort_by_key(|note| (note.start, note.key));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn swing_keeps_beats_and_moves_offbeats() {
        assert_eq!(swung(960, 0.6), 960);
        assert_eq!(swung(480, 0.6), 576);
        assert_eq!(swung(1440, 0.5), 1440);
    }

    proptest! {
        #[test]
        fn separated_notes_never_overlap(raw in prop::collection::vec((0u32..4000, 1u32..900, 60u8..64), 0..60)) {
            let notes: Vec<Note> =
                raw.iter().map(|&(start, length, key)| Note { start, length, key, velocity: 80 }).collect();
            let kept = separate(&notes, 30, 3900);
            prop_assert!(kept.is_sorted_by_key(|note| (note.start, note.key)));
            for (index, note) in kept.iter().enumerate() {
                prop_assert!(note.length >= 1 && note.end() <= 3900);
                let clash = kept[index + 1..].iter().any(|next| next.key == note.key && next.start < note.end());
                prop_assert!(!clash);
            }
            let keys = |notes: &[Note]| -> std::collections::BTreeSet<u8> {
                notes.iter().filter(|note| note.start < 3900).map(|note| note.key).collect()
            };
            prop_assert_eq!(keys(&kept), keys(&notes));
        }
    }
}

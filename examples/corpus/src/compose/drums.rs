//! Drum grooves, fills at the end of sections, and the last stroke.

use super::plan::{Plan, PlannedSection};
use crate::piece::{Label, Note, STEP};
use crate::rng::Rng;
use crate::style::{DrumLine, Groove, WALTZ_GROOVE};

const KICK: u8 = 36;
const SNARE: u8 = 38;
const CRASH: u8 = 49;
/// Length of every stroke; a drum sounds as long as its sample.
const STROKE_TICKS: u32 = STEP / 2;

/// The drum part.
pub(crate) fn groove(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let groove = if plan.beats_per_bar == 3 {
        &WALTZ_GROOVE
    } else {
        rng.pick(plan.style.grooves).unwrap_or(&WALTZ_GROOVE)
    };
    let mut notes = Vec::new();
    for section in plan.sections_of(player) {
        write_section(plan, section, groove, rng, &mut notes);
    }
    notes
}

fn write_section(
    plan: &Plan,
    section: &PlannedSection,
    groove: &Groove,
    rng: &mut Rng,
    notes: &mut Vec<Note>,
) {
    let loud = section.label == Label::Chorus;
    let lines = if loud { groove.full } else { groove.light };
    let level = (Plan::velocity(section.energy) - 96.0) * 0.8;
    if loud && section.first_bar > 0 {
        stroke(section.first_bar * plan.bar_ticks(), CRASH, 84.0 + level, notes);
    }
    for bar in section.first_bar..section.end_bar() {
        let start = bar * plan.bar_ticks();
        if plan.is_final(bar) {
            stroke(start, KICK, 96.0 + level, notes);
            stroke(start, CRASH, 80.0 + level, notes);
        } else if bar + 1 == section.end_bar() {
            let fill_steps = if rng.chance(0.5) { 8 } else { 4 };
            let from = plan.bar_steps() - fill_steps;
            pattern(plan, lines, start, from, level, notes);
            fill(plan, start + from * STEP, fill_steps, level, rng, notes);
        } else {
            pattern(plan, lines, start, plan.bar_steps(), level, notes);
        }
    }
}

/// The groove's first `steps` sixteenths of a bar.
fn pattern(plan: &Plan, lines: &[DrumLine], start: u32, steps: u32, level: f64, notes: &mut Vec<Note>) {
    let count = steps.min(plan.bar_steps()) as usize;
    for (key, strokes) in lines {
        for (step, mark) in strokes.chars().take(count).enumerate() {
            let velocity = match mark {
                'X' => 112.0,
                'x' => 94.0,
                'o' => 66.0,
                _ => continue,
            };
            stroke(start + step as u32 * STEP, *key, velocity + level, notes);
        }
    }
}

/// A run from the snare down the toms, growing.
fn fill(plan: &Plan, start: u32, steps: u32, level: f64, rng: &mut Rng, notes: &mut Vec<Note>) {
    const RUNS: [[u8; 4]; 4] =
        [[38, 48, 45, 41], [38, 38, 45, 43], [48, 47, 45, 43], [SNARE, SNARE, SNARE, SNARE]];
    let run = rng.pick(&RUNS).copied().unwrap_or(RUNS[0]);
    // Eighths where sixteenths would be a blur.
    let stride = if plan.tempo_bpm > 116 || rng.chance(0.4) { 2 } else { 1 };
    let strokes = steps / stride;
    for index in 0..strokes {
        let key = run[(index * 4 / strokes.max(1)).min(3) as usize];
        let growth = 20.0 * f64::from(index) / f64::from(strokes.max(1));
        stroke(start + index * stride * STEP, key, 84.0 + growth + level, notes);
    }
    stroke(start, KICK, 88.0 + level, notes);
}

fn stroke(start: u32, key: u8, velocity: f64, notes: &mut Vec<Note>) {
    notes.push(Note { start, length: STROKE_TICKS, key, velocity: velocity.clamp(20.0, 124.0) as u8 });
}

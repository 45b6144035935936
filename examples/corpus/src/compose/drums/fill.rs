//! Fills, by style.

use super::{Drummer, KICK, OPEN_HAT, SIDE_STICK, SNARE};
use crate::piece::{Note, STEP};
use crate::rng::Rng;
use crate::style::Fill;

/// A fill of `steps` sixteenths.
pub(super) fn write(drummer: &Drummer<'_>, start: u32, steps: u32, rng: &mut Rng, notes: &mut Vec<Note>) {
    let strokes: Vec<(u32, u8, f64)> = match drummer.plan.style.fill {
        Fill::None => return,
        Fill::Toms => toms(drummer, steps, rng),
        Fill::Roll => (0..steps).map(|step| (step, SNARE, 70.0 + 36.0 * share(step, steps))).collect(),
        Fill::Snare => ghosted(steps, rng),
        Fill::Jazz => loose(steps, rng),
        Fill::Timbale => timbale(steps, rng),
        Fill::Rim => vec![
            (0, SIDE_STICK, 84.0),
            (steps.saturating_sub(2), SIDE_STICK, 74.0),
            (steps / 2, OPEN_HAT, 70.0),
        ],
    };
    for (step, key, velocity) in strokes {
        drummer.stroke(start + step * STEP, key, velocity, notes);
    }
}

/// A snare roll over a bar: eighths, then sixteenths, growing; kick and hats are out.
pub(super) fn roll(drummer: &Drummer<'_>, start: u32, steps: u32, notes: &mut Vec<Note>) {
    for step in (0..steps).filter(|step| *step >= steps / 2 || step % 2 == 0) {
        drummer.stroke(start + step * STEP, SNARE, 56.0 + 52.0 * share(step, steps), notes);
    }
}

fn share(step: u32, steps: u32) -> f64 {
    f64::from(step) / f64::from(steps.max(1))
}

/// A run from the snare down the toms, growing.
fn toms(drummer: &Drummer<'_>, steps: u32, rng: &mut Rng) -> Vec<(u32, u8, f64)> {
    const RUNS: [[u8; 4]; 5] =
        [[38, 48, 45, 41], [38, 38, 45, 43], [48, 47, 45, 43], [38, 38, 38, 38], [50, 48, 45, 41]];
    let run = rng.pick(&RUNS).copied().unwrap_or(RUNS[0]);
    // Eighths where sixteenths would be a blur.
    let stride = if drummer.plan.tempo_bpm > 116 || rng.chance(0.4) { 2 } else { 1 };
    let mut strokes: Vec<(u32, u8, f64)> = (0..steps)
        .step_by(stride)
        .map(|step| (step, run[(step * 4 / steps.max(1)).min(3) as usize], 84.0 + 22.0 * share(step, steps)))
        .collect();
    strokes.push((0, KICK, 88.0));
    strokes
}

/// Snare accents with ghost notes between them.
fn ghosted(steps: u32, rng: &mut Rng) -> Vec<(u32, u8, f64)> {
    (0..steps)
        .filter_map(|step| match step % 3 {
            0 => Some((step, SNARE, 98.0)),
            _ if rng.chance(0.7) => Some((step, SNARE, 50.0)),
            _ => None,
        })
        .collect()
}

/// Loose eighths of snare, tom and kick.
fn loose(steps: u32, rng: &mut Rng) -> Vec<(u32, u8, f64)> {
    (0..steps)
        .step_by(2)
        .filter_map(|step| {
            let key = [SNARE, SNARE, 47, KICK][rng.int(0, 3)];
            rng.chance(0.8).then(|| (step, key, rng.uniform(58.0, 92.0)))
        })
        .collect()
}

/// High toms and rims against the beat.
fn timbale(steps: u32, rng: &mut Rng) -> Vec<(u32, u8, f64)> {
    (0..steps)
        .filter(|step| step % 3 == 0 || rng.chance(0.25))
        .map(|step| (step, [50, 48, SIDE_STICK][(step % 3) as usize], 80.0 + 18.0 * share(step, steps)))
        .collect()
}

//! A second voice: guide tones of the chords, with a passing note where there is time for one.

use super::chordal::ring_until;
use super::form::PlannedSection;
use super::harmony::Span;
use super::plan::Plan;
use super::voicing::is_parallel;
use crate::piece::{Note, STEP};
use crate::theory::scale_over;

/// The second voice of a player.
pub(crate) fn counter(plan: &Plan, player: usize) -> Vec<Note> {
    let program = plan.players[player].program;
    let centre = 64u8.clamp(program.low + 8, program.high - 8);
    let (low, high) = (program.low.max(centre - 9), program.high.min(centre + 10));
    let mut notes = Vec::new();
    for section in plan.sections_of(player) {
        let (from, to) = (section.first_bar * plan.bar_ticks(), section.end_bar() * plan.bar_ticks());
        let spans: Vec<&Span> = plan.harmony.between(from, to).collect();
        let mut before: Option<(u8, u8)> = None;
        let keys: Vec<u8> = spans
            .iter()
            .map(|span| {
                let key = guide(span, before, centre, (low, high));
                before = Some((key, span.bass));
                key
            })
            .collect();
        for (index, span) in spans.iter().enumerate() {
            write(plan, section, span, keys[index], keys.get(index + 1).copied(), &mut notes);
        }
    }
    notes
}

/// The chord tone nearest to the voice, not the root if it can be, and not parallel to the bass.
fn guide(span: &Span, before: Option<(u8, u8)>, centre: u8, (low, high): (u8, u8)) -> u8 {
    let cost = |key: &u8| {
        let (last, last_bass) = before.unwrap_or((centre, span.bass));
        let parallel = is_parallel((last_bass, span.bass), (last, *key));
        let root = key % 12 == span.chord.root;
        2 * u32::from(key.abs_diff(last))
            + u32::from(key.abs_diff(centre)) / 2
            + if parallel { 9 } else { 0 }
            + if root { 5 } else { 0 }
    };
    (low..=high).filter(|key| span.chord.contains(*key)).min_by_key(cost).unwrap_or(centre)
}

/// A long note, and a passing note before a third upward or downward.
fn write(
    plan: &Plan,
    section: &PlannedSection,
    span: &Span,
    key: u8,
    next: Option<u8>,
    notes: &mut Vec<Note>,
) {
    let last = span.end == plan.bars() * plan.bar_ticks();
    let end = if last { ring_until(plan) } else { span.end };
    let beat = plan.metre.beat_ticks();
    let passing = next.and_then(|next| passing_key(span, key, next)).filter(|_| end - span.start >= 2 * beat);
    let velocity = |tick| (plan.velocity(section, tick) - 7.0) as u8;
    let turn = if passing.is_some() { end - beat } else { end };
    let sounding = |ticks: u32| (ticks * 19 / 20).max(STEP / 2);
    notes.push(Note {
        start: span.start,
        length: sounding(turn - span.start),
        key,
        velocity: velocity(span.start),
    });
    if let Some(key) = passing {
        notes.push(Note { start: turn, length: sounding(beat), key, velocity: velocity(turn) });
    }
}

/// The scale tone between two keys a third apart.
fn passing_key(span: &Span, from: u8, to: u8) -> Option<u8> {
    let scale = scale_over(span.key, &span.chord);
    let is_third = (3..=4).contains(&from.abs_diff(to));
    (from.min(to) + 1..from.max(to)).find(|key| is_third && scale.contains(&(key % 12)))
}

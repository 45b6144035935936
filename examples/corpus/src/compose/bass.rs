//! Bass lines.

use super::chordal::ring_until;
use super::plan::{Plan, PlannedSection};
use crate::piece::{Label, Note, STEP, TICKS_PER_BEAT};
use crate::rng::Rng;
use crate::style::{BassLine, WALTZ_BASSES};
use crate::theory::Chord;

/// The root register starts at G1: lower roots are hard to hear, and to code, in a small model.
const LOWEST_ROOT: u8 = 31;

/// The bass part.
pub(crate) fn line(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let list = if plan.beats_per_bar == 3 { WALTZ_BASSES } else { plan.style.basses };
    let main = rng.pick(list).copied().unwrap_or(BassLine::Pattern("r-------r-------"));
    let calm = BassLine::Pattern("r---------------");
    let mut notes = Vec::new();
    for section in plan.sections_of(player) {
        let figure = if section.label == Label::Outro { calm } else { main };
        for bar in section.first_bar..section.end_bar() {
            let writer = Writer { plan, section, start: bar * plan.bar_ticks() };
            match figure {
                _ if plan.is_final(bar) => writer.last(&mut notes),
                BassLine::Pattern(pattern) => writer.pattern(pattern, &mut notes),
                BassLine::Walking => writer.walk(rng, &mut notes),
            }
        }
    }
    notes
}

struct Writer<'a> {
    plan: &'a Plan,
    section: &'a PlannedSection,
    start: u32,
}

impl Writer<'_> {
    fn push(&self, start: u32, length: u32, key: u8, notes: &mut Vec<Note>) {
        let accent = if start == self.start { 4.0 } else { -2.0 };
        let velocity = (Plan::velocity(self.section.energy) + accent) as u8;
        notes.push(Note { start, length: length.max(1), key, velocity });
    }

    fn last(&self, notes: &mut Vec<Note>) {
        let root = root_key(&self.plan.harmony.at(self.start).chord);
        self.push(self.start, ring_until(self.plan) - self.start, root, notes);
    }

    fn pattern(&self, pattern: &str, notes: &mut Vec<Note>) {
        let steps: Vec<char> = pattern.chars().take(self.plan.bar_steps() as usize).collect();
        for (step, mark) in steps.iter().enumerate() {
            let tick = self.start + step as u32 * STEP;
            let span = self.plan.harmony.at(tick);
            // A long hold across a change of chord strikes the new root.
            let changes = span.start == tick && step > 0 && *mark == '-';
            let Some(key) = self.key_for(if changes { 'r' } else { *mark }, tick) else {
                continue;
            };
            let held = 1 + steps[step + 1..].iter().take_while(|next| **next == '-').count() as u32;
            let end = (tick + held * STEP).min(span.end);
            self.push(tick, (end - tick) * 19 / 20, key, notes);
        }
    }

    fn key_for(&self, mark: char, tick: u32) -> Option<u8> {
        let chord = &self.plan.harmony.at(tick).chord;
        let root = root_key(chord);
        match mark {
            'r' => Some(root),
            't' => Some(root + chord.third()),
            'f' => Some(fifth(chord, root)),
            'o' => Some(root + 12),
            'a' => Some(self.approach(tick)),
            _ => None,
        }
    }

    /// A neighbour of the next root, of the scale if it can be.
    fn approach(&self, tick: u32) -> u8 {
        let target = root_key(&self.plan.harmony.after(tick).chord);
        let scale = self.plan.key.scale();
        let in_scale = |key: &u8| scale.contains(&(key % 12));
        [target - 1, target + 2, target - 2, target + 1].into_iter().find(in_scale).unwrap_or(target - 1)
    }

    fn walk(&self, rng: &mut Rng, notes: &mut Vec<Note>) {
        for beat in 0..self.plan.beats_per_bar {
            let tick = self.start + beat * TICKS_PER_BEAT;
            let span = self.plan.harmony.at(tick);
            let root = root_key(&span.chord);
            let key = if span.start == tick || beat == 0 {
                root
            } else if span.end == tick + TICKS_PER_BEAT {
                self.approach(tick)
            } else {
                let choices = [root + span.chord.third(), fifth(&span.chord, root), root + 12];
                rng.pick(&choices).copied().unwrap_or(root)
            };
            self.push(tick, TICKS_PER_BEAT * 9 / 10, key, notes);
        }
    }
}

fn root_key(chord: &Chord) -> u8 {
    LOWEST_ROOT + (chord.root + 12 - LOWEST_ROOT % 12) % 12
}

/// The chord's fifth, below the root when it would climb too high.
fn fifth(chord: &Chord, root: u8) -> u8 {
    let interval = chord.intervals.iter().copied().find(|i| (6..=8).contains(i)).unwrap_or(7);
    if root + interval > 45 { root + interval - 12 } else { root + interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_lie_in_one_octave_from_g1() {
        for tonic in 0..12 {
            let chord = Chord::parse("I", tonic).unwrap();
            let key = root_key(&chord);
            assert_eq!(key % 12, tonic);
            assert!((31..43).contains(&key));
            assert!((28..=45).contains(&fifth(&chord, key)));
        }
    }
}

//! Bass lines.

use super::chordal::ring_until;
use super::form::PlannedSection;
use super::harmony::Span;
use super::plan::Plan;
use crate::piece::{Label, Note, STEP};
use crate::rng::Rng;
use crate::style::BassLine;
use crate::theory::{Chord, scale_over};

/// The lowest and highest note of a walking bass.
const LOW: u8 = 28;
const HIGH: u8 = 52;

/// The bass part.
pub(crate) fn line(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let list = plan.style.basses(plan.metre);
    let mut draw = || rng.pick(list).copied().unwrap_or(BassLine::Walking);
    let (main, second) = (draw(), draw());
    let calm = BassLine::Pattern("r---------------");
    let mut notes = Vec::new();
    for section in plan.sections_of(player) {
        let figure = match section.label {
            Label::Outro if main != BassLine::Walking => calm,
            Label::Chorus | Label::Bridge => second,
            _ => main,
        };
        for bar in section.first_bar..section.end_bar() {
            let writer = Writer { plan, section, start: bar * plan.bar_ticks() };
            match figure {
                _ if plan.is_final(bar) => writer.last(&mut notes),
                BassLine::Pattern(pattern) => writer.pattern(pattern, &mut notes),
                BassLine::Walking => writer.walk(rng, &mut notes),
            }
            if bar + 1 == section.end_bar() && !plan.is_final(bar) && figure != calm {
                writer.lead_out(&mut notes);
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
        let velocity = (self.plan.velocity(self.section, start) + accent) as u8;
        notes.push(Note { start, length: length.max(1), key, velocity });
    }

    fn last(&self, notes: &mut Vec<Note>) {
        let root = self.plan.harmony.at(self.start).bass;
        self.push(self.start, ring_until(self.plan) - self.start, root, notes);
    }

    fn pattern(&self, pattern: &str, notes: &mut Vec<Note>) {
        let steps: Vec<char> = pattern.chars().take(self.plan.bar_steps() as usize).collect();
        let carried = steps.iter().take_while(|mark| **mark == '-').count();
        self.carry(carried as u32, notes);
        let mut last = 'r';
        for (step, mark) in steps.iter().enumerate() {
            let tick = self.start + step as u32 * STEP;
            let span = self.plan.harmony.at(tick);
            // A long hold across a change of chord strikes the new bass, but for one that came ahead of it.
            let changes = span.start == tick && step >= carried.max(1) && *mark == '-' && last != 'n';
            let mark = if changes { 'r' } else { *mark };
            let Some(key) = self.key_for(mark, tick) else {
                continue;
            };
            last = mark;
            let held = 1 + steps[step + 1..].iter().take_while(|next| **next == '-').count() as u32;
            let end = tick + held * STEP;
            let end = if mark == 'n' { end } else { end.min(span.end) };
            self.push(tick, (end - tick) * 19 / 20, key, notes);
        }
    }

    /// Holds the note before into this bar, or begins the bar where there is none.
    fn carry(&self, steps: u32, notes: &mut Vec<Note>) {
        if steps == 0 {
            return;
        }
        let end = self.start + steps * STEP;
        let bass = self.plan.harmony.at(self.start).bass;
        match notes.last_mut().filter(|note| note.end() + STEP >= self.start && note.key % 12 == bass % 12) {
            Some(note) => note.length = end - STEP / 4 - note.start,
            None => self.push(self.start, steps * STEP * 19 / 20, bass, notes),
        }
    }

    fn key_for(&self, mark: char, tick: u32) -> Option<u8> {
        let span = self.plan.harmony.at(tick);
        let root = span.bass;
        match mark {
            'r' => Some(root),
            't' => Some(member(span, 1)),
            'f' => Some(member(span, 2)),
            '6' => Some(root + 9),
            '7' => Some(root + 10),
            'o' => Some(root + 12),
            'a' => Some(self.approach(tick)),
            'n' => Some(self.plan.harmony.after(tick).bass),
            _ => None,
        }
    }

    /// A neighbour of the next bass note, of the scale if it can be.
    fn approach(&self, tick: u32) -> u8 {
        let next = self.plan.harmony.after(tick);
        let scale = scale_over(next.key, &next.chord);
        let in_scale = |key: &u8| scale.contains(&(key % 12));
        let target = next.bass;
        [target - 1, target - 2, target + 2, target + 1].into_iter().find(in_scale).unwrap_or(target - 1)
    }

    /// One note a beat: the chord's bass, then by steps and chord tones towards the next, reached from a neighbour.
    fn walk(&self, rng: &mut Rng, notes: &mut Vec<Note>) {
        let beat = self.plan.metre.beat_ticks();
        for tick in (self.start..self.start + self.plan.bar_ticks()).step_by(beat as usize) {
            let span = self.plan.harmony.at(tick);
            let last = notes.last().map_or(span.bass, |note| note.key);
            let key = if span.start == tick {
                octave_near(span.bass, last)
            } else if span.end <= tick + beat {
                leading(octave_near(self.plan.harmony.after(tick).bass, last), last, rng)
            } else {
                between(span, last, rng)
            };
            self.push(tick, beat * 9 / 10, key.clamp(LOW, HIGH), notes);
        }
    }

    /// The last beat before a new section runs by eighths into its first bass note.
    fn lead_out(&self, notes: &mut Vec<Note>) {
        let bar_end = self.start + self.plan.bar_ticks();
        let half = 2 * STEP;
        let target = self.plan.harmony.at(bar_end).bass;
        let from = bar_end - 2 * half;
        // Only where a plain long note would fill the beat.
        let Some(last) = notes.last_mut().filter(|note| note.start < from && note.end() > from + STEP) else {
            return;
        };
        let upward = last.key <= target;
        last.length = from - STEP / 4 - last.start.min(from - STEP / 2);
        let span = self.plan.harmony.at(from);
        let scale = scale_over(span.key, &span.chord);
        let ladder: Vec<u8> = if upward {
            (target.saturating_sub(5)..target)
                .rev()
                .filter(|key| scale.contains(&(key % 12)))
                .take(2)
                .collect()
        } else {
            (target + 1..target + 6).filter(|key| scale.contains(&(key % 12))).take(2).collect()
        };
        for (index, key) in ladder.iter().rev().enumerate() {
            self.push(from + index as u32 * half, half * 19 / 20, *key, notes);
        }
    }
}

/// A chord tone at or above the bass note, below it when it would climb too high.
fn member(span: &Span, index: usize) -> u8 {
    let tones = span.chord.pitch_classes();
    let wanted =
        if index == 2 { fifth(&span.chord) } else { tones.get(index).copied().unwrap_or(span.chord.root) };
    let up = (wanted + 12 - span.bass % 12) % 12;
    if span.bass + up > 47 { span.bass + up - 12 } else { span.bass + up }
}

fn fifth(chord: &Chord) -> u8 {
    let interval = chord.intervals.iter().copied().find(|i| (6..=8).contains(i)).unwrap_or(7);
    (chord.root + interval) % 12
}

/// The octave of a bass note nearest to where the line is.
fn octave_near(bass: u8, last: u8) -> u8 {
    [bass, bass.saturating_sub(12), bass + 12]
        .into_iter()
        .filter(|key| (LOW..=HIGH - 4).contains(key))
        .min_by_key(|key| key.abs_diff(last))
        .unwrap_or(bass)
}

/// A half or whole step from the target, on the side the line comes from.
fn leading(target: u8, last: u8, rng: &mut Rng) -> u8 {
    let step = if rng.chance(0.6) { 1 } else { 2 };
    let from_above = if last == target { rng.chance(0.5) } else { last > target };
    if from_above { target + step } else { target - step }
}

/// Another chord tone or scale step near the line.
fn between(span: &Span, last: u8, rng: &mut Rng) -> u8 {
    let scale = scale_over(span.key, &span.chord);
    let near = |key: &u8| *key != last && key.abs_diff(last) <= 5;
    let chord: Vec<u8> = (LOW..=HIGH - 4).filter(near).filter(|key| span.chord.contains(*key)).collect();
    let steps: Vec<u8> = (LOW..=HIGH - 4)
        .filter(near)
        .filter(|key| key.abs_diff(last) <= 2 && scale.contains(&(key % 12)))
        .collect();
    let list = if steps.is_empty() || rng.chance(0.6) { &chord } else { &steps };
    rng.pick(list).copied().unwrap_or(span.bass)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::{Key, Mode};

    fn span(symbol: &str, bass: u8) -> Span {
        let key = Key { tonic: 0, mode: Mode::Major };
        Span { start: 0, end: 3840, chord: Chord::parse(symbol, 0).unwrap(), key, bass }
    }

    #[test]
    fn members_lie_near_the_bass() {
        assert_eq!(member(&span("I", 36), 2), 43);
        assert_eq!(member(&span("I", 36), 1), 40);
        assert_eq!(member(&span("V", 43), 2), 38);
        assert_eq!(member(&span("V/3", 35), 2), 38);
    }

    #[test]
    fn a_walking_note_is_led_to_by_a_neighbour() {
        let rng = &mut Rng::for_piece(1, 1, crate::rng::Purpose::Music);
        for _ in 0..50 {
            assert!((1..=2).contains(&leading(40, 45, rng).abs_diff(40)));
            let next = between(&span("ii7", 38), 41, rng);
            assert!(next != 41 && next.abs_diff(41) <= 5);
        }
    }
}

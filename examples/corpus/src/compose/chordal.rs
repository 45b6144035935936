//! Chordal parts: comping figures, pads, arpeggios, and the accompaniment of a solo.

use super::harmony::{Register, Span, voice};
use super::plan::{Plan, PlannedSection};
use crate::family::Family;
use crate::piece::{Label, Note, Role, STEP};
use crate::rng::Rng;
use crate::style::{Comp, WALTZ_COMPS};

/// Share of a long note that sounds, the rest being the gap before the next.
const HELD: f64 = 0.97;
/// Length of a short stroke.
const SHORT_TICKS: u32 = STEP + STEP / 4;
/// Delay from one string to the next in a strum.
const STRUM_SECS: f64 = 0.012;

/// The part of a player in a chordal role, or the accompaniment of a soloist.
pub(crate) fn chords(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let setting = Setting::new(plan, player, rng);
    let mut notes = Vec::new();
    let mut voicing = Vec::new();
    for section in plan.sections_of(player) {
        let writer = Writer { plan, section, setting: &setting };
        for bar in section.first_bar..section.end_bar() {
            writer.bar(bar, &mut voicing, &mut notes);
        }
    }
    notes
}

/// What stays the same through the piece.
struct Setting {
    role: Role,
    register: Register,
    voices: usize,
    quiet: Comp,
    loud: Comp,
}

impl Setting {
    fn new(plan: &Plan, player: usize, rng: &mut Rng) -> Self {
        let who = &plan.players[player];
        let (quiet, loud) = figures(plan, who.role, who.family, rng);
        Self {
            role: who.role,
            register: register(who.role, who.family, who.program.low, who.program.high),
            voices: if rng.chance(0.25) { 4 } else { 3 },
            quiet,
            loud,
        }
    }

    fn figure(&self, section: &PlannedSection) -> Comp {
        match section.label {
            Label::Chorus => self.loud,
            Label::Outro => Comp::Hold,
            Label::Bridge if self.role == Role::Solo => Comp::Arpeggio(2),
            _ => self.quiet,
        }
    }
}

/// Two figures: for verses and for choruses.
fn figures(plan: &Plan, role: Role, family: Family, rng: &mut Rng) -> (Comp, Comp) {
    let sustains = matches!(family, Family::Pad | Family::Strings | Family::Choir | Family::Brass);
    if role == Role::Pad || (sustains && role != Role::Arpeggio) {
        return (Comp::Hold, Comp::Hold);
    }
    if role == Role::Arpeggio {
        // Sixteenths only where they leave a tenth of a second each, half notes never.
        let quick = if plan.tempo_bpm <= 96 { 1 + rng.int(0, 1) as u32 } else { 2 };
        return (Comp::Arpeggio(2), Comp::Arpeggio(quick));
    }
    let list = if plan.beats_per_bar == 3 { WALTZ_COMPS } else { plan.style.comps };
    let mut draw = || rng.pick(list).copied().unwrap_or(Comp::Hold);
    (draw(), draw())
}

fn register(role: Role, family: Family, low: u8, high: u8) -> Register {
    let wanted: u8 = match (role, family) {
        (_, Family::Mallets) => 69,
        (Role::Solo, Family::Guitar) => 53,
        (Role::Solo, _) => 51,
        (Role::Arpeggio, _) => 67,
        (Role::Pad, _) => 62,
        _ => 58,
    };
    // A close four-note chord needs almost an octave; two let the voices move.
    let centre = wanted.clamp(low + 9, high.saturating_sub(9).max(low + 9));
    Register { low: low.max(centre - 12), high: high.min(centre + 14), centre }
}

struct Writer<'a> {
    plan: &'a Plan,
    section: &'a PlannedSection,
    setting: &'a Setting,
}

impl Writer<'_> {
    fn bar(&self, bar: u32, voicing: &mut Vec<u8>, notes: &mut Vec<Note>) {
        let start = bar * self.plan.bar_ticks();
        let end = start + self.plan.bar_ticks();
        let figure = if self.plan.is_final(bar) { Comp::Hold } else { self.setting.figure(self.section) };
        for span in self.plan.harmony.between(start, end) {
            *voicing = voice(&span.chord, voicing, self.setting.register, self.setting.voices);
            let (from, to) = (span.start.max(start), span.end.min(end));
            match figure {
                Comp::Hold => self.strike(voicing, from, self.held_until(bar, span, to), 0, notes),
                Comp::Hits(pattern) => self.hits(pattern, voicing, (start, from, to), 0, notes),
                Comp::Strum(pattern) => {
                    self.hits(pattern, voicing, (start, from, to), self.strum_ticks(), notes)
                }
                Comp::Arpeggio(steps) => self.broken(&up_and_down(voicing), steps, from, to, notes),
                Comp::Alberti => self.broken(&pattern_of(voicing, &[0, 2, 1, 2]), 2, from, to, notes),
                Comp::Pick => {
                    self.broken(&pattern_of(voicing, &[0, 2, 1, 2, 0, 2, 1, 2]), 2, from, to, notes)
                }
            }
        }
    }

    /// The final chord rings on after the last bar line.
    fn held_until(&self, bar: u32, span: &Span, to: u32) -> u32 {
        if self.plan.is_final(bar) { ring_until(self.plan) } else { span.end.min(to) }
    }

    fn strum_ticks(&self) -> u32 {
        (STRUM_SECS / self.plan.beat_secs() * f64::from(4 * STEP)) as u32
    }

    fn velocity(&self, tick: u32) -> u8 {
        let accent = if tick.is_multiple_of(4 * STEP) { 3.0 } else { -3.0 };
        (Plan::velocity(self.section.energy) - 6.0 + accent) as u8
    }

    fn strike(&self, voicing: &[u8], from: u32, to: u32, roll: u32, notes: &mut Vec<Note>) {
        let length = (f64::from(to.saturating_sub(from)) * HELD) as u32;
        for (rank, key) in voicing.iter().enumerate() {
            let delay = (roll * rank as u32).min(length / 2);
            let velocity = self.velocity(from);
            notes.push(Note { start: from + delay, length: (length - delay).max(1), key: *key, velocity });
        }
    }

    fn hits(
        &self,
        pattern: &str,
        voicing: &[u8],
        (bar_start, from, to): (u32, u32, u32),
        roll: u32,
        notes: &mut Vec<Note>,
    ) {
        let steps: Vec<char> = pattern.chars().take(self.plan.bar_steps() as usize).collect();
        let tick_of = |step: usize| bar_start + step as u32 * STEP;
        for (step, mark) in steps.iter().enumerate().filter(|(_, mark)| **mark != '.') {
            let tick = tick_of(step);
            if tick < from || tick >= to {
                continue;
            }
            let next = (step + 1..steps.len()).find(|later| steps[*later] != '.').map_or(to, tick_of);
            let end = if *mark == 's' { tick + SHORT_TICKS } else { next.min(to) };
            self.strike(voicing, tick, end, roll, notes);
        }
    }

    fn broken(&self, order: &[u8], steps: u32, from: u32, to: u32, notes: &mut Vec<Note>) {
        let stride = steps * STEP;
        for (tick, key) in (from..to).step_by(stride as usize).zip(order.iter().cycle()) {
            let length = stride.min(to - tick) * 19 / 20;
            notes.push(Note { start: tick, length, key: *key, velocity: self.velocity(tick) });
        }
    }
}

/// The tick until which final notes are held: half of the ringing out is left to their release.
pub(crate) fn ring_until(plan: &Plan) -> u32 {
    let bars_end = plan.bars() * plan.bar_ticks();
    bars_end + (plan.end() - bars_end) / 2
}

fn up_and_down(voicing: &[u8]) -> Vec<u8> {
    let mut order = voicing.to_vec();
    order.extend(voicing.iter().rev().skip(1).take(voicing.len().saturating_sub(2)));
    order
}

fn pattern_of(voicing: &[u8], ranks: &[usize]) -> Vec<u8> {
    let top = voicing.len().saturating_sub(1);
    ranks.iter().filter_map(|rank| voicing.get((*rank).min(top))).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arpeggio_turns_without_repeating_its_ends() {
        assert_eq!(up_and_down(&[60, 64, 67]), [60, 64, 67, 64]);
        assert_eq!(up_and_down(&[60, 64, 67, 70]), [60, 64, 67, 70, 67, 64]);
        assert_eq!(pattern_of(&[60, 64, 67], &[0, 2, 1, 2]), [60, 67, 64, 67]);
    }
}

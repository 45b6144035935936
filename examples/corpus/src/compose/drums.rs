//! Drum grooves, their variations, build-ups and breaks, and the last stroke.

mod fill;

use super::form::PlannedSection;
use super::plan::Plan;
use crate::piece::{Label, Note, STEP};
use crate::rng::Rng;
use crate::style::{DrumLine, Fill, Groove};

const KICK: u8 = 36;
const SNARE: u8 = 38;
const SIDE_STICK: u8 = 37;
const CLAP: u8 = 39;
const CLOSED_HAT: u8 = 42;
const OPEN_HAT: u8 = 46;
const RIDE: u8 = 51;
const CRASH: u8 = 49;
/// Length of every stroke; a drum sounds as long as its sample.
const STROKE_TICKS: u32 = STEP / 2;

/// The drum part.
pub(crate) fn groove(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let mut notes = Vec::new();
    let Some(groove) = rng.pick(plan.style.grooves(plan.metre)) else {
        return notes;
    };
    // How the last bar before a chorus is played, the same each time.
    let lead_in = [LeadIn::Fill, LeadIn::Build, LeadIn::Break][rng.weighted(&lead_in_weights(plan))];
    for section in plan.sections_of(player) {
        Drummer { plan, section, groove, lead_in }.section(rng, &mut notes);
    }
    notes
}

/// How drums lead into a chorus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeadIn {
    Fill,
    /// A roll through one or two bars.
    Build,
    /// Silence before the chorus comes in.
    Break,
}

fn lead_in_weights(plan: &Plan) -> [f64; 3] {
    match plan.style.fill {
        Fill::Roll => [0.15, 0.65, 0.2],
        Fill::Toms | Fill::Snare => [0.75, 0.1, 0.15],
        Fill::Timbale => [0.75, 0.0, 0.25],
        Fill::Jazz | Fill::Rim | Fill::None => [1.0, 0.0, 0.0],
    }
}

struct Drummer<'a> {
    plan: &'a Plan,
    section: &'a PlannedSection,
    groove: &'a Groove,
    lead_in: LeadIn,
}

impl Drummer<'_> {
    fn section(&self, rng: &mut Rng, notes: &mut Vec<Note>) {
        let section = self.section;
        let lines = self.lines();
        if section.label == Label::Chorus && section.first_bar > 0 {
            self.stroke(section.first_bar * self.plan.bar_ticks(), CRASH, 88.0, notes);
        }
        for bar in section.first_bar..section.end_bar() {
            let start = bar * self.plan.bar_ticks();
            let last = bar + 1 == section.end_bar();
            if self.plan.is_final(bar) {
                self.stroke(start, KICK, 96.0, notes);
                if self.plan.style.fill != Fill::None {
                    self.stroke(start, CRASH, 80.0, notes);
                }
            } else if last {
                self.last_bar(&lines, start, rng, notes);
            } else {
                self.pattern(&lines, start, self.plan.bar_steps(), notes);
                if (bar - section.first_bar) % 4 == 3 {
                    self.turn(start, notes);
                }
            }
        }
    }

    /// The groove of the section: full in choruses, time only in intros and outros, without the snare in some bridges.
    fn lines(&self) -> Vec<DrumLine> {
        let (light, full) = (self.groove.light, self.groove.full);
        let is_time = |line: &&DrumLine| !matches!(line.0, SNARE | CLAP | SIDE_STICK);
        match self.section.label {
            Label::Chorus => full.to_vec(),
            Label::Verse if self.section.turn > 0 && self.section.energy > 0.55 => full.to_vec(),
            Label::Verse => light.to_vec(),
            Label::Intro | Label::Outro => light.iter().filter(is_time).copied().collect(),
            Label::Bridge => {
                // The chorus's time on the ride cymbal, with the backbeat left out.
                let ride = |line: &DrumLine| if line.0 == CLOSED_HAT { (RIDE, line.1) } else { *line };
                full.iter().filter(is_time).map(ride).collect()
            }
        }
    }

    /// The last bar of a section: a fill, and into a louder chorus a build-up or a break.
    fn last_bar(&self, lines: &[DrumLine], start: u32, rng: &mut Rng, notes: &mut Vec<Note>) {
        let steps = self.plan.bar_steps();
        match self.lead_in {
            LeadIn::Build if self.plan.builds(self.section) => fill::roll(self, start, steps, notes),
            LeadIn::Break if self.plan.builds(self.section) => {
                self.pattern(lines, start, steps / 2, notes);
                self.stroke(start + steps / 2 * STEP, KICK, 104.0, notes);
            }
            _ => {
                let length = if rng.chance(0.5) { steps / 2 } else { steps / 4 };
                self.pattern(lines, start, steps - length, notes);
                fill::write(self, start + (steps - length) * STEP, length, rng, notes);
            }
        }
    }

    /// At the end of a phrase inside a section: an open hi-hat, and a kick before the bar line.
    fn turn(&self, start: u32, notes: &mut Vec<Note>) {
        if matches!(self.section.label, Label::Intro | Label::Outro) || self.plan.style.fill == Fill::None {
            return;
        }
        let last = start + (self.plan.bar_steps() - 2) * STEP;
        notes.retain(|note| note.start < last || !matches!(note.key, CLOSED_HAT | OPEN_HAT));
        self.stroke(last, OPEN_HAT, 88.0, notes);
        self.stroke(last, KICK, 84.0, notes);
    }

    /// The groove's first `steps` sixteenths of a bar.
    fn pattern(&self, lines: &[DrumLine], start: u32, steps: u32, notes: &mut Vec<Note>) {
        let count = steps.min(self.plan.bar_steps()) as usize;
        for (key, strokes) in lines {
            for (step, mark) in strokes.chars().take(count).enumerate() {
                let velocity = match mark {
                    'X' => 112.0,
                    'x' => 94.0,
                    'o' => 68.0,
                    'g' => 44.0,
                    _ => continue,
                };
                self.stroke(start + step as u32 * STEP, *key, velocity, notes);
            }
        }
    }

    /// A stroke at the section's level.
    fn stroke(&self, start: u32, key: u8, velocity: f64, notes: &mut Vec<Note>) {
        let level = (self.plan.velocity(self.section, start) - 98.0) * 0.7;
        let velocity = (velocity + level).clamp(22.0, 124.0) as u8;
        notes.push(Note { start, length: STROKE_TICKS, key, velocity });
    }
}

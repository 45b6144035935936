//! Tunes: phrases of a motif that repeats and develops, with a contour, a climax, closes and rests.

mod line;
mod rhythm;
mod theme;
mod vary;

use super::chordal::ring_until;
use super::form::PlannedSection;
use super::plan::Plan;
use crate::family::{Family, Program};
use crate::piece::{Label, Note, Role, STEP};
use crate::rng::Rng;
use crate::style::{Idiom, Style};
use crate::theory::{Chord, Key, Mode, scale_over};
use line::{Aim, Slot, Window};
use rhythm::{Beat, Pace};
use theme::{Theme, Unit};

/// Bars of a unit: a phrase is a head and a tail.
const UNIT: u32 = 2;

/// Where a note of a tune stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    tick: u32,
    /// Sixteenths from the bar line, and its length in them.
    step: u32,
    length: u32,
    aim: Aim,
    /// Semitones from the note before, as a wish.
    motion: f64,
}

/// The tune of a player: the same theme whenever a kind of section comes back.
pub(crate) fn tune(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let who = &plan.players[player];
    let density = busyness(plan.style, who.family);
    let mut themes: Vec<Theme> = Vec::new();
    let mut notes = Vec::new();
    for section in plan.sections_of(player) {
        // A soloist that can accompany itself opens and closes with chords alone.
        let rests = who.role == Role::Solo
            && who.program.poly
            && matches!(section.label, Label::Intro | Label::Outro);
        if rests {
            continue;
        }
        let index = themes.iter().position(|theme| theme.label == section.label).unwrap_or_else(|| {
            themes.push(Theme::draw(section.label, pace(plan, section, density), rng));
            themes.len() - 1
        });
        let window = window(who.program, section);
        Singer { plan, section, window, density, last: None }.sing(&mut themes[index], &mut notes, rng);
    }
    notes
}

/// Slow families sing slower.
fn busyness(style: &Style, family: Family) -> f64 {
    match family {
        Family::Pad | Family::Choir => style.density * 0.45,
        Family::Organ | Family::Strings => style.density * 0.85,
        _ => style.density,
    }
}

fn pace(plan: &Plan, section: &PlannedSection, density: f64) -> Pace {
    Pace {
        metre: plan.metre,
        quarter_secs: plan.quarter_secs(),
        density: density * (0.8 + 0.4 * section.energy),
        syncopation: plan.style.syncopation,
    }
}

/// The keys a tune moves in: choruses lie higher, and have the piece's highest note.
fn window(program: &Program, section: &PlannedSection) -> Window {
    let lift = if section.label == Label::Chorus { 3 } else { 0 };
    let centre = (72 + lift).clamp(program.low + 9, program.high - 9);
    let high = program.high.min(centre + 11);
    Window { low: program.low.max(centre - 9), high, ceiling: high - 3 }
}

struct Singer<'a> {
    plan: &'a Plan,
    section: &'a PlannedSection,
    window: Window,
    density: f64,
    last: Option<u8>,
}

impl Singer<'_> {
    fn sing(&mut self, theme: &mut Theme, notes: &mut Vec<Note>, rng: &mut Rng) {
        let mut bar = self.section.first_bar;
        while bar < self.section.end_bar() {
            let end = (bar + UNIT).min(self.section.end_bar());
            let mut unit = self.unit(theme, bar, end, rng);
            let start = bar * self.plan.bar_ticks();
            // What comes back is varied: the second verse moves more.
            if self.section.turn > 0 && self.section.label == Label::Verse {
                unit.notes = vary::with_passing_notes(&unit.notes, |tick| {
                    let span = self.plan.harmony.at(start + tick);
                    melody_tones(self.plan.style, span.key, &span.chord)
                });
            }
            let up = i16::from(self.section.key.tonic) - i16::from(unit.key.tonic);
            // The nearer way: a raised chorus is a little higher, not most of an octave lower.
            let up = if up < -6 {
                up + 12
            } else if up > 6 {
                up - 12
            } else {
                up
            };
            for note in &unit.notes {
                let key = i16::from(note.key) + up;
                let key = if key > i16::from(self.window.high) + 2 { key - 12 } else { key } as u8;
                let start = start + note.start;
                notes.push(Note { start, key, velocity: self.velocity(start, note.velocity), ..*note });
                self.last = Some(key);
            }
            bar = end;
        }
        if self.plan.is_final(self.section.end_bar() - 1) {
            self.last_note(notes);
        }
    }

    /// Two bars: those written before over the same chords, or new ones.
    fn unit(&self, theme: &mut Theme, bar: u32, end: u32, rng: &mut Rng) -> Unit {
        let place = bar - self.section.first_bar;
        let is_tail = place % 4 >= UNIT || end == self.section.end_bar();
        let aim = match (is_tail, end == self.section.end_bar(), place / 4 % 2) {
            (false, _, _) => Aim::Free,
            (true, false, 0) => Aim::Open,
            _ if self.section.label == Label::Bridge => Aim::Open,
            _ => Aim::Closed,
        };
        let chords = self.relative_chords(bar, end);
        let same = |unit: &&Unit| unit.is_tail == is_tail && unit.aim == aim && unit.chords == chords;
        if let Some(known) = theme.units.iter().find(same) {
            return known.clone();
        }
        let notes = self.write(theme, bar, end, aim, rng);
        let unit = Unit { is_tail, aim, chords, key: self.section.key, notes };
        theme.units.push(unit.clone());
        unit
    }

    /// The chords of some bars as seen from the key, and when they begin.
    fn relative_chords(&self, bar: u32, end: u32) -> Vec<(u32, Chord)> {
        let (from, to) = (bar * self.plan.bar_ticks(), end * self.plan.bar_ticks());
        let down = |tone: u8| (tone + 12 - self.section.key.tonic) % 12;
        self.plan
            .harmony
            .between(from, to)
            .map(|span| {
                let chord =
                    Chord { root: down(span.chord.root), bass: down(span.chord.bass), ..span.chord.clone() };
                (span.start.saturating_sub(from), chord)
            })
            .collect()
    }

    fn write(&self, theme: &Theme, bar: u32, end: u32, aim: Aim, rng: &mut Rng) -> Vec<Note> {
        let pace = pace(self.plan, self.section, self.density);
        let mut notes: Vec<Note> = Vec::new();
        let mut slots: Vec<Slot> = Vec::new();
        for at in bar..end {
            let figure = &theme.figures[theme.order[(at - self.section.first_bar) as usize % 4]];
            let closes = aim != Aim::Free && at + 1 == end;
            let mut beats = if closes { pace.close(&figure.rhythm) } else { figure.rhythm.clone() };
            let landing = beats.len() - 1;
            if closes && theme.pickup && end < self.section.end_bar() {
                beats.extend(self.pickup());
            }
            for (index, (step, length)) in beats.into_iter().enumerate() {
                let tick = at * self.plan.bar_ticks() + step * STEP;
                let motion = figure.motions.get(index).copied().unwrap_or(0.0);
                let own = if closes && index == landing { aim } else { Aim::Free };
                slots.push(self.slot(theme, Place { tick, step, length, aim: own, motion }, rng));
                let start = tick - bar * self.plan.bar_ticks();
                notes.push(Note {
                    start,
                    length: self.sounding(length),
                    key: 0,
                    velocity: accent(self.plan, step),
                });
            }
        }
        self.crown(bar, end, &notes, &mut slots);
        let keys = line::find(&slots, self.window, self.last);
        notes.iter_mut().zip(keys).for_each(|(note, key)| note.key = key);
        notes
    }

    /// Two eighths before the next phrase.
    fn pickup(&self) -> [Beat; 2] {
        let bar = self.plan.bar_steps();
        [(bar - 4, 2), (bar - 2, 2)]
    }

    /// Makes the best placed note of the last phrase its climax: long, strong and in the middle of its tail.
    fn crown(&self, bar: u32, end: u32, notes: &[Note], slots: &mut [Slot]) {
        let is_last = end == self.section.end_bar() || end + 1 == self.section.end_bar();
        if !is_last || !matches!(self.section.label, Label::Chorus | Label::Verse) {
            return;
        }
        let within = (end - bar - 1).min(1) * self.plan.bar_ticks();
        let best = notes
            .iter()
            .enumerate()
            .filter(|(index, note)| note.start < within && slots[*index].strong)
            .max_by_key(|(_, note)| note.length)
            .map(|(index, _)| index);
        if let Some(slot) = best.and_then(|index| slots.get_mut(index)) {
            slot.aim = Aim::Climax;
        }
    }

    fn slot(&self, theme: &Theme, place: Place, rng: &mut Rng) -> Slot {
        let Place { tick, step, length, aim, motion } = place;
        let beat = self.plan.metre.beat_steps();
        // A note that comes ahead of its beat belongs to the chord of the beat.
        let ahead = step % beat != 0 && length >= 4;
        let span = self.plan.harmony.at(if ahead { tick + 2 * STEP } else { tick });
        let half_bar = if self.plan.bar_steps() == 16 { 8 } else { 12 };
        let strong = step % half_bar == 0 || length >= beat || ahead || span.start == tick;
        let mut scale = melody_tones(self.plan.style, span.key, &span.chord);
        if self.plan.style.idiom == Idiom::Blues && !strong && rng.chance(0.15) {
            scale.push((span.key.tonic + if span.key.mode == Mode::Major { 3 } else { 6 }) % 12);
        }
        Slot {
            strong,
            aim,
            scale,
            chord: span.chord.pitch_classes(),
            tonic: span.key.tonic,
            bass: span.bass,
            strict: self.plan.style.idiom == Idiom::Common && strong,
            target: self.height(theme, tick),
            motion,
            taste: (0..12).map(|_| rng.uniform(0.0, 0.9)).collect(),
        }
    }

    /// The key the contour asks for at a tick; the last phrase lies a little higher.
    fn height(&self, theme: &Theme, tick: u32) -> f64 {
        let place = f64::from(tick) / f64::from(self.plan.bar_ticks()) - f64::from(self.section.first_bar);
        let in_phrase = place % 4.0;
        let bar = (in_phrase as usize).min(3);
        let share = in_phrase - bar as f64;
        let height = theme.contour[bar] * (1.0 - share) + theme.contour[bar + 1] * share;
        let (low, top) = (f64::from(self.window.low) + 3.0, f64::from(self.window.ceiling) - 3.0);
        low + height * (top - low)
    }

    /// Ticks for which a note of so many sixteenths sounds.
    fn sounding(&self, steps: u32) -> u32 {
        let long = if steps >= 6 { 0.95f64.max(self.plan.style.legato) } else { self.plan.style.legato };
        (f64::from(steps * STEP) * long) as u32
    }

    /// The final bar has one note: the tonic nearest to the line.
    fn last_note(&self, notes: &mut Vec<Note>) {
        let start = (self.section.end_bar() - 1) * self.plan.bar_ticks();
        notes.retain(|note| note.start < start);
        let last = notes.last().map_or((self.window.low + self.window.high) / 2, |note| note.key);
        let key = nearest(&[self.section.key.tonic], self.window, last);
        let velocity = self.velocity(start, 100);
        notes.push(Note { start, length: ring_until(self.plan) - start, key, velocity });
    }

    /// Velocity from the dynamics and an accent around 100.
    fn velocity(&self, tick: u32, accent: u8) -> u8 {
        (self.plan.velocity(self.section, tick) + 4.0 + f64::from(accent) - 100.0) as u8
    }
}

/// 100, more on strong beats, less between beats.
fn accent(plan: &Plan, step: u32) -> u8 {
    if step == 0 {
        107
    } else if step.is_multiple_of(plan.metre.beat_steps()) {
        101
    } else {
        94
    }
}

/// The scale over a chord; pentatonic styles leave out its two tensest notes.
pub(super) fn melody_tones(style: &Style, key: Key, chord: &Chord) -> Vec<u8> {
    let avoided = match key.mode {
        Mode::Major => [(key.tonic + 5) % 12, (key.tonic + 11) % 12],
        Mode::Minor => [(key.tonic + 2) % 12, (key.tonic + 8) % 12],
    };
    let mut tones = scale_over(key, chord);
    if style.pentatonic {
        tones.retain(|tone| !avoided.contains(tone) || chord.contains(*tone));
    }
    tones
}

/// The key of one of the pitch classes nearest to another key.
fn nearest(pitch_classes: &[u8], window: Window, to: u8) -> u8 {
    (window.low..=window.high)
        .filter(|key| pitch_classes.contains(&(key % 12)))
        .min_by_key(|key| key.abs_diff(to))
        .unwrap_or(window.low)
}

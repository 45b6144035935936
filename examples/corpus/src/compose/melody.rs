//! Tunes: motifs, repeated and moved, closing on chord tones; and a slow second voice.

use super::chordal::ring_until;
use super::plan::{Plan, PlannedSection};
use crate::family::{Family, Program};
use crate::piece::{Label, Note, Role, STEP};
use crate::rng::Rng;
use crate::style::Style;
use crate::theory::{Chord, Key, Mode, scale_over};

/// A bar's rhythm and the steps of its line.
#[derive(Clone, Debug)]
struct Figure {
    /// Start and length in sixteenths.
    rhythm: Vec<(u32, u32)>,
    /// Scale steps from the note before; the first is from the figure's anchor.
    moves: Vec<i32>,
}

/// The tune of one kind of section: two figures, their order in a phrase of four bars, and their heights.
#[derive(Clone, Debug)]
struct Theme {
    figures: [Figure; 2],
    order: [usize; 4],
    /// Scale steps by which each bar of the phrase is moved (a sequence).
    shifts: [i32; 4],
}

const ORDERS: [[usize; 4]; 4] = [[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 1], [0, 1, 1, 0]];
const SHIFTS: [[i32; 4]; 5] = [[0, 0, 0, 0], [0, 1, 2, 0], [0, -1, -2, 0], [0, 2, 1, 0], [0, 0, 2, 1]];

/// The tune of a player: the same theme whenever a kind of section comes back.
pub(crate) fn tune(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let who = &plan.players[player];
    let density = busyness(plan.style, who.family);
    let mut themes: Vec<(Label, Theme)> = Vec::new();
    let mut notes = Vec::new();
    for section in plan.sections_of(player) {
        // A soloist that can accompany itself opens and closes with chords alone.
        let rests = who.role == Role::Solo
            && who.program.poly
            && matches!(section.label, Label::Intro | Label::Outro);
        if rests {
            continue;
        }
        let known = themes.iter().position(|(label, _)| *label == section.label);
        let index = known.unwrap_or_else(|| {
            themes.push((section.label, Theme::draw(plan, section, density, rng)));
            themes.len() - 1
        });
        let window = Window::new(who.program, who.role, section);
        Singer { plan, section, window, last: window.centre }.sing(&themes[index].1, &mut notes);
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

impl Theme {
    fn draw(plan: &Plan, section: &PlannedSection, density: f64, rng: &mut Rng) -> Self {
        let busy = density * (0.8 + 0.4 * section.energy);
        let figures = [Figure::draw(plan, busy, rng), Figure::draw(plan, busy * 0.85, rng)];
        Self {
            figures,
            order: rng.pick(&ORDERS).copied().unwrap_or(ORDERS[0]),
            shifts: rng.pick(&SHIFTS).copied().unwrap_or(SHIFTS[0]),
        }
    }
}

impl Figure {
    fn draw(plan: &Plan, density: f64, rng: &mut Rng) -> Self {
        let rhythm = rhythm(plan, density, rng);
        let moves = (0..rhythm.len())
            .map(|_| {
                let size = [0, 1, 2, 3, 4][rng.weighted(&[0.12, 0.52, 0.22, 0.08, 0.06])];
                if rng.chance(0.5) { size } else { -size }
            })
            .collect();
        Self { rhythm, moves }
    }
}

/// A bar's rhythm, beat by beat; notes faster than about nine a second are never written.
fn rhythm(plan: &Plan, density: f64, rng: &mut Rng) -> Vec<(u32, u32)> {
    const BEATS: [&[(u32, u32)]; 7] = [
        &[],
        &[(0, 4)],
        &[(0, 2), (2, 2)],
        &[(2, 2)],
        &[(0, 3), (3, 1)],
        &[(0, 2), (2, 1), (3, 1)],
        &[(0, 1), (1, 1), (2, 2)],
    ];
    let beat_secs = plan.beat_secs();
    let eighths = if beat_secs >= 0.38 { 1.5 } else { 0.6 };
    let sixteenths = if beat_secs >= 0.6 { 0.45 } else { 0.0 };
    let weights = [
        1.3 - density,
        1.0,
        density * eighths,
        density * 0.4 * eighths,
        density * sixteenths,
        density * sixteenths * 0.7,
        density * sixteenths * 0.7,
    ];
    let mut notes: Vec<(u32, u32)> = Vec::new();
    for beat in 0..plan.beats_per_bar {
        let cell = BEATS[rng.weighted(&weights)];
        if cell.is_empty() {
            // Nothing new: the note before goes on, if there is one and it is not too long yet.
            if let Some((_, length)) = notes.last_mut().filter(|(_, length)| *length <= 8) {
                *length += 4;
            }
        }
        notes.extend(cell.iter().map(|(start, length)| (beat * 4 + start, *length)));
    }
    if notes.is_empty() {
        notes.push((0, plan.bar_steps()));
    }
    notes
}

/// The keys a tune moves in.
#[derive(Clone, Copy, Debug)]
struct Window {
    low: u8,
    high: u8,
    centre: u8,
}

impl Window {
    fn new(program: &Program, role: Role, section: &PlannedSection) -> Self {
        let wanted = if role == Role::Counter { 64 } else { 71 };
        let lift = if section.label == Label::Chorus { 3 } else { 0 };
        let centre = (wanted + lift).clamp(program.low + 8, program.high - 8);
        Self { low: program.low.max(centre - 10), high: program.high.min(centre + 11), centre }
    }
}

struct Singer<'a> {
    plan: &'a Plan,
    section: &'a PlannedSection,
    window: Window,
    last: u8,
}

impl Singer<'_> {
    fn sing(&mut self, theme: &Theme, notes: &mut Vec<Note>) {
        for bar in self.section.first_bar..self.section.end_bar() {
            let place = bar - self.section.first_bar;
            let closes = place % 4 == 3 || bar + 1 == self.section.end_bar();
            let figure = &theme.figures[theme.order[place as usize % 4]];
            let anchor = i32::from(self.window.centre) + 2 * theme.shifts[place as usize % 4];
            if self.plan.is_final(bar) {
                self.last_note(bar, notes);
            } else {
                self.bar(bar, figure, anchor, closes, notes);
            }
        }
    }

    fn bar(&mut self, bar: u32, figure: &Figure, anchor: i32, closes: bool, notes: &mut Vec<Note>) {
        let start = bar * self.plan.bar_ticks();
        // A phrase closes with one long note in the second half of its last bar.
        let close_at = self.plan.bar_steps() / 2 / 4 * 4;
        for (index, ((step, length), shift)) in figure.rhythm.iter().zip(&figure.moves).enumerate() {
            if closes && *step >= close_at {
                break;
            }
            let tick = start + step * STEP;
            let strong = step % 8 == 0 || (*length >= 4 && step % 4 == 0);
            // Each bar starts from its anchor, half-way to where the line has been.
            let from = if index == 0 { (anchor + i32::from(self.last)) / 2 } else { i32::from(self.last) };
            let length = if closes { (*length).min(close_at - step) } else { *length };
            self.note(tick, length * STEP, from, *shift, strong, notes);
        }
        if closes {
            let length = (self.plan.bar_steps() - close_at) * STEP * 7 / 8;
            let from = i32::from(self.last);
            self.note(start + close_at * STEP, length, from, 0, true, notes);
        }
    }

    fn note(&mut self, tick: u32, length: u32, from: i32, shift: i32, strong: bool, notes: &mut Vec<Note>) {
        let chord = &self.plan.harmony.at(tick).chord;
        let tones = melody_tones(self.plan.style, self.plan.key, chord);
        let stepped = walk(&tones, self.window, from, shift);
        let key = if strong { nearest(&chord.pitch_classes(), self.window, stepped) } else { stepped };
        self.last = key;
        notes.push(Note { start: tick, length: length * 19 / 20, key, velocity: self.velocity(tick) });
    }

    fn last_note(&mut self, bar: u32, notes: &mut Vec<Note>) {
        let start = bar * self.plan.bar_ticks();
        let key = nearest(&[self.plan.key.tonic], self.window, self.last);
        let velocity = self.velocity(start);
        notes.push(Note { start, length: ring_until(self.plan) - start, key, velocity });
    }

    fn velocity(&self, tick: u32) -> u8 {
        let accent = if tick.is_multiple_of(8 * STEP) {
            5.0
        } else if tick.is_multiple_of(4 * STEP) {
            1.0
        } else {
            -4.0
        };
        (Plan::velocity(self.section.energy) + 3.0 + accent) as u8
    }
}

/// The scale over a chord; pentatonic styles leave out its two tensest notes.
fn melody_tones(style: &Style, key: Key, chord: &Chord) -> Vec<u8> {
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

/// The key `shift` scale steps from the one nearest to `from`, turned back at the window's edges.
fn walk(tones: &[u8], window: Window, from: i32, shift: i32) -> u8 {
    let ladder: Vec<u8> = (window.low..=window.high).filter(|key| tones.contains(&(key % 12))).collect();
    let top = ladder.len() as i32 - 1;
    let near = ladder
        .iter()
        .enumerate()
        .min_by_key(|(_, key)| (i32::from(**key) - from).abs())
        .map_or(0, |(index, _)| index as i32);
    let mut rung = near + shift;
    if rung < 0 || rung > top {
        rung = near - shift;
    }
    ladder.get(rung.clamp(0, top.max(0)) as usize).copied().unwrap_or(window.centre)
}

/// The key of one of the pitch classes nearest to another key.
fn nearest(pitch_classes: &[u8], window: Window, to: u8) -> u8 {
    (window.low..=window.high)
        .filter(|key| pitch_classes.contains(&(key % 12)))
        .min_by_key(|key| key.abs_diff(to))
        .unwrap_or(window.centre)
}

/// A second voice: one long chord tone per chord, the third or seventh if it is near.
pub(crate) fn counter(plan: &Plan, player: usize) -> Vec<Note> {
    let who = &plan.players[player];
    let mut notes = Vec::new();
    for section in plan.sections_of(player) {
        let window = Window::new(who.program, who.role, section);
        let mut last = window.centre;
        let (from, to) = (section.first_bar * plan.bar_ticks(), section.end_bar() * plan.bar_ticks());
        for span in plan.harmony.between(from, to) {
            let guides: Vec<u8> = span.chord.pitch_classes().into_iter().skip(1).collect();
            last = nearest(&guides, window, last);
            let end = if span.end == plan.bars() * plan.bar_ticks() { ring_until(plan) } else { span.end };
            let length = (end - span.start) * 19 / 20;
            let velocity = (Plan::velocity(section.energy) - 6.0) as u8;
            notes.push(Note { start: span.start, length, key: last, velocity });
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { low: 60, high: 79, centre: 70 };
    const C_MAJOR: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];

    #[test]
    fn walking_stays_in_scale_and_window() {
        assert_eq!(walk(&C_MAJOR, WINDOW, 64, 1), 65);
        assert_eq!(walk(&C_MAJOR, WINDOW, 64, -2), 60);
        assert_eq!(walk(&C_MAJOR, WINDOW, 60, -1), 62, "turned back at the bottom");
        assert_eq!(walk(&C_MAJOR, WINDOW, 200, 3), 74, "turned back at the top");
    }

    #[test]
    fn nearest_chord_tone() {
        assert_eq!(nearest(&[0, 4, 7], WINDOW, 65), 64);
        assert_eq!(nearest(&[0], WINDOW, 79), 72);
    }
}

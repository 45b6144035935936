//! Chordal parts: comping figures, pads, arpeggios, and the accompaniment of a solo.

use super::form::PlannedSection;
use super::harmony::Span;
use super::plan::Plan;
use super::voicing::{Register, voice};
use crate::family::Family;
use crate::piece::{Label, Note, Role, STEP};
use crate::rng::Rng;
use crate::style::Comp;

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
    let mut hand = Hand::default();
    for section in plan.sections_of(player) {
        let writer = Writer { plan, section, setting: &setting };
        for bar in section.first_bar..section.end_bar() {
            writer.bar(bar, &mut hand, &mut notes);
        }
    }
    notes
}

/// The voicing that was played last, and the bass beneath it.
#[derive(Default)]
struct Hand {
    voicing: Vec<u8>,
    bass: Option<u8>,
}

/// What stays the same through the piece.
struct Setting {
    register: Register,
    voices: usize,
    quiet: Comp,
    loud: Comp,
    other: Comp,
    /// Lowest key for bass notes, when nobody else plays them.
    own_bass: Option<u8>,
}

impl Setting {
    fn new(plan: &Plan, player: usize, rng: &mut Rng) -> Self {
        let who = &plan.players[player];
        let [quiet, loud, other] = figures(plan, who.role, who.family, rng);
        let can_bass = matches!(who.role, Role::Chords | Role::Pad | Role::Solo)
            && who.program.low <= 48
            && who.program.poly;
        Self {
            register: register(who.role, who.family, who.program.low, who.program.high),
            voices: if rng.chance(0.25) { 4 } else { 3 },
            quiet,
            loud,
            other,
            own_bass: (can_bass && !plan.has(Role::Bass)).then_some(who.program.low),
        }
    }

    fn figure(&self, section: &PlannedSection) -> Comp {
        match section.label {
            Label::Chorus => self.loud,
            Label::Bridge => self.other,
            _ => self.quiet,
        }
    }
}

/// Figures for verses, choruses and bridges.
fn figures(plan: &Plan, role: Role, family: Family, rng: &mut Rng) -> [Comp; 3] {
    let sustains = matches!(family, Family::Pad | Family::Strings | Family::Choir | Family::Brass);
    if role == Role::Pad || (sustains && role != Role::Arpeggio) {
        return [Comp::Hold; 3];
    }
    if role == Role::Arpeggio {
        // Sixteenths only where they leave a tenth of a second each, half notes never.
        let quick = if plan.tempo_bpm <= 96 { 1 + rng.int(0, 1) as u32 } else { 2 };
        return [Comp::Arpeggio(2), Comp::Arpeggio(quick), Comp::Arpeggio(4)];
    }
    let list = plan.style.comps(plan.metre);
    let mut draw = || rng.pick(list).copied().unwrap_or(Comp::Hold);
    let (quiet, loud) = (draw(), draw());
    let other = if role == Role::Solo { Comp::Arpeggio(2) } else { Comp::Hold };
    [quiet, loud, other]
}

fn register(role: Role, family: Family, low: u8, high: u8) -> Register {
    let wanted: u8 = match (role, family) {
        (Role::Arpeggio, Family::Mallets) => 69,
        (_, Family::Mallets) => 62,
        (Role::Solo, Family::Guitar) => 53,
        (Role::Solo, _) => 57,
        (Role::Arpeggio, _) => 66,
        (Role::Pad, _) => 60,
        _ => 57,
    };
    // A close four-note chord needs almost an octave; two let the voices move.
    let centre = wanted.clamp(low + 9, high.saturating_sub(9).max(low + 9));
    // Chords leave the register above them to the tune.
    let above = if role == Role::Arpeggio { 13 } else { 10 };
    Register { low: low.max(centre - 11), high: high.min(centre + above), centre }
}

struct Writer<'a> {
    plan: &'a Plan,
    section: &'a PlannedSection,
    setting: &'a Setting,
}

/// One chord of one bar.
struct Stretch<'a> {
    voicing: &'a [u8],
    /// The bass note, where this part has it.
    bass: Option<u8>,
    bar_start: u32,
    from: u32,
    to: u32,
}

impl Writer<'_> {
    fn bar(&self, bar: u32, hand: &mut Hand, notes: &mut Vec<Note>) {
        let start = bar * self.plan.bar_ticks();
        let end = start + self.plan.bar_ticks();
        let figure = if self.plan.is_final(bar) { Comp::Hold } else { self.setting.figure(self.section) };
        for span in self.plan.harmony.between(start, end) {
            let pair = hand.bass.map(|old| (old, span.bass));
            hand.voicing =
                voice(&span.chord, &hand.voicing, pair, self.setting.register, self.setting.voices);
            hand.bass = Some(span.bass);
            let to = if self.plan.is_final(bar) { ring_until(self.plan) } else { span.end.min(end) };
            let stretch = Stretch {
                voicing: &hand.voicing,
                bass: self.bass(span, &hand.voicing),
                bar_start: start,
                from: span.start.max(start),
                to,
            };
            self.play(figure, &stretch, notes);
        }
    }

    /// The bass note of the chord in this part's range and below its voicing, if the part has to play it.
    fn bass(&self, span: &Span, voicing: &[u8]) -> Option<u8> {
        let low = self.setting.own_bass?;
        let mut key = span.bass;
        while key < low {
            key += 12;
        }
        voicing.first().is_some_and(|lowest| key < *lowest).then_some(key)
    }

    fn play(&self, figure: Comp, stretch: &Stretch<'_>, notes: &mut Vec<Note>) {
        match figure {
            Comp::Hold => {
                let mut keys = stretch.voicing.to_vec();
                keys.extend(stretch.bass);
                self.strike(&keys, (stretch.from, stretch.to), 0, notes);
            }
            Comp::Hits(pattern) => self.hits(pattern, stretch, 0, notes),
            Comp::Strum(pattern) => self.hits(pattern, stretch, self.plan.ticks(STRUM_SECS), notes),
            Comp::Arpeggio(steps) => {
                let whole = (stretch.from, stretch.to);
                stretch.bass.iter().for_each(|bass| self.strike(&[*bass], whole, 0, notes));
                self.broken(&up_and_down(stretch.voicing), steps, whole, notes);
            }
        }
    }

    fn velocity(&self, tick: u32) -> f64 {
        let accent = if tick.is_multiple_of(self.plan.metre.beat_ticks()) { 3.0 } else { -4.0 };
        self.plan.velocity(self.section, tick) - 6.0 + accent
    }

    /// Keys together, or one after another when `roll` ticks part them.
    fn strike(&self, keys: &[u8], (from, to): (u32, u32), roll: u32, notes: &mut Vec<Note>) {
        let length = (f64::from(to.saturating_sub(from)) * HELD) as u32;
        for (rank, key) in keys.iter().enumerate() {
            let delay = (roll * rank as u32).min(length / 2);
            // A strum loses a little on its way.
            let velocity = (self.velocity(from) - if roll > 0 { 2.0 * rank as f64 } else { 0.0 }) as u8;
            notes.push(Note { start: from + delay, length: (length - delay).max(1), key: *key, velocity });
        }
    }

    fn hits(&self, pattern: &str, stretch: &Stretch<'_>, roll: u32, notes: &mut Vec<Note>) {
        let marks: Vec<char> = pattern.chars().take(self.plan.bar_steps() as usize).collect();
        let tick_of = |step: usize| stretch.bar_start + step as u32 * STEP;
        let mut silent = true;
        for (step, mark) in marks.iter().enumerate().filter(|(_, mark)| **mark != '.') {
            let tick = tick_of(step);
            if tick < stretch.from || tick >= stretch.to {
                continue;
            }
            let next = (step + 1..marks.len()).find(|later| marks[*later] != '.').map_or(stretch.to, tick_of);
            let end = if *mark == 's' { (tick + SHORT_TICKS).min(stretch.to) } else { next.min(stretch.to) };
            self.mark(*mark, stretch, (tick, end), roll, notes);
            silent = false;
        }
        // A chord that no mark falls on is struck once, so that the harmony is heard.
        if silent && stretch.from > stretch.bar_start {
            self.mark('x', stretch, (stretch.from, stretch.to), roll, notes);
        }
        let has_bass = pattern.contains(['b', 'f']);
        if let Some(bass) = stretch.bass.filter(|_| !has_bass) {
            self.strike(&[bass], (stretch.from, stretch.to), 0, notes);
        }
    }

    fn mark(&self, mark: char, stretch: &Stretch<'_>, time: (u32, u32), roll: u32, notes: &mut Vec<Note>) {
        let lowest = stretch.voicing.first().copied();
        match mark {
            'b' => self.strike(stretch.bass.or(lowest).as_slice(), time, 0, notes),
            'f' => self.strike(fifth(stretch.bass, lowest).as_slice(), time, 0, notes),
            'u' => {
                let downward: Vec<u8> = stretch.voicing.iter().rev().copied().collect();
                let from = notes.len();
                self.strike(&downward, time, roll, notes);
                notes[from..].iter_mut().for_each(|note| note.velocity = note.velocity.saturating_sub(9));
            }
            '1'..='4' => {
                let rank = mark as usize - '1' as usize;
                let key = stretch.voicing.get(rank).or(stretch.voicing.last());
                self.strike(key.copied().as_slice(), time, 0, notes);
            }
            _ => self.strike(stretch.voicing, time, roll, notes),
        }
    }

    fn broken(&self, order: &[u8], steps: u32, (from, to): (u32, u32), notes: &mut Vec<Note>) {
        let stride = steps * STEP;
        for (tick, key) in (from..to).step_by(stride as usize).zip(order.iter().cycle()) {
            let length = stride.min(to - tick) * 19 / 20;
            notes.push(Note { start: tick, length, key: *key, velocity: self.velocity(tick) as u8 });
        }
    }
}

/// The other bass note of an alternating bass: a fourth below or a fifth above the first.
fn fifth(bass: Option<u8>, lowest: Option<u8>) -> Option<u8> {
    let Some(bass) = bass else {
        return lowest;
    };
    if bass >= 45 {
        Some(bass - 5)
    } else {
        Some(bass + 7).filter(|key| lowest.is_none_or(|low| *key < low)).or(Some(bass))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arpeggio_turns_without_repeating_its_ends() {
        assert_eq!(up_and_down(&[60, 64, 67]), [60, 64, 67, 64]);
        assert_eq!(up_and_down(&[60, 64, 67, 70]), [60, 64, 67, 70, 67, 64]);
    }

    #[test]
    fn an_alternating_bass_stays_below_the_chord() {
        assert_eq!(fifth(Some(48), Some(55)), Some(43));
        assert_eq!(fifth(Some(36), Some(55)), Some(43));
        assert_eq!(fifth(Some(40), Some(45)), Some(40));
        assert_eq!(fifth(None, Some(52)), Some(52));
    }
}

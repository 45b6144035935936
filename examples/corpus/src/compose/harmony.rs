//! Chords over time, and how a chordal part spreads them.

use super::plan::PlannedSection;
use crate::piece::{Label, TICKS_PER_BEAT};
use crate::rng::Rng;
use crate::style::Style;
use crate::theory::{Chord, Key, Mode};

/// A chord and when it sounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) chord: Chord,
}

/// The chords of a whole piece, without a gap.
#[derive(Clone, Debug)]
pub(crate) struct Harmony {
    spans: Vec<Span>,
    /// The chord of the last bar.
    home: Span,
}

type Bars = Vec<Vec<Chord>>;

impl Harmony {
    /// Draws a progression per kind of section and ends on the style's cadence and the tonic.
    pub(crate) fn draw(
        style: &Style,
        key: Key,
        tempo_bpm: u32,
        beats_per_bar: u32,
        sections: &[PlannedSection],
        rng: &mut Rng,
    ) -> Self {
        /// Below this tempo, chords of short sections change twice a bar.
        const SLOW_BPM: u32 = 80;
        let halve = tempo_bpm < SLOW_BPM && beats_per_bar == 4;
        let mut chosen: Vec<(Label, Bars)> = Vec::new();
        let mut bars: Bars = Vec::new();
        for section in sections {
            let known = chosen.iter().position(|(label, _)| *label == section.label);
            let index = known.unwrap_or_else(|| {
                chosen.push((section.label, progression(style, key, halve, rng)));
                chosen.len() - 1
            });
            bars.extend(lay_out(&chosen[index].1, section.bars as usize));
        }
        end_well(&mut bars, style, key);
        Self::from_bars(&bars, beats_per_bar, key)
    }

    fn from_bars(bars: &Bars, beats_per_bar: u32, key: Key) -> Self {
        let bar_ticks = beats_per_bar * TICKS_PER_BEAT;
        let mut spans: Vec<Span> = Vec::new();
        for (bar, chords) in bars.iter().enumerate() {
            let start = bar as u32 * bar_ticks;
            let count = chords.len().max(1) as u32;
            // Whole beats each, the first taking what is left over: 2 + 1 in a bar of three.
            let share = beats_per_bar / count * TICKS_PER_BEAT;
            let first = bar_ticks - share * (count - 1);
            for (position, chord) in chords.iter().enumerate() {
                let from = if position == 0 { start } else { start + first + share * (position as u32 - 1) };
                let end = if position == 0 { start + first } else { from + share };
                spans.push(Span { start: from, end, chord: chord.clone() });
            }
        }
        let end = bars.len() as u32 * bar_ticks;
        let home = Span { start: end.saturating_sub(bar_ticks), end, chord: Chord::tonic(key) };
        Self { spans, home }
    }

    /// The chord at a tick (the tonic after the end).
    pub(crate) fn at(&self, tick: u32) -> &Span {
        let index = self.spans.partition_point(|span| span.end <= tick);
        self.spans.get(index).unwrap_or(&self.home)
    }

    /// The chord that follows the one at a tick.
    pub(crate) fn after(&self, tick: u32) -> &Span {
        self.at(self.at(tick).end)
    }

    /// The chords between two ticks.
    pub(crate) fn between(&self, start: u32, end: u32) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.start < end && span.end > start)
    }
}

/// A progression of the style in the key; `halve` puts two of its bars into one.
fn progression(style: &Style, key: Key, halve: bool, rng: &mut Rng) -> Bars {
    let list = if key.mode == Mode::Major { style.major } else { style.minor };
    let bars: Bars = rng.word(list).split('|').map(|bar| chords(bar, key)).collect();
    if !halve || bars.iter().any(|bar| bar.len() > 1) {
        return bars;
    }
    bars.chunks(2).map(|pair| pair.iter().flatten().cloned().collect()).collect()
}

fn chords(bar: &str, key: Key) -> Vec<Chord> {
    bar.split_whitespace().filter_map(|symbol| Chord::parse(symbol, key.tonic)).collect()
}

/// Repeats a progression so that the section's end is the progression's end.
fn lay_out(progression: &Bars, bars: usize) -> Bars {
    let length = progression.len().max(1);
    // Long ones (a twelve-bar blues) start at their beginning and are cut.
    let offset = if length <= 4 { (length - bars % length) % length } else { 0 };
    progression.iter().cycle().skip(offset).take(bars).cloned().collect()
}

/// The last bar is the tonic, the one before leads to it.
fn end_well(bars: &mut Bars, style: &Style, key: Key) {
    let cadence = if key.mode == Mode::Major { style.cadence.0 } else { style.cadence.1 };
    let count = bars.len();
    if count >= 2 {
        bars[count - 2] = chords(cadence, key);
        bars[count - 1] = vec![Chord::tonic(key)];
    }
}

/// Where a voicing may lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register {
    pub(crate) low: u8,
    pub(crate) high: u8,
    pub(crate) centre: u8,
}

/// Spreads a chord in `voices` notes within the register, as near as can be to the voicing before.
///
/// All close positions are tried; the cost is the movement of the voices plus half the distance of their mean
/// from the register's centre (our choice).
pub(crate) fn voice(chord: &Chord, before: &[u8], register: Register, voices: usize) -> Vec<u8> {
    let tones = essential_tones(chord, voices);
    let mut best: (f64, Vec<u8>) = (f64::INFINITY, Vec::new());
    for lowest in register.low..=register.high {
        let Some(rotation) = tones.iter().position(|tone| *tone == lowest % 12) else {
            continue;
        };
        let voicing = stack(lowest, &tones, rotation);
        if voicing.last().is_some_and(|top| *top > register.high) {
            continue;
        }
        let cost = movement(&voicing, before) + 0.5 * (mean(&voicing) - f64::from(register.centre)).abs();
        if cost < best.0 {
            best = (cost, voicing);
        }
    }
    best.1
}

/// The pitch classes to play, sorted: without the fifth, then the root, when there are too many.
fn essential_tones(chord: &Chord, voices: usize) -> Vec<u8> {
    let mut intervals = chord.intervals.clone();
    for spare in [7, 0] {
        if intervals.len() > voices {
            intervals.retain(|interval| *interval != spare);
        }
    }
    let mut tones: Vec<u8> = intervals.iter().map(|interval| (chord.root + interval) % 12).collect();
    tones.sort_unstable();
    tones.dedup();
    tones
}

/// The tones upward from `lowest`, each less than an octave above it.
fn stack(lowest: u8, tones: &[u8], rotation: usize) -> Vec<u8> {
    let first = tones[rotation];
    let mut keys: Vec<u8> = tones.iter().map(|tone| lowest + (tone + 12 - first) % 12).collect();
    keys.sort_unstable();
    keys
}

fn movement(voicing: &[u8], before: &[u8]) -> f64 {
    if before.is_empty() {
        return 0.0;
    }
    let nearest = |key: &u8| before.iter().map(|old| old.abs_diff(*key)).min().unwrap_or(0);
    voicing.iter().map(|key| f64::from(nearest(key))).sum()
}

fn mean(keys: &[u8]) -> f64 {
    keys.iter().map(|key| f64::from(*key)).sum::<f64>() / keys.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: Register = Register { low: 48, high: 72, centre: 60 };

    #[test]
    fn voices_move_little() {
        let mut before = Vec::new();
        for symbol in ["I", "vi", "IV", "V", "I", "ii7", "V7", "Imaj7"] {
            let chord = Chord::parse(symbol, 0).unwrap();
            let voicing = voice(&chord, &before, REGISTER, 3);
            assert_eq!(voicing.len(), 3, "{symbol}");
            assert!(voicing.iter().all(|key| chord.contains(*key)), "{symbol}: {voicing:?}");
            if !before.is_empty() {
                // Each of three voices moves at most a minor third on average.
                assert!(movement(&voicing, &before) <= 9.0, "{symbol}: {before:?} {voicing:?}");
            }
            before = voicing;
        }
    }

    #[test]
    fn spans_tile_bars_of_three() {
        let key = Key { tonic: 0, mode: Mode::Major };
        let bars = vec![chords("I V", key), chords("vi", key), chords("I", key)];
        let harmony = Harmony::from_bars(&bars, 3, key);
        let ends: Vec<u32> = harmony.spans.iter().map(|span| span.end / TICKS_PER_BEAT).collect();
        assert_eq!(ends, [2, 3, 6, 9]);
        assert_eq!(harmony.at(2 * TICKS_PER_BEAT).chord.root, 7);
        assert_eq!(harmony.after(0).chord.root, 7);
        assert_eq!(harmony.at(u32::MAX).chord.root, 0);
    }

    #[test]
    fn sections_end_with_their_progression() {
        let key = Key { tonic: 0, mode: Mode::Major };
        let four: Bars = "I | vi | IV | V".split('|').map(|bar| chords(bar, key)).collect();
        assert_eq!(lay_out(&four, 2)[1][0].root, 7);
        assert_eq!(lay_out(&four, 6)[5][0].root, 7);
        assert_eq!(lay_out(&four, 8)[0][0].root, 0);
    }
}

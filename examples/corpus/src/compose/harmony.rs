//! Chords over time.

use super::form::PlannedSection;
use super::progression::{self, Bar};
use crate::metre::Metre;
use crate::rng::Rng;
use crate::style::Style;
use crate::theory::{Chord, Key};

/// The bass lies here: lower roots are hard to hear, and to code, in a small model.
const BASS_LOW: u8 = 31;
const BASS_HIGH: u8 = 47;
const BASS_CENTRE: u8 = 38;

/// A chord and when it sounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) chord: Chord,
    /// The key it is heard in: that of its section.
    pub(crate) key: Key,
    /// The lowest note: the chord's bass tone as near as can be to the one before.
    pub(crate) bass: u8,
}

/// The chords of a whole piece, without a gap.
#[derive(Clone, Debug)]
pub(crate) struct Harmony {
    spans: Vec<Span>,
    /// The chord of the last bar.
    home: Span,
}

impl Harmony {
    /// Draws the progressions of all sections and ends on a cadence and the tonic.
    pub(crate) fn draw(
        style: &Style,
        key: Key,
        tempo_bpm: u32,
        metre: Metre,
        sections: &[PlannedSection],
        rng: &mut Rng,
    ) -> Self {
        let bars = progression::draw(style, tempo_bpm, metre, sections, rng);
        Self::from_bars(&bars, metre, sections.last().map_or(key, |section| section.key))
    }

    fn from_bars(bars: &[Bar], metre: Metre, last_key: Key) -> Self {
        let mut spans: Vec<Span> = Vec::new();
        for (bar, Bar { key, chords }) in bars.iter().enumerate() {
            let start = bar as u32 * metre.bar_ticks();
            let chords = &chords[..chords.len().min(metre.beats() as usize)];
            let count = chords.len().max(1) as u32;
            // Whole beats each, the first taking what is left over: 2 + 1 in a bar of three.
            let share = metre.beats() / count * metre.beat_ticks();
            let first = metre.bar_ticks() - share * (count - 1);
            for (position, chord) in chords.iter().enumerate() {
                let from = if position == 0 { start } else { start + first + share * (position as u32 - 1) };
                let end = if position == 0 { start + first } else { from + share };
                let bass = bass_key(chord.bass, spans.last().map(|span| span.bass));
                spans.push(Span { start: from, end, chord: chord.clone(), key: *key, bass });
            }
        }
        let end = bars.len() as u32 * metre.bar_ticks();
        let chord = Chord::tonic(last_key);
        let bass = bass_key(chord.bass, spans.last().map(|span| span.bass));
        let home = Span { start: end.saturating_sub(metre.bar_ticks()), end, chord, key: last_key, bass };
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

    /// All chords in order.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }
}

/// The key of a bass tone nearest to the bass before, drawn a little to the middle of the range.
fn bass_key(pitch_class: u8, before: Option<u8>) -> u8 {
    let cost = |key: &u8| {
        10 * before.map_or(0, |old| old.abs_diff(*key)) as u32 + 2 * u32::from(key.abs_diff(BASS_CENTRE))
    };
    (BASS_LOW..=BASS_HIGH).filter(|key| key % 12 == pitch_class % 12).min_by_key(cost).unwrap_or(BASS_CENTRE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::TICKS_PER_BEAT;
    use crate::theory::Mode;

    const C_MAJOR: Key = Key { tonic: 0, mode: Mode::Major };

    fn bar(symbols: &str) -> Bar {
        Bar::parse(symbols, C_MAJOR)
    }

    #[test]
    fn spans_tile_bars_of_three() {
        let harmony = Harmony::from_bars(&[bar("I V"), bar("vi"), bar("I")], Metre::ThreeFour, C_MAJOR);
        let ends: Vec<u32> = harmony.spans.iter().map(|span| span.end / TICKS_PER_BEAT).collect();
        assert_eq!(ends, [2, 3, 6, 9]);
        assert_eq!(harmony.at(2 * TICKS_PER_BEAT).chord.root, 7);
        assert_eq!(harmony.after(0).chord.root, 7);
        assert_eq!(harmony.at(u32::MAX).chord.root, 0);
    }

    #[test]
    fn six_eight_has_two_chords_a_bar_at_most() {
        let harmony = Harmony::from_bars(&[bar("I IV V"), bar("I")], Metre::SixEight, C_MAJOR);
        let ends: Vec<u32> = harmony.spans.iter().map(|span| span.end).collect();
        assert_eq!(ends, [1440, 2880, 5760]);
    }

    #[test]
    fn the_bass_takes_the_short_way() {
        let harmony = Harmony::from_bars(&[bar("I V/3 vi"), bar("IV V I")], Metre::FourFour, C_MAJOR);
        for pair in harmony.spans().windows(2) {
            // A fourth down is a fifth up at the bottom of the range, and so on: a sixth at most.
            assert!(pair[0].bass.abs_diff(pair[1].bass) <= 8, "{pair:?}");
        }
        for tonic in 0..12 {
            assert!((BASS_LOW..=BASS_HIGH).contains(&bass_key(tonic, None)));
        }
    }
}

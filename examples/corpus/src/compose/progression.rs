//! The chords of sections: phrases with cadences, loops, twelve bars, and what decorates them.

use super::form::PlannedSection;
use crate::metre::Metre;
use crate::piece::Label;
use crate::rng::Rng;
use crate::style::{Close, Style, twelve_bars};
use crate::theory::{Chord, Key, Mode};

/// The chords of a bar, and the key they are heard in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) key: Key,
    pub(crate) chords: Vec<Chord>,
}

impl Bar {
    /// Reads symbols parted by spaces.
    pub(crate) fn parse(symbols: &str, key: Key) -> Self {
        let chords =
            symbols.split_whitespace().filter_map(|symbol| Chord::parse(symbol, key.tonic)).collect();
        Self { key, chords }
    }

    fn in_key(&self, key: Key) -> Self {
        let up = |tone: u8| (tone + 12 + key.tonic - self.key.tonic) % 12;
        let chords = self
            .chords
            .iter()
            .map(|chord| Chord { root: up(chord.root), bass: up(chord.bass), ..chord.clone() })
            .collect();
        Self { key, chords }
    }

    fn tonic(key: Key) -> Self {
        Self { key, chords: vec![Chord::tonic(key)] }
    }
}

/// Bars of a text such as `I | vi | ii V`.
fn bars_of(text: &str, key: Key) -> Vec<Bar> {
    text.split('|').map(|symbols| Bar::parse(symbols, key)).collect()
}

/// Draws the bars of all sections; the last is the tonic of the last section's key.
pub(crate) fn draw(
    style: &Style,
    tempo_bpm: u32,
    metre: Metre,
    sections: &[PlannedSection],
    rng: &mut Rng,
) -> Vec<Bar> {
    /// Below this tempo, two bars of the texts share one bar of music.
    const SLOW_BPM: u32 = 80;
    let halve = tempo_bpm < SLOW_BPM && metre == Metre::FourFour;
    let mut known: Vec<(Label, Vec<Bar>)> = Vec::new();
    let mut bars: Vec<Bar> = Vec::new();
    let mut twelve = Twelve::of(style, sections, rng);
    for (index, section) in sections.iter().enumerate() {
        let next = sections.get(index + 1);
        if let Some(own) = twelve.as_mut().and_then(|twelve| twelve.section(section)) {
            bars.extend(own);
            continue;
        }
        let place = known.iter().position(|(label, _)| *label == section.label).unwrap_or_else(|| {
            let longest = sections.iter().filter(|s| s.label == section.label).map(|s| s.bars).max();
            known.push((section.label, body(style, section.key, longest.unwrap_or(4) as usize, halve, rng)));
            known.len() - 1
        });
        bars.extend(section_bars(style, section, next, &known[place].1, halve, rng));
    }
    end_well(&mut bars, style, rng);
    invert(&mut bars, style.inversions, rng);
    bars
}

/// The inner bars of a kind of section, at least `bars` of them.
fn body(style: &Style, key: Key, bars: usize, halve: bool, rng: &mut Rng) -> Vec<Bar> {
    let wanted = if halve { 2 * bars } else { bars };
    let mut cells = if rng.chance(style.phrased) {
        phrases(style, key, wanted, rng)
    } else {
        let text = rng.word(style.loops(key.mode));
        bars_of(text, key).into_iter().cycle().take(wanted).collect()
    };
    decorate(&mut cells, style, rng);
    if halve { merge(&cells) } else { cells }
}

/// Phrases of four bars, each an opening of two and a cadence; the second mostly opens as the first.
fn phrases(style: &Style, key: Key, wanted: usize, rng: &mut Rng) -> Vec<Bar> {
    /// How often two phrases open alike: antecedent and consequent.
    const PARALLEL: f64 = 0.65;
    let first = rng.word(style.heads(key.mode));
    let other = rng.word(style.heads(key.mode));
    let mut bars = Vec::new();
    let mut phrase = 0;
    while bars.len() < wanted {
        let alike = phrase % 2 == 0 || rng.chance(PARALLEL);
        bars.extend(bars_of(if alike { first } else { other }, key));
        let close = match (phrase % 2, rng.weighted(&[0.7, 0.15, 0.15])) {
            (0, 0) => Close::Half,
            (0, 1) => Close::Deceptive,
            _ => Close::Full,
        };
        bars.extend(bars_of(rng.word(style.idiom.closes(close, key.mode)), key));
        phrase += 1;
    }
    bars.truncate(wanted);
    bars
}

/// Two bars in one.
fn merge(cells: &[Bar]) -> Vec<Bar> {
    cells
        .chunks(2)
        .map(|pair| {
            let mut chords: Vec<Chord> = pair.iter().flat_map(|bar| bar.chords.iter().cloned()).collect();
            chords.dedup();
            Bar { key: pair[0].key, chords }
        })
        .collect()
}

/// A section: its body, and at the end what its place in the form asks for.
fn section_bars(
    style: &Style,
    section: &PlannedSection,
    next: Option<&PlannedSection>,
    body: &[Bar],
    halve: bool,
    rng: &mut Rng,
) -> Vec<Bar> {
    let count = section.bars as usize;
    let mut bars: Vec<Bar> = body.iter().cycle().take(count).map(|bar| bar.in_key(section.key)).collect();
    let Some(close) = closing(style, section, next, rng) else {
        return bars;
    };
    // What leads into another key is heard in that key.
    let key = if close == Close::Half { next.map_or(section.key, |next| next.key) } else { section.key };
    let cells = bars_of(rng.word(style.idiom.closes(close, key.mode)), key);
    let cadence = if halve { merge(&cells) } else { cells };
    let from = count.saturating_sub(cadence.len());
    if count > cadence.len() {
        bars.splice(from.., cadence);
    }
    bars
}

/// How a section closes; `None` leaves it as it is.
fn closing(
    style: &Style,
    section: &PlannedSection,
    next: Option<&PlannedSection>,
    rng: &mut Rng,
) -> Option<Close> {
    let changes_key = next.is_some_and(|next| next.key != section.key);
    let kinds = [Close::Half, Close::Full, Close::Deceptive, Close::Plagal];
    let weights = match (section.label, next.map(|next| next.label)) {
        (_, None) => [0.0, 0.7, 0.0, 0.3],
        (Label::Bridge, _) => [1.0, 0.0, 0.0, 0.0],
        (_, Some(_)) if changes_key => [1.0, 0.0, 0.0, 0.0],
        (Label::Chorus, Some(Label::Outro)) => [0.0, 0.45, 0.35, 0.2],
        (Label::Chorus, _) => [0.15, 0.5, 0.15, 0.2],
        (_, Some(Label::Chorus)) => [0.7, 0.2, 0.1, 0.0],
        _ => [0.45, 0.35, 0.1, 0.1],
    };
    let kind = kinds[rng.weighted(&weights)];
    let always = changes_key || next.is_none() || section.label == Label::Bridge;
    (rng.chance(style.closed) || always).then_some(kind)
}

/// The last bar is the tonic, the one before leads to it.
fn end_well(bars: &mut [Bar], style: &Style, rng: &mut Rng) {
    let close = if rng.chance(style.plagal) { Close::Plagal } else { Close::Full };
    if let [.., before, last] = bars {
        let cadence = bars_of(rng.word(style.idiom.closes(close, last.key.mode)), last.key);
        if let Some(leading) = cadence.into_iter().next() {
            *before = leading;
        }
        *last = Bar::tonic(last.key);
    }
}

/// Secondary dominants before chords that bear one, and the borrowed minor subdominant before the tonic.
fn decorate(bars: &mut [Bar], style: &Style, rng: &mut Rng) {
    for index in 1..bars.len() {
        let (before, after) = bars.split_at_mut(index);
        let (Some(bar), Some(next)) = (before.last_mut(), after.first()) else {
            continue;
        };
        let (colour, borrow) = (rng.chance(style.chromatic), rng.chance(style.borrowed));
        let ([only], Some(target)) = (&bar.chords[..], next.chords.first()) else {
            continue;
        };
        let up = (target.root + 12 - bar.key.tonic) % 12;
        let is_subdominant = only.root == (bar.key.tonic + 5) % 12 && only.third() == 4;
        if borrow && bar.key.mode == Mode::Major && is_subdominant && up == 0 {
            let minor = Chord { intervals: vec![0, 3, 7], ..only.clone() };
            bar.chords.push(minor);
        } else if colour && bears_dominant(bar.key, target) && only.root != target.root {
            bar.chords.push(target.dominant());
        }
    }
}

/// Whether a chord of the key is a consonant one other than the tonic.
fn bears_dominant(key: Key, target: &Chord) -> bool {
    let up = (target.root + 12 - key.tonic) % 12;
    let roots: &[u8] = if key.mode == Mode::Major { &[2, 5, 7, 9] } else { &[3, 5, 7, 8] };
    roots.contains(&up) && target.intervals.contains(&7)
}

/// Puts the third into the bass where the line then moves by step.
fn invert(bars: &mut [Bar], share: f64, rng: &mut Rng) {
    let count = bars.len();
    let places: Vec<(usize, usize)> = bars
        .iter()
        .enumerate()
        .flat_map(|(bar, content)| (0..content.chords.len()).map(move |chord| (bar, chord)))
        .collect();
    for window in places.windows(3) {
        let [from, (bar, index), to] = [window[0], window[1], window[2]];
        let bass = |(bar, chord): (usize, usize)| bars[bar].chords[chord].bass;
        let (before, after) = (bass(from), bass(to));
        let chord = &bars[bar].chords[index];
        let third = (chord.root + chord.third()) % 12;
        let way = |tone: u8| apart(before, tone) + apart(tone, after);
        let is_plain = chord.bass == chord.root && matches!(chord.third(), 3 | 4);
        // Phrases begin, and the piece ends, in root position.
        let is_inner = bar % 4 != 0 && bar + 2 < count;
        if is_plain && is_inner && way(third) + 2 <= way(chord.root) && rng.chance(share) {
            bars[bar].chords[index].bass = third;
        }
    }
}

/// Semitones between two pitch classes, the short way.
fn apart(one: u8, other: u8) -> u8 {
    let up = (one + 12 - other) % 12;
    up.min(12 - up)
}

/// A twelve-bar progression that runs through verse and chorus.
struct Twelve {
    text: &'static str,
    next_bar: usize,
}

impl Twelve {
    fn of(style: &Style, sections: &[PlannedSection], rng: &mut Rng) -> Option<Self> {
        let bars = |label| sections.iter().find(|s| s.label == label).map_or(0, |s| s.bars);
        let fits = matches!((bars(Label::Verse), bars(Label::Chorus)), (12, 12) | (8, 4));
        let mode = sections.first()?.key.mode;
        let text = rng.word(twelve_bars(mode));
        (style.has_twelve_bars() && fits).then_some(Self { text, next_bar: 0 })
    }

    /// The bars of a verse or chorus; an intro has the last bars of the twelve; an outro has none of them.
    fn section(&mut self, section: &PlannedSection) -> Option<Vec<Bar>> {
        let count = section.bars as usize;
        let first = match section.label {
            Label::Verse | Label::Chorus => self.next_bar,
            Label::Intro => 12 - count.min(12),
            _ => return None,
        };
        if section.label != Label::Intro {
            self.next_bar = (first + count) % 12;
        }
        let bars = bars_of(self.text, section.key);
        Some(bars.into_iter().cycle().skip(first).take(count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::STYLES;

    const C_MAJOR: Key = Key { tonic: 0, mode: Mode::Major };

    fn roots(bar: &Bar) -> Vec<u8> {
        bar.chords.iter().map(|chord| chord.root).collect()
    }

    #[test]
    fn a_secondary_dominant_leads_to_its_chord() {
        let style = STYLES[0];
        let rng = &mut Rng::for_piece(1, 0, crate::rng::Purpose::Music);
        let found = (0..40).any(|_| {
            let mut bars = bars_of("I | ii | V | I", C_MAJOR);
            decorate(&mut bars, style, rng);
            roots(&bars[0]) == [0, 9]
        });
        assert!(found);
    }

    #[test]
    fn the_bass_moves_by_step_through_an_inversion() {
        let mut bars = bars_of("I | V | vi | IV | V | I", C_MAJOR);
        invert(&mut bars, 1.0, &mut Rng::for_piece(1, 0, crate::rng::Purpose::Music));
        assert_eq!(bars[1].chords[0].bass, 11);
        assert_eq!(bars[5].chords[0].bass, 0);
    }

    #[test]
    fn bars_are_moved_into_another_key() {
        let d_major = Key { tonic: 2, ..C_MAJOR };
        assert_eq!(Bar::parse("V/3", C_MAJOR).in_key(d_major), Bar::parse("V/3", d_major));
        assert_eq!(Bar::parse("V", d_major).in_key(C_MAJOR), Bar::parse("V", C_MAJOR));
    }
}

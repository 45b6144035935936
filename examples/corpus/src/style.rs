//! The styles: their tempi, harmony, patterns and instruments.
//!
//! Patterns are strings of one character per sixteenth note, one bar of 4/4 long; bars of 3/4 and 6/8 have
//! patterns of their own. All of them are our own choices, kept simple enough for a small codec to learn.

mod acoustic;
mod cadence;
mod electronic;
mod groove;
mod jazz;
mod pop;

use crate::family::Family;
use crate::metre::Metre;
use crate::theory::Mode;
pub(crate) use cadence::{Close, Idiom};

/// What the style files need.
mod prelude {
    pub(super) use super::BassLine::{Pattern, Walking};
    pub(super) use super::Comp::{Arpeggio, Hits, Hold, Strum};
    pub(super) use super::{Fill, Groove, Idiom, Style};
    pub(super) use crate::family::Family::*;
}

/// How a chordal part plays the chords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comp {
    /// Held for as long as the chord lasts.
    Hold,
    /// `x`: struck and held until the next mark; `s`: struck short; `1` to `4`: one note of the chord, counted from
    /// below; `b`: its bass note; `f`: the fifth below or above the bass; `.`: nothing new.
    Hits(&'static str),
    /// As `Hits`, the notes of `x` rolled upward by some milliseconds, those of `u` downward and softer.
    Strum(&'static str),
    /// Chord tones up and down, one per so many sixteenths.
    Arpeggio(u32),
}

/// How the bass moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BassLine {
    /// `r` bass note of the chord, `t` third, `f` fifth, `6` sixth, `7` seventh, `o` octave, `a` approach to the next
    /// chord, `n` the next chord's bass note ahead of its time, `-` hold (at the beginning: from the bar before),
    /// `.` rest.
    Pattern(&'static str),
    /// One note a beat that steps towards the next chord.
    Walking,
}

/// One drum of a groove: its General MIDI key and its strokes (`X` accent, `x` normal, `o` soft, `g` ghost).
pub(crate) type DrumLine = (u8, &'static str);

/// A drum pattern in a quiet and a full form.
#[derive(Debug)]
pub(crate) struct Groove {
    /// For verses.
    pub(crate) light: &'static [DrumLine],
    /// For choruses.
    pub(crate) full: &'static [DrumLine],
}

/// How the drums lead from one section into the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// From the snare down the toms.
    Toms,
    /// Snare strokes between ghost notes.
    Snare,
    /// A snare roll that grows and doubles its speed.
    Roll,
    /// Loose strokes of snare, tom and kick.
    Jazz,
    /// High toms and rim strokes against the beat.
    Timbale,
    /// Two rim strokes and an open hi-hat.
    Rim,
    /// Nothing.
    None,
}

type Texts = &'static [&'static str];

/// Everything that makes a style.
#[derive(Debug)]
pub struct Style {
    /// The manifest's tag.
    pub name: &'static str,
    /// Other words captions use for it.
    pub words: &'static [&'static str],
    /// Slowest and fastest tempo, beats per minute.
    pub tempo_bpm: (u32, u32),
    pub(crate) minor_share: f64,
    /// Shares of 4/4, 3/4 and 6/8.
    pub(crate) metres: [f64; 3],
    pub(crate) idiom: Idiom,
    /// How often a section is made of phrases with cadences instead of a loop.
    pub(crate) phrased: f64,
    /// How often a section ends on a cadence of its own.
    pub(crate) closed: f64,
    /// How often a chord is led to by its own dominant.
    pub(crate) chromatic: f64,
    /// How often the subdominant turns minor before a major tonic.
    pub(crate) borrowed: f64,
    /// How often the bass takes a chord's third where it then moves by step.
    pub(crate) inversions: f64,
    /// How often the last cadence is plagal.
    pub(crate) plagal: f64,
    /// Whether a bridge may be in another key.
    pub(crate) modulates: bool,
    /// How often a last chorus is raised.
    pub(crate) lift_share: f64,
    /// Where the second eighth of a beat falls: 0.5 is straight, 0.667 a full triplet swing.
    pub(crate) swing: f64,
    /// How far its tunes lie behind the beat.
    pub(crate) behind_secs: f64,
    pub(crate) drums_share: f64,
    pub(crate) bass_share: f64,
    /// Whether its melodies leave out the fourth and seventh (major) or second and sixth (minor).
    pub(crate) pentatonic: bool,
    /// How busy its melodies are, 0 to 1.
    pub(crate) density: f64,
    /// How often a melody's note comes an eighth before its beat.
    pub(crate) syncopation: f64,
    /// The share of a melody's note that sounds.
    pub(crate) legato: f64,
    /// Loops in major and minor: bars parted by `|`, chords of a bar by spaces.
    pub(crate) loops: (Texts, Texts),
    /// Two-bar openings of phrases.
    pub(crate) heads: (Texts, Texts),
    pub(crate) melody: &'static [Family],
    pub(crate) chords: &'static [Family],
    pub(crate) colour: &'static [Family],
    /// Programs it prefers.
    pub(crate) programs: &'static [(Family, &'static [u8])],
    pub(crate) comps: &'static [Comp],
    pub(crate) basses: &'static [BassLine],
    pub(crate) grooves: &'static [Groove],
    pub(crate) fill: Fill,
    /// How loud and driving it is by nature, 0 to 1.
    pub(crate) loudness: f64,
    /// Moods of its own, beside those of mode and tempo.
    pub(crate) moods: &'static [&'static str],
}

impl Style {
    /// Its loops in a mode.
    pub(crate) fn loops(&self, mode: Mode) -> Texts {
        if mode == Mode::Major { self.loops.0 } else { self.loops.1 }
    }

    /// The openings of its phrases in a mode.
    pub(crate) fn heads(&self, mode: Mode) -> Texts {
        if mode == Mode::Major { self.heads.0 } else { self.heads.1 }
    }

    /// Whether it knows the twelve-bar form.
    pub(crate) fn has_twelve_bars(&self) -> bool {
        self.name == "blues"
    }

    /// Its chordal figures in a metre.
    pub(crate) fn comps(&self, metre: Metre) -> &'static [Comp] {
        match metre {
            Metre::FourFour => self.comps,
            Metre::ThreeFour => WALTZ_COMPS,
            Metre::SixEight => SIX_COMPS,
        }
    }

    /// Its bass lines in a metre.
    pub(crate) fn basses(&self, metre: Metre) -> &'static [BassLine] {
        match metre {
            Metre::FourFour => self.basses,
            Metre::ThreeFour if self.idiom == Idiom::Jazz => &[BassLine::Walking],
            Metre::ThreeFour => WALTZ_BASSES,
            Metre::SixEight => SIX_BASSES,
        }
    }

    /// Its grooves in a metre.
    pub(crate) fn grooves(&self, metre: Metre) -> &'static [Groove] {
        match metre {
            Metre::FourFour => self.grooves,
            Metre::ThreeFour if self.idiom == Idiom::Jazz => JAZZ_WALTZ_GROOVES,
            Metre::ThreeFour => WALTZ_GROOVES,
            Metre::SixEight => SIX_GROOVES,
        }
    }
}

/// Twelve-bar progressions.
pub(crate) fn twelve_bars(mode: Mode) -> Texts {
    match mode {
        Mode::Major => &[
            "I7 | I7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7",
            "I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 IV7 | I7 V7",
            "I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | V7>ii | ii7 | V7 | I7 V7>ii | ii7 V7",
        ],
        Mode::Minor => &[
            "i7 | i7 | i7 | i7 | iv7 | iv7 | i7 | i7 | bVI7 | V7 | i7 | V7",
            "i7 | iv7 | i7 | i7 | iv7 | iv7 | i7 | i7 | iim7b5 | V7 | i7 | iim7b5 V7",
        ],
    }
}

const WALTZ_COMPS: &[Comp] = &[
    Comp::Hits("b...s...s..."),
    Comp::Hits("1.2.3.2.3.2."),
    Comp::Hold,
    Comp::Hits("b...x...x..."),
    Comp::Strum("b...x.u.x.u."),
];
const SIX_COMPS: &[Comp] = &[
    Comp::Hits("1.2.3.1.2.3."),
    Comp::Hits("1.2.3.4.3.2."),
    Comp::Hits("b...s.f...s."),
    Comp::Hits("x.....x....."),
    Comp::Strum("x...u.x...u."),
];
const WALTZ_BASSES: &[BassLine] = &[
    BassLine::Pattern("r-------f---"),
    BassLine::Pattern("r-----------"),
    BassLine::Pattern("r-------a---"),
];
const SIX_BASSES: &[BassLine] = &[
    BassLine::Pattern("r-----f-----"),
    BassLine::Pattern("r---r-f---a-"),
    BassLine::Pattern("r-----------"),
];
const WALTZ_GROOVES: &[Groove] = &[
    Groove {
        light: &[(42, "x...o...o..."), (36, "x...........")],
        full: &[(42, "x.o.x.o.x.o."), (36, "X..........."), (38, "....o...o...")],
    },
    Groove {
        light: &[(42, "....x...x..."), (36, "x...........")],
        full: &[(51, "x...x.o.x.o."), (36, "X.......x..."), (38, "....x...x..g")],
    },
];
const JAZZ_WALTZ_GROOVES: &[Groove] = &[Groove {
    light: &[(51, "x...x.o.x..."), (44, "....x.......")],
    full: &[(51, "x...x.x.x.o."), (44, "....x...x..."), (36, "x.....o....."), (38, "..........g.")],
}];
const SIX_GROOVES: &[Groove] = &[
    Groove {
        light: &[(42, "x.o.o.x.o.o."), (36, "x..........."), (37, "......x.....")],
        full: &[(42, "x.o.o.x.o.o."), (36, "X.........x."), (38, "......X.....")],
    },
    Groove {
        light: &[(42, "x...o.x...o."), (36, "x...........")],
        full: &[(51, "x.x.x.x.x.x."), (36, "X...x......."), (38, "......X....g")],
    },
];

/// Every style.
pub const STYLES: [&Style; 12] = [
    &pop::POP,
    &pop::ROCK,
    &jazz::JAZZ,
    &acoustic::CLASSICAL,
    &electronic::ELECTRONIC,
    &acoustic::FOLK,
    &groove::LATIN,
    &electronic::AMBIENT,
    &groove::FUNK,
    &groove::BLUES,
    &jazz::LOFI,
    &groove::REGGAE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::Chord;

    fn symbols(progression: &str) -> impl Iterator<Item = &str> {
        progression.split(['|', ' ']).filter(|symbol| !symbol.is_empty())
    }

    #[test]
    fn every_chord_symbol_parses() {
        for mode in [Mode::Major, Mode::Minor] {
            let own = STYLES.iter().flat_map(|style| style.loops(mode).iter().chain(style.heads(mode)));
            for progression in own.chain(twelve_bars(mode)) {
                for symbol in symbols(progression) {
                    assert!(Chord::parse(symbol, 0).is_some(), "{symbol}");
                }
            }
        }
    }

    #[test]
    fn texts_have_their_bars() {
        for mode in [Mode::Major, Mode::Minor] {
            assert!(twelve_bars(mode).iter().all(|text| text.split('|').count() == 12));
            for style in STYLES {
                assert!(style.loops(mode).iter().all(|text| text.split('|').count() == 4), "{}", style.name);
                assert!(style.heads(mode).iter().all(|text| text.split('|').count() == 2), "{}", style.name);
            }
        }
    }

    #[test]
    fn patterns_are_a_bar_long_and_well_spelt() {
        let well = |text: &str, marks: &str, metre: Metre| {
            assert!(
                text.len() == metre.bar_steps() as usize && text.chars().all(|c| marks.contains(c)),
                "{text}"
            );
        };
        for (style, metre) in STYLES.iter().flat_map(|style| Metre::ALL.map(|metre| (style, metre))) {
            for comp in style.comps(metre) {
                if let Comp::Hits(p) | Comp::Strum(p) = comp {
                    well(p, "xsubf1234.", metre);
                }
            }
            for bass in style.basses(metre) {
                if let BassLine::Pattern(p) = bass {
                    well(p, "rtf67oan-.", metre);
                }
            }
            for (_, p) in style.grooves(metre).iter().flat_map(|g| g.light.iter().chain(g.full)) {
                well(p, "Xxog.", metre);
            }
        }
    }

    #[test]
    fn tempi_reach_from_60_to_180() {
        let slowest = STYLES.iter().map(|style| style.tempo_bpm.0).min();
        let fastest = STYLES.iter().map(|style| style.tempo_bpm.1).max();
        assert_eq!((slowest, fastest), (Some(60), Some(180)));
        for bpm in 60..=180 {
            assert!(STYLES.iter().any(|s| (s.tempo_bpm.0..=s.tempo_bpm.1).contains(&bpm)), "{bpm}");
        }
    }
}

//! A composed piece: notes in ticks, sections, lyrics and words.

use crate::family::{Family, Program, Split};
use crate::metre::Metre;
use crate::scores::Provenance;
use crate::theory::{Chord, Key};

/// Ticks of a quarter note; all music is written on this grid, in MIDI and in sound.
pub const TICKS_PER_BEAT: u32 = 960;
/// Ticks of a sixteenth note, the step of all patterns.
pub(crate) const STEP: u32 = TICKS_PER_BEAT / 4;
/// Sampling rate of all rendered sound.
pub const SAMPLE_RATE_HZ: u32 = 48_000;
/// Time after the last bar line in which the final notes ring out.
pub(crate) const TAIL_SECS: f64 = 1.8;

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Start, ticks from the beginning of the piece.
    pub start: u32,
    /// Length in ticks, at least 1.
    pub length: u32,
    /// MIDI key, 0 to 127.
    pub key: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
}

impl Note {
    /// First tick after the note.
    pub fn end(&self) -> u32 {
        self.start + self.length
    }
}

/// What a part does in the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The only part: melody and, where the instrument can, its own accompaniment.
    Solo,
    /// The tune.
    Melody,
    /// Chords in the style's figures.
    Chords,
    /// Long chords.
    Pad,
    /// Broken chords.
    Arpeggio,
    /// A slow second voice.
    Counter,
    /// The bass line.
    Bass,
    /// The drum kit.
    Drums,
}

/// One instrument's part.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The instrument family; no two parts of a piece share one.
    pub family: Family,
    /// The General MIDI program.
    pub program: &'static Program,
    /// What the part does.
    pub role: Role,
    /// The notes, by start, then key; no two of the same key overlap.
    pub notes: Vec<Note>,
}

/// The kind of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The names say it.
pub enum Label {
    Intro,
    Verse,
    Chorus,
    Bridge,
    Outro,
}

impl Label {
    /// The manifest's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intro => "intro",
            Self::Verse => "verse",
            Self::Chorus => "chorus",
            Self::Bridge => "bridge",
            Self::Outro => "outro",
        }
    }
}

/// A section of the piece; sections tile it from tick 0 to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its kind.
    pub label: Label,
    /// Its key: the piece's, but for some bridges and last choruses.
    pub key: Key,
    /// First tick.
    pub start: u32,
    /// First tick after it.
    pub end: u32,
    /// Loudness and density, 0 to 1.
    pub energy: f64,
    /// The families that start a note in it.
    pub families: Vec<Family>,
    /// What it sounds like, in words.
    pub caption: String,
}

/// A syllable timed on a melody note. It is text only: nothing sings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lyric {
    /// First tick.
    pub start: u32,
    /// First tick after it.
    pub end: u32,
    /// The syllable or word.
    pub text: String,
}

/// A chord, when it sounds, and the key it is heard in.
#[derive(Clone, Debug, PartialEq)]
pub struct ChordSpan {
    /// First tick.
    pub start: u32,
    /// First tick after it.
    pub end: u32,
    /// The chord.
    pub chord: Chord,
    /// The key.
    pub key: Key,
}

/// A composed piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Index in its corpus.
    pub index: u64,
    /// Which half of the corpus it belongs to.
    pub split: Split,
    /// Name of its style (see [`crate::Style`]).
    pub style: &'static str,
    /// Its home key.
    pub key: Key,
    /// Quarter notes per minute; see [`Piece::beats_per_minute`] for the tempo one claps.
    pub tempo_bpm: u32,
    /// Its metre.
    pub metre: Metre,
    /// One word for its mood.
    pub mood: &'static str,
    /// The parts.
    pub parts: Vec<Part>,
    /// The chords that the parts were written over, without a gap up to the last bar line; not known of arrangements.
    pub chords: Vec<ChordSpan>,
    /// The sections.
    pub sections: Vec<Section>,
    /// The lyrics (empty for most pieces).
    pub lyrics: Vec<Lyric>,
    /// Descriptions, at least three.
    pub captions: Vec<String>,
    /// The score it was arranged from; `None` for composed pieces.
    pub source: Option<Provenance>,
}

impl Piece {
    /// Whether anything is heard of its key: not where drums are alone.
    pub fn has_key(&self) -> bool {
        self.parts.iter().any(|part| part.family != Family::Drums)
    }

    /// The six-digit name of its files.
    pub fn id(&self) -> String {
        format!("{:06}", self.index)
    }

    /// The tempo, 60 to 180: quarter notes per minute, in 6/8 dotted ones.
    pub fn beats_per_minute(&self) -> u32 {
        self.tempo_bpm * TICKS_PER_BEAT / self.metre.beat_ticks()
    }

    /// Length in ticks, the ringing out included.
    pub fn end(&self) -> u32 {
        self.sections.last().map_or(0, |section| section.end)
    }

    /// Seconds from the beginning to a tick.
    pub fn secs(&self, tick: u32) -> f64 {
        ticks_to_secs(tick, self.tempo_bpm)
    }

    /// Length of its sound in samples per channel.
    pub fn frames(&self) -> usize {
        (self.secs(self.end()) * f64::from(SAMPLE_RATE_HZ)).round() as usize
    }

    /// Length of its sound in seconds.
    pub fn duration_secs(&self) -> f64 {
        self.frames() as f64 / f64::from(SAMPLE_RATE_HZ)
    }
}

/// Seconds of so many ticks.
pub(crate) fn ticks_to_secs(ticks: u32, tempo_bpm: u32) -> f64 {
    f64::from(ticks) * 60.0 / (f64::from(tempo_bpm) * f64::from(TICKS_PER_BEAT))
}

/// The nearest tick to a time in seconds.
pub(crate) fn secs_to_ticks(secs: f64, tempo_bpm: u32) -> u32 {
    (secs * f64::from(tempo_bpm) * f64::from(TICKS_PER_BEAT) / 60.0).round() as u32
}

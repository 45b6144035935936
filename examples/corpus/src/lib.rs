#![doc = include_str!("../README.md")]

mod compose;
mod dataset;
mod error;
mod family;
mod lyrics;
mod manifest;
mod metre;
mod midi;
mod piece;
mod render;
mod rng;
mod scores;
mod style;
mod theory;
mod wav;
mod words;

pub use compose::{compose, compose_solo};
pub use dataset::{Amount, Corpus, Progress, Report, write_corpus};
pub use error::{Error, Result};
pub use family::{Family, Program, Split, mentioned};
pub use manifest::{Lyric, PieceRecord, SectionRecord, Stem, Tags, read_manifest};
pub use metre::Metre;
pub use midi::to_midi;
pub use piece::{
    ChordSpan, Label, Lyric as TickLyric, Note, Part, Piece, Role, SAMPLE_RATE_HZ, Section, TICKS_PER_BEAT,
};
pub use render::{Mix, Renderer};
pub use scores::{Provenance, Scores, make};
pub use style::{STYLES, Style};
pub use theory::{Chord, Key, Mode, all_keys, scale_over};

//! Tags: tempo, key, style, mood, instruments; from fields or read out of free text.

mod key;
mod parse;
mod vocab;

use serde::{Deserialize, Serialize};

pub use key::Key;
pub use parse::parse;
pub(crate) use vocab::expect_names;
pub use vocab::{TagVocab, TempoBuckets};

/// Global properties of a song; each may be left open.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    /// Beats per minute.
    pub tempo_bpm: Option<f64>,
    /// Tonic and mode.
    pub key: Option<Key>,
    /// Style, such as `jazz`.
    pub style: Option<String>,
    /// Mood, such as `calm`.
    pub mood: Option<String>,
    /// Instrument families that sound.
    pub instruments: Vec<String>,
}

impl Tags {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These tags, with what they leave open taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            tempo_bpm: self.tempo_bpm.or(other.tempo_bpm),
            key: self.key.or(other.key),
            style: self.style.or(other.style),
            mood: self.mood.or(other.mood),
            instruments: if self.instruments.is_empty() { other.instruments } else { self.instruments },
        }
    }
}

//! The manifest: one JSON object per line and piece, sorted by id.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::family::Split;
use crate::piece::Piece;
use crate::scores::Provenance;

/// A line of the manifest. Paths are relative to the manifest, with `/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PieceRecord {
    /// Six digits.
    pub id: String,
    /// The mix, 48 kHz mono, 16 bit.
    pub audio: String,
    /// Length of the mix.
    pub duration_secs: f64,
    /// Descriptions of the whole piece.
    pub captions: Vec<String>,
    /// Facts of the whole piece.
    pub tags: Tags,
    /// Syllables on the tune's notes; text only.
    pub lyrics: Vec<Lyric>,
    /// Sections that tile the duration.
    pub sections: Vec<SectionRecord>,
    /// Each part alone (empty when stems were not asked for).
    pub stems: Vec<Stem>,
    /// Which half of the corpus it belongs to.
    pub split: Split,
    /// The score it was arranged from; absent for composed pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Provenance>,
}

/// Facts of a piece.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tags {
    /// Beats per minute: quarter notes, in 6/8 dotted ones.
    pub tempo_bpm: f64,
    /// The home key, such as `C major` or `F# minor`; absent where drums are alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Such as `3/4`; empty in manifests older than this field.
    #[serde(default)]
    pub metre: String,
    /// Name of the style.
    pub style: String,
    /// One word.
    pub mood: String,
    /// Names of the instrument families.
    pub instruments: Vec<String>,
}

/// A timed syllable or word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lyric {
    /// Start.
    pub start_secs: f64,
    /// End.
    pub end_secs: f64,
    /// The text.
    pub text: String,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionRecord {
    /// `intro`, `verse`, `chorus`, `bridge` or `outro`.
    pub label: String,
    /// Start.
    pub start_secs: f64,
    /// End: the start of the next section, or the duration.
    pub end_secs: f64,
    /// Its key; empty where drums are alone, and in manifests older than this field.
    #[serde(default)]
    pub key: String,
    /// Families that play in it.
    pub instruments: Vec<String>,
    /// A description.
    pub caption: String,
}

/// One part alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Name of the instrument family.
    pub family: String,
    /// General MIDI program, from 0 (for drums: the kit).
    pub program: u8,
    /// The sound of the part, at its level in the mix.
    pub audio: String,
}

impl PieceRecord {
    /// The record of a piece, with or without stems.
    pub fn of(piece: &Piece, stems: bool) -> Self {
        let stems = if stems { piece.parts.as_slice() } else { &[] };
        Self {
            id: piece.id(),
            audio: audio_path(piece),
            duration_secs: piece.duration_secs(),
            captions: piece.captions.clone(),
            tags: Tags {
                tempo_bpm: f64::from(piece.beats_per_minute()),
                key: piece.has_key().then(|| piece.key.name()),
                metre: piece.metre.name().to_owned(),
                style: piece.style.to_owned(),
                mood: piece.mood.to_owned(),
                instruments: piece.parts.iter().map(|part| part.family.name().to_owned()).collect(),
            },
            lyrics: lyrics(piece),
            sections: sections(piece),
            stems: stems
                .iter()
                .enumerate()
                .map(|(index, part)| Stem {
                    family: part.family.name().to_owned(),
                    program: part.program.number,
                    audio: stem_path(piece, index),
                })
                .collect(),
            split: piece.split,
            source: piece.source.clone(),
        }
    }
}

/// Where the mix lies.
pub(crate) fn audio_path(piece: &Piece) -> String {
    format!("audio/{}.wav", piece.id())
}

/// Where the notes lie.
pub(crate) fn midi_path(piece: &Piece) -> String {
    format!("midi/{}.mid", piece.id())
}

/// Where a part's sound lies.
pub(crate) fn stem_path(piece: &Piece, part: usize) -> String {
    let name = piece.parts.get(part).map_or("", |part| part.family.name());
    format!("stems/{}/{name}.wav", piece.id())
}

/// To the microsecond, which is enough for any reader.
fn rounded(secs: f64) -> f64 {
    (secs * 1e6).round() / 1e6
}

fn lyrics(piece: &Piece) -> Vec<Lyric> {
    piece
        .lyrics
        .iter()
        .map(|lyric| Lyric {
            start_secs: rounded(piece.secs(lyric.start)),
            end_secs: rounded(piece.secs(lyric.end)).min(piece.duration_secs()),
            text: lyric.text.clone(),
        })
        .collect()
}

fn sections(piece: &Piece) -> Vec<SectionRecord> {
    let last = piece.sections.len().saturating_sub(1);
    piece
        .sections
        .iter()
        .enumerate()
        .map(|(index, section)| SectionRecord {
            label: section.label.name().to_owned(),
            start_secs: rounded(piece.secs(section.start)),
            end_secs: if index == last { piece.duration_secs() } else { rounded(piece.secs(section.end)) },
            key: if piece.has_key() { section.key.name() } else { String::new() },
            instruments: section.families.iter().map(|family| family.name().to_owned()).collect(),
            caption: section.caption.clone(),
        })
        .collect()
}

/// Reads a manifest.
///
/// # Errors
/// When the file cannot be read or a line is not a piece (the error names the line).
pub fn read_manifest(path: &Path) -> Result<Vec<PieceRecord>> {
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    let mut records = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|source| Error::io(path, source))?;
        if line.trim().is_empty() {
            continue;
        }
        records.push(serde_json::from_str(&line).map_err(|source| Error::Json {
            path: path.to_path_buf(),
            line: index + 1,
            source,
        })?);
    }
    Ok(records)
}

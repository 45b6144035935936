//! The manifest of a corpus: one JSON object a line, paths relative to the manifest.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training.
    #[default]
    Train,
    /// Validation and evaluation.
    Heldout,
}

/// Global properties of a recording; each may be unknown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tags {
    /// Beats per minute.
    pub tempo_bpm: Option<f64>,
    /// Tonic and mode, such as `C major` or `F# minor`.
    pub key: Option<String>,
    /// Style, such as `jazz`.
    pub style: Option<String>,
    /// Mood, such as `calm`.
    pub mood: Option<String>,
    /// Instrument families that sound.
    pub instruments: Vec<String>,
}

/// A word or syllable with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LyricLine {
    /// Start.
    pub start_secs: f64,
    /// End; the start of the next line where unknown.
    #[serde(default)]
    pub end_secs: Option<f64>,
    /// Text.
    pub text: String,
}

/// A part of the form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Kind, such as `verse`.
    pub label: String,
    /// Start.
    pub start_secs: f64,
    /// End.
    pub end_secs: f64,
    /// Instrument families that sound in it.
    #[serde(default)]
    pub instruments: Vec<String>,
    /// Description.
    #[serde(default)]
    pub caption: Option<String>,
}

/// A separate recording of one part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stem {
    /// Instrument family.
    pub family: String,
    /// General MIDI program, where known.
    #[serde(default)]
    pub program: Option<u8>,
    /// Audio file.
    pub audio: PathBuf,
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Unique name.
    pub id: String,
    /// Audio file.
    pub audio: PathBuf,
    /// Length.
    pub duration_secs: f64,
    /// Descriptions of the whole.
    #[serde(default)]
    pub captions: Vec<String>,
    /// Global properties.
    #[serde(default)]
    pub tags: Tags,
    /// Words with their times.
    #[serde(default)]
    pub lyrics: Vec<LyricLine>,
    /// The form.
    #[serde(default)]
    pub sections: Vec<Section>,
    /// Separate parts.
    #[serde(default)]
    pub stems: Vec<Stem>,
    /// What it is for.
    #[serde(default)]
    pub split: Split,
}

/// The records of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    root: PathBuf,
    records: Vec<Record>,
}

impl Dataset {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::Format`] names the line that is not a record; [`Error::Input`] when there is none.
    pub fn open(manifest: impl AsRef<Path>) -> Result<Self> {
        let manifest = manifest.as_ref();
        let file = File::open(manifest).map_err(Error::io(manifest))?;
        let mut records = Vec::new();
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(Error::io(manifest))?;
            if line.trim().is_empty() {
                continue;
            }
            let parsed = serde_json::from_str(&line);
            records.push(parsed.map_err(|e| Error::format(manifest, format!("line {}: {e}", index + 1)))?);
        }
        if records.is_empty() {
            return Err(Error::format(manifest, "holds no records"));
        }
        let root = manifest.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { root, records })
    }

    /// All records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// A path of a record, resolved against the manifest's folder.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

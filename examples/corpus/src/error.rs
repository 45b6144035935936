//! What can go wrong while a corpus is written.

use std::path::{Path, PathBuf};

/// An error of the corpus generator; each names its culprit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The soundfont file is not one that can be played.
    #[error("soundfont {path}: {source}")]
    SoundFont {
        /// The soundfont file.
        path: PathBuf,
        /// What the reader said.
        source: rustysynth::SoundFontError,
    },
    /// The synthesiser refused its settings.
    #[error("synthesiser: {0}")]
    Synthesizer(#[from] rustysynth::SynthesizerError),
    /// A JSON file does not hold what it should.
    #[error("{path}, line {line}: {source}")]
    Json {
        /// The JSON file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A program of the soundfont is silent, so it cannot be levelled.
    #[error("soundfont program {program} ({kind}) is silent: is this a General MIDI soundfont?")]
    SilentProgram {
        /// The General MIDI program, from 0.
        program: u8,
        /// `melodic` or `drum kit`.
        kind: &'static str,
    },
    /// A score cannot be used.
    #[error("score {path}: {what}")]
    Score {
        /// The MIDI file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The output folder holds another corpus.
    #[error("{path} was made with {field} = {found}, this run asks for {wanted}: choose another --out")]
    OtherRun {
        /// The settings file in the output folder.
        path: PathBuf,
        /// The setting that differs.
        field: &'static str,
        /// Its value in the folder.
        found: String,
        /// Its value in this run.
        wanted: String,
    },
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(String),
}

/// The result of a fallible step.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

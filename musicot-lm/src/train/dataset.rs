//! Recordings as tokens: what the other stages make of a corpus, ready for training.
//!
//! A directory: `dataset.json` (sizes), `pieces.jsonl` (one piece a line), `tensors.safetensors` with the tokens of all pieces one after
//! the other: `audio` i32 `[tokens]`, `thoughts` i32 `[windows, levels]`, `audio_clap` f32 `[pieces, dim]`, `text_clap` f32
//! `[captions, dim]`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use musicot_core::Checkpoint;
use musicot_core::checkpoint::{self, Storage};
use musicot_core::files::{read_json, write_atomic, write_json};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::train::Record;
use musicot_core::{Error as CoreError, tensor};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::tags::Tags;
use crate::vocab::AudioToken;
use crate::{Error, MusicLmConfig, Result};

/// Version of the format.
const FORMAT: u32 = 1;

/// Sizes that all pieces share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenInfo {
    /// Version of the format.
    pub format: u32,
    /// Size of the audio tokens' vocabulary.
    pub audio_tokens: usize,
    /// Audio tokens of a plan window.
    pub window_tokens: usize,
    /// Levels of a thought.
    pub levels: usize,
    /// Codes of a level.
    pub codebook_size: usize,
    /// Width of the CLAP embeddings.
    pub clap_dim: usize,
}

impl TokenInfo {
    /// The sizes a model is made for.
    pub fn of(config: &MusicLmConfig) -> Self {
        Self {
            format: FORMAT,
            audio_tokens: config.vocab.audio_tokens,
            window_tokens: config.window_tokens(),
            levels: config.vocab.levels,
            codebook_size: config.vocab.codebook_size,
            clap_dim: config.clap_dim as usize,
        }
    }
}

/// A section with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedSection {
    /// Kind, such as `verse`.
    pub label: String,
    /// Start, seconds.
    pub start_secs: f64,
    /// End, seconds.
    pub end_secs: f64,
}

/// A piece of text with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedText {
    /// Start, seconds.
    pub start_secs: f64,
    /// Text.
    pub text: String,
}

/// A recording as tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenPiece {
    /// Unique name.
    pub id: String,
    /// Semantic tokens.
    pub audio: Vec<AudioToken>,
    /// Codes of the thoughts `[windows, levels]`; window i begins with token `i * window_tokens`.
    pub thoughts: Array2<i64>,
    /// CLAP embedding of the whole recording `[dim]`, unit length.
    pub audio_clap: Array1<f32>,
    /// CLAP embeddings of its captions `[captions, dim]`, unit length.
    pub text_clap: Array2<f32>,
    /// Its tags.
    pub tags: Tags,
    /// Its words.
    pub lyrics: Vec<TimedText>,
    /// Its form.
    pub sections: Vec<TimedSection>,
}

/// Pieces of the same sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenDataset {
    info: TokenInfo,
    pieces: Vec<TokenPiece>,
}

/// A line of `pieces.jsonl`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    tokens: usize,
    windows: usize,
    captions: usize,
    tags: Tags,
    lyrics: Vec<TimedText>,
    sections: Vec<TimedSection>,
}

impl TokenPiece {
    /// Takes tags, words and form from a record of the corpus. A key that cannot be read is left open.
    #[must_use]
    pub fn describe(mut self, record: &Record) -> Self {
        self.id.clone_from(&record.id);
        self.tags = Tags {
            tempo_bpm: record.tags.tempo_bpm,
            key: record.tags.key.as_deref().and_then(|key| key.parse().ok()),
            style: record.tags.style.clone(),
            mood: record.tags.mood.clone(),
            instruments: record.tags.instruments.clone(),
        };
        let text = |line: &musicot_core::train::LyricLine| TimedText {
            start_secs: line.start_secs,
            text: line.text.clone(),
        };
        self.lyrics = record.lyrics.iter().map(text).collect();
        let section = |part: &musicot_core::train::Section| TimedSection {
            label: part.label.clone(),
            start_secs: part.start_secs,
            end_secs: part.end_secs,
        };
        self.sections = record.sections.iter().map(section).collect();
        self
    }

    fn validate(&self, info: &TokenInfo) -> Result<(), String> {
        let windows = self.thoughts.nrows();
        if self.audio.is_empty() || windows == 0 {
            return Err("expected at least one token and one window".to_owned());
        }
        if self.thoughts.ncols() != info.levels {
            return Err(format!(
                "expected {} levels of thoughts, got {}",
                info.levels,
                self.thoughts.ncols()
            ));
        }
        let fitting =
            (self.audio.len() / info.window_tokens).max(1)..=self.audio.len().div_ceil(info.window_tokens);
        if !fitting.contains(&windows) {
            return Err(format!(
                "{} tokens do not fit {windows} windows of {}",
                self.audio.len(),
                info.window_tokens
            ));
        }
        if let Some(token) = self.audio.iter().find(|token| token.0 as usize >= info.audio_tokens) {
            return Err(format!("expected audio tokens in 0..{}, got {}", info.audio_tokens, token.0));
        }
        if let Some(code) = self.thoughts.iter().find(|code| !(0..info.codebook_size as i64).contains(*code))
        {
            return Err(format!("expected codes in 0..{}, got {code}", info.codebook_size));
        }
        if self.audio_clap.len() != info.clap_dim || self.text_clap.ncols() != info.clap_dim {
            let (audio, text) = (self.audio_clap.len(), self.text_clap.ncols());
            return Err(format!(
                "expected CLAP embeddings of {} values, got {audio} and {text}",
                info.clap_dim
            ));
        }
        let embeddings = self.text_clap.rows().into_iter().chain([self.audio_clap.view()]);
        for embedding in embeddings {
            let norm = embedding.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            if !(0.98..=1.02).contains(&norm) {
                return Err(format!("expected CLAP embeddings of unit length, got {norm}"));
            }
        }
        if self.sections.iter().any(|s| !(s.start_secs.is_finite() && s.end_secs.is_finite()))
            || self.lyrics.iter().any(|l| !l.start_secs.is_finite())
        {
            return Err("expected finite times of sections and lyrics".to_owned());
        }
        Ok(())
    }
}

impl TokenDataset {
    /// Checks and takes pieces.
    ///
    /// # Errors
    /// There is no piece, or one does not have the sizes of `info`; it is named.
    pub fn new(info: TokenInfo, pieces: Vec<TokenPiece>) -> Result<Self> {
        if info.format != FORMAT {
            return Err(Error::input(
                "token dataset",
                format!("expected format {FORMAT}, got {}", info.format),
            ));
        }
        if info.window_tokens == 0 || pieces.is_empty() {
            return Err(Error::input(
                "token dataset",
                "expected at least one piece and one token per window",
            ));
        }
        for piece in &pieces {
            let named = |reason| Error::input(format!("token dataset, piece `{}`", piece.id), reason);
            piece.validate(&info).map_err(named)?;
        }
        Ok(Self { info, pieces })
    }

    /// Sizes.
    pub fn info(&self) -> &TokenInfo {
        &self.info
    }

    /// All pieces; at least one.
    pub fn pieces(&self) -> &[TokenPiece] {
        &self.pieces
    }

    /// Checks that the pieces fit a model.
    ///
    /// # Errors
    /// The sizes differ; both are named.
    pub fn expect(&self, config: &MusicLmConfig) -> Result<()> {
        let expected = TokenInfo::of(config);
        if self.info == expected {
            return Ok(());
        }
        Err(Error::input(
            "token dataset",
            format!("expected {expected:?} for this model, got {:?}", self.info),
        ))
    }

    /// Writes a directory; `dataset.json` comes last, so that an interrupted write is not taken for a dataset.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        let info = dir.join("dataset.json");
        if info.is_file() {
            fs::remove_file(&info).map_err(CoreError::io(&info))?;
        }
        checkpoint::write(tensors_path(dir), &self.tensors()?, Storage::Native)?;
        let lines_path = dir.join("pieces.jsonl");
        let lines = self.pieces.iter().map(|piece| serde_json::to_string(&Line::of(piece)));
        let lines = lines
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| CoreError::format(&lines_path, e.to_string()))?;
        write_atomic(&lines_path, |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))?;
        Ok(write_json(info, &self.info)?)
    }

    /// Reads a directory.
    ///
    /// # Errors
    /// A file is missing, truncated or does not fit the others; a piece is out of range.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let info: TokenInfo = read_json(dir.join("dataset.json"))?;
        let lines = read_lines(&dir.join("pieces.jsonl"))?;
        let mut columns = Columns::read(dir, &info, &lines)?;
        let pieces = lines.into_iter().map(|line| columns.take(line)).collect::<Result<_>>()?;
        Self::new(info, pieces)
    }

    fn tensors(&self) -> Result<Vec<(String, Tensor)>> {
        let audio: Vec<i64> =
            self.pieces.iter().flat_map(|p| p.audio.iter().map(|token| i64::from(token.0))).collect();
        let thoughts: Vec<i64> = self.pieces.iter().flat_map(|p| p.thoughts.iter().copied()).collect();
        let audio_clap: Vec<f32> = self.pieces.iter().flat_map(|p| p.audio_clap.iter().copied()).collect();
        let text_clap: Vec<f32> = self.pieces.iter().flat_map(|p| p.text_clap.iter().copied()).collect();
        let (levels, dim) = (self.info.levels as i64, self.info.clap_dim as i64);
        Ok(vec![
            ("audio".to_owned(), Tensor::f_from_slice(&audio)?.f_to_kind(Kind::Int)?),
            (
                "thoughts".to_owned(),
                Tensor::f_from_slice(&thoughts)?.f_to_kind(Kind::Int)?.f_reshape([-1, levels])?,
            ),
            ("audio_clap".to_owned(), Tensor::f_from_slice(&audio_clap)?.f_reshape([-1, dim])?),
            (
                "text_clap".to_owned(),
                Tensor::f_from_slice(&text_clap)?.f_reshape([text_clap.len() as i64 / dim, dim])?,
            ),
        ])
    }
}

impl Line {
    fn of(piece: &TokenPiece) -> Self {
        Self {
            id: piece.id.clone(),
            tokens: piece.audio.len(),
            windows: piece.thoughts.nrows(),
            captions: piece.text_clap.nrows(),
            tags: piece.tags.clone(),
            lyrics: piece.lyrics.clone(),
            sections: piece.sections.clone(),
        }
    }
}

fn tensors_path(dir: &Path) -> PathBuf {
    dir.join("tensors.safetensors")
}

fn read_lines(path: &Path) -> Result<Vec<Line>> {
    let text = fs::read_to_string(path).map_err(CoreError::io(path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(index, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|e| CoreError::format(path, format!("line {}: {e}", index + 1)).into())
    };
    lines.map(parse).collect()
}

/// The tensors of a dataset, handed out piece by piece.
struct Columns {
    path: PathBuf,
    levels: usize,
    dim: usize,
    audio: std::vec::IntoIter<i64>,
    thoughts: std::vec::IntoIter<i64>,
    audio_clap: std::vec::IntoIter<f32>,
    text_clap: std::vec::IntoIter<f32>,
}

impl Columns {
    fn read(dir: &Path, info: &TokenInfo, lines: &[Line]) -> Result<Self> {
        let path = tensors_path(dir);
        let file = Checkpoint::open(&path)?;
        let mut names = file.names();
        names.sort();
        if names != ["audio", "audio_clap", "text_clap", "thoughts"] {
            return Err(
                CoreError::format(&path, format!("expected four tensors, got {}", names.join(", "))).into()
            );
        }
        // Counts come from a file: their sum must not overflow.
        let total = |count: fn(&Line) -> usize| {
            lines.iter().fold(0_i64, |sum, line| sum.saturating_add(count(line) as i64))
        };
        let (levels, dim) = (info.levels as i64, info.clap_dim as i64);
        let get = |name: &str, kind: Kind, shape: &[i64]| -> Result<Tensor> {
            let found = file.tensor(name)?;
            if found.kind() == kind && found.size() == shape {
                return Ok(found);
            }
            let reason = format!(
                "tensor `{name}`: expected {kind:?} {shape:?} as told by pieces.jsonl, got {:?} {:?}",
                found.kind(),
                found.size()
            );
            Err(CoreError::format(&path, reason).into())
        };
        Ok(Self {
            levels: info.levels,
            dim: info.clap_dim,
            audio: tensor::to_ids(&get("audio", Kind::Int, &[total(|l| l.tokens)])?)?.into_iter(),
            thoughts: tensor::to_ids(&get("thoughts", Kind::Int, &[total(|l| l.windows), levels])?)?
                .into_iter(),
            audio_clap: tensor::to_vec(&get("audio_clap", Kind::Float, &[lines.len() as i64, dim])?)?
                .into_iter(),
            text_clap: tensor::to_vec(&get("text_clap", Kind::Float, &[total(|l| l.captions), dim])?)?
                .into_iter(),
            path,
        })
    }

    fn take(&mut self, line: Line) -> Result<TokenPiece> {
        let misfit = |reason: String| CoreError::format(&self.path, format!("piece `{}`: {reason}", line.id));
        let audio = self.audio.by_ref().take(line.tokens).map(|token| {
            u32::try_from(token)
                .map(AudioToken)
                .map_err(|_| misfit(format!("audio token {token} is negative")))
        });
        let audio = audio.collect::<Result<Vec<_>, _>>()?;
        let thoughts = self.thoughts.by_ref().take(line.windows * self.levels).collect();
        let text_clap = self.text_clap.by_ref().take(line.captions * self.dim).collect();
        Ok(TokenPiece {
            audio,
            thoughts: Array2::from_shape_vec((line.windows, self.levels), thoughts)
                .map_err(|e| misfit(e.to_string()))?,
            audio_clap: self.audio_clap.by_ref().take(self.dim).collect(),
            text_clap: Array2::from_shape_vec((line.captions, self.dim), text_clap)
                .map_err(|e| misfit(e.to_string()))?,
            id: line.id,
            tags: line.tags,
            lyrics: line.lyrics,
            sections: line.sections,
        })
    }
}

//! Prepared training data on disk.
//!
//! A folder with `dataset.json` and one safetensors file a piece (read through a memory map) with the tensors
//! - `latents [frames, latent_dim]`, f16 or f32, in the codec's units;
//! - `semantic [frames]`, i64;
//! - `thoughts [windows, thought_dim]`, f32: decoded from their RVQ codes, as the model will see them when it generates;
//! - `text [texts, text_dim]`, f32: embeddings of the piece's descriptions (and of its audio), of which training draws one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use musicot_core::files::{read_json, write_json};
use musicot_core::shape::{self, ANY};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Checkpoint, Storage, checkpoint};
use serde::{Deserialize, Serialize};

use crate::{DitConfig, Error, Result};

const FORMAT: u32 = 1;
const INDEX: &str = "dataset.json";

/// What all pieces of a data set share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetInfo {
    /// Values per latent frame.
    pub latent_dim: i64,
    /// Latent frames per second.
    pub frame_rate_hz: f64,
    /// Semantic tokens in all.
    pub semantic_vocab: i64,
    /// Width of a thought.
    pub thought_dim: i64,
    /// Latent frames that share one thought.
    pub frames_per_thought: f64,
    /// Width of a text's embedding.
    pub text_dim: i64,
}

impl From<&DitConfig> for DatasetInfo {
    fn from(config: &DitConfig) -> Self {
        Self {
            latent_dim: config.latent_dim,
            frame_rate_hz: config.frame_rate_hz,
            semantic_vocab: config.semantic_vocab,
            thought_dim: config.thought_dim,
            frames_per_thought: config.frames_per_thought,
            text_dim: config.text_dim,
        }
    }
}

/// One piece in memory.
#[derive(Debug)]
pub struct LatentPiece {
    /// Unique name.
    pub id: String,
    /// `[frames, latent_dim]`, float.
    pub latents: Tensor,
    /// `[frames]`, i64.
    pub semantic: Tensor,
    /// `[windows, thought_dim]`, float, at least one window.
    pub thoughts: Tensor,
    /// `[texts, text_dim]`, float, at least one.
    pub text: Tensor,
}

/// One piece in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PieceEntry {
    /// Unique name.
    pub id: String,
    /// File within the folder.
    pub file: String,
    /// Latent frames.
    pub frames: usize,
    /// Thoughts.
    pub windows: usize,
    /// Embeddings of texts.
    pub texts: usize,
}

/// Part of a piece, as f32 (tokens as i64).
#[derive(Debug)]
pub struct Crop {
    /// `[frames, latent_dim]`
    pub latents: Tensor,
    /// `[frames]`
    pub semantic: Tensor,
    /// `[windows, thought_dim]`: all of the piece's.
    pub thoughts: Tensor,
    /// `[texts, text_dim]`: all of the piece's.
    pub text: Tensor,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format: u32,
    info: DatasetInfo,
    pieces: Vec<PieceEntry>,
}

/// Writes a data set piece by piece. The folder becomes readable with [`LatentWriter::finish`].
#[derive(Debug)]
pub struct LatentWriter {
    root: PathBuf,
    info: DatasetInfo,
    half: bool,
    pieces: Vec<PieceEntry>,
    ids: BTreeSet<String>,
}

impl LatentWriter {
    /// Starts a data set, in the place of one that may be there; latents are stored as f16 where `half`, else as f32.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be made or its old index not removed.
    pub fn create(root: impl AsRef<Path>, info: DatasetInfo, half: bool) -> Result<Self> {
        let root = root.as_ref().to_owned();
        fs::create_dir_all(&root).map_err(Error::io(&root))?;
        let index = root.join(INDEX);
        if index.is_file() {
            fs::remove_file(&index).map_err(Error::io(&index))?;
        }
        Ok(Self { root, info, half, pieces: Vec::new(), ids: BTreeSet::new() })
    }

    /// Checks and writes a piece.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Shape`] names the tensor that does not fit, [`Error::Io`] the file.
    pub fn push(&mut self, piece: &LatentPiece) -> Result<()> {
        let frames = check_piece(piece, &self.info)?;
        if self.ids.contains(&piece.id) {
            return Err(Error::input("piece", format!("`{}` is written twice", piece.id)));
        }
        let file = format!("{:06}.safetensors", self.pieces.len());
        let latents = if self.half { Kind::Half } else { Kind::Float };
        let named = [
            ("latents", piece.latents.f_to_kind(latents)?),
            ("semantic", piece.semantic.shallow_clone()),
            ("text", piece.text.f_to_kind(Kind::Float)?),
            ("thoughts", piece.thoughts.f_to_kind(Kind::Float)?),
        ];
        // A latent beyond the range of f16 would come back as infinity.
        shape::expect_finite(&format!("latents of `{}` as stored", piece.id), &named[0].1)?;
        let named = named.map(|(name, tensor)| (name.to_owned(), tensor));
        checkpoint::write(self.root.join(&file), &named, Storage::Native)?;
        self.ids.insert(piece.id.clone());
        self.pieces.push(PieceEntry {
            id: piece.id.clone(),
            file,
            frames: frames as usize,
            windows: piece.thoughts.size()[0] as usize,
            texts: piece.text.size()[0] as usize,
        });
        Ok(())
    }

    /// Writes the index.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no piece; [`Error::Io`] names the file.
    pub fn finish(self) -> Result<LatentDataset> {
        if self.pieces.is_empty() {
            return Err(Error::input("data set", "holds no pieces"));
        }
        let index = Index { format: FORMAT, info: self.info, pieces: self.pieces };
        write_json(self.root.join(INDEX), &index)?;
        LatentDataset::open(self.root)
    }
}

fn check_piece(piece: &LatentPiece, info: &DatasetInfo) -> Result<i64> {
    let what = |part: &str| format!("{part} of `{}`", piece.id);
    if piece.id.is_empty() {
        return Err(Error::input("piece", "has no id"));
    }
    shape::expect(&what("latents"), &piece.latents, &[ANY, info.latent_dim])?;
    let frames = piece.latents.size()[0];
    shape::expect(&what("semantic tokens"), &piece.semantic, &[frames])?;
    shape::expect_ids(&what("semantic tokens"), &piece.semantic, info.semantic_vocab)?;
    shape::expect(&what("thoughts"), &piece.thoughts, &[ANY, info.thought_dim])?;
    shape::expect(&what("text"), &piece.text, &[ANY, info.text_dim])?;
    for (part, tensor) in [("latents", &piece.latents), ("thoughts", &piece.thoughts), ("text", &piece.text)]
    {
        if tensor.numel() == 0 {
            return Err(Error::input(what(part), "is empty"));
        }
        shape::expect_finite(&what(part), tensor)?;
    }
    Ok(frames)
}

/// A data set opened for reading.
#[derive(Debug)]
pub struct LatentDataset {
    root: PathBuf,
    info: DatasetInfo,
    pieces: Vec<PieceEntry>,
    /// One past each piece's last frame, all pieces laid end to end.
    ends: Vec<usize>,
}

impl LatentDataset {
    /// Opens a data set and checks every file's header against the index.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Format`] or [`Error::Shape`] names the file that is missing, damaged or not as the index says.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref().to_owned();
        let path = root.join(INDEX);
        let index: Index = read_json(&path)?;
        if index.format != FORMAT {
            return Err(Error::format(path, format!("expected format {FORMAT}, got {}", index.format)));
        }
        if index.pieces.is_empty() {
            return Err(Error::format(path, "holds no pieces"));
        }
        let ends = index.pieces.iter().scan(0_usize, |end, piece| {
            *end = end.saturating_add(piece.frames);
            Some(*end)
        });
        let dataset = Self { root, info: index.info, ends: ends.collect(), pieces: index.pieces };
        dataset.pieces.iter().try_for_each(|entry| dataset.check(entry))?;
        Ok(dataset)
    }

    /// What all pieces share.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// The pieces.
    pub fn pieces(&self) -> &[PieceEntry] {
        &self.pieces
    }

    /// Frames in all.
    pub fn frames(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The piece that holds a frame of all pieces laid end to end; the last for a frame beyond.
    pub fn piece_at(&self, frame: usize) -> usize {
        self.ends.partition_point(|end| *end <= frame).min(self.pieces.len().saturating_sub(1))
    }

    /// Frames `start..start + frames` of a piece.
    ///
    /// # Errors
    /// [`Error::Input`] for a piece or range that is not there; [`Error::Io`] or [`Error::Format`] when the file has changed.
    pub fn crop(&self, piece: usize, start: usize, frames: usize) -> Result<Crop> {
        let entry = self.entry(piece)?;
        if frames == 0 || start.checked_add(frames).is_none_or(|end| end > entry.frames) {
            let reason = format!("expected frames within 0..{}, got {frames} from {start}", entry.frames);
            return Err(Error::input(format!("crop of `{}`", entry.id), reason));
        }
        let file = Checkpoint::open(self.root.join(&entry.file))?;
        let part = |name: &str| -> Result<Tensor> {
            Ok(file.tensor(name)?.f_narrow(0, start as i64, frames as i64)?)
        };
        let semantic = part("semantic")?;
        shape::expect_ids(
            &format!("semantic tokens of `{}`", entry.id),
            &semantic,
            self.info.semantic_vocab,
        )?;
        Ok(Crop {
            latents: part("latents")?.f_to_kind(Kind::Float)?,
            semantic,
            thoughts: file.tensor("thoughts")?,
            text: file.tensor("text")?,
        })
    }

    /// Mean and standard deviation of every latent dim over all frames, each f32 `[latent_dim]`. A dim that does not vary gets
    /// the deviation 1.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] when a file has changed.
    pub fn statistics(&self) -> Result<(Tensor, Tensor)> {
        let zeros =
            || Tensor::f_zeros([self.info.latent_dim], (Kind::Double, musicot_core::tch::Device::Cpu));
        let (mut sum, mut squares) = (zeros()?, zeros()?);
        for (index, entry) in self.pieces.iter().enumerate() {
            let latents = self.crop(index, 0, entry.frames)?.latents.f_to_kind(Kind::Double)?;
            sum = sum.f_add(&latents.f_sum_dim_intlist(0_i64, false, None)?)?;
            squares = squares.f_add(&latents.f_square()?.f_sum_dim_intlist(0_i64, false, None)?)?;
        }
        let count = self.frames() as f64;
        let mean = sum.f_div_scalar(count)?;
        let variance = squares.f_div_scalar(count)?.f_sub(&mean.f_square()?)?.f_clamp_min(0.0)?;
        let deviation = variance.f_sqrt()?;
        let varies = deviation.f_gt(1e-6)?;
        let deviation = deviation.f_where_self(&varies, &deviation.f_ones_like()?)?;
        Ok((mean.f_to_kind(Kind::Float)?, deviation.f_to_kind(Kind::Float)?))
    }

    fn entry(&self, piece: usize) -> Result<&PieceEntry> {
        self.pieces.get(piece).ok_or_else(|| {
            Error::input("piece", format!("expected an index below {}, got {piece}", self.pieces.len()))
        })
    }

    fn check(&self, entry: &PieceEntry) -> Result<()> {
        if Path::new(&entry.file).components().count() != 1 {
            let reason = format!("`{}` is not a plain file name", entry.file);
            return Err(Error::format(self.root.join(INDEX), reason));
        }
        let path = self.root.join(&entry.file);
        let file = Checkpoint::open(&path)?;
        let (frames, windows, texts) = (entry.frames as i64, entry.windows as i64, entry.texts as i64);
        if frames == 0 || windows == 0 || texts == 0 {
            return Err(Error::format(self.root.join(INDEX), format!("piece `{}` is empty", entry.id)));
        }
        for (name, axes) in [
            ("latents", vec![frames, self.info.latent_dim]),
            ("semantic", vec![frames]),
            ("thoughts", vec![windows, self.info.thought_dim]),
            ("text", vec![texts, self.info.text_dim]),
        ] {
            let found =
                file.info(name).ok_or_else(|| Error::format(&path, format!("tensor `{name}` is missing")))?;
            let kind_fits = match name {
                "semantic" => found.kind == Kind::Int64,
                "latents" => matches!(found.kind, Kind::Half | Kind::Float),
                _ => found.kind == Kind::Float,
            };
            if found.shape != axes || !kind_fits {
                let reason =
                    format!("`{name}`: expected {axes:?}, got {:?} of {:?}", found.shape, found.kind);
                return Err(Error::format(&path, reason));
            }
        }
        let unexpected = file
            .names()
            .into_iter()
            .find(|n| !["latents", "semantic", "thoughts", "text"].contains(&n.as_str()));
        unexpected.map_or(Ok(()), |name| Err(Error::format(&path, format!("tensor `{name}` is unexpected"))))
    }
}

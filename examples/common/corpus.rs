//! Reading the pieces.

use std::path::Path;

use musicot::Generator;
use musicot::clap::AudioTextEncoder;
use musicot::clap::train::family_words;
use musicot::codec::{SemanticTokenizer, read_audio, resample};
use musicot::core::tch::{Device, Kind, Tensor};
use musicot::core::train::{Dataset, Record};
use musicot::core::{AudioBuffer, tensor};
use musicot::lm::train::{TokenDataset, TokenPiece};
use musicot::training::{Encoders, encode_corpus};
use ndarray::{Array1, Array2, Axis, Ix2};

use crate::Context;
use crate::common::{self, Outcome, note};

/// At most `most` items, evenly spread.
pub fn spread<T>(items: &[T], most: Option<usize>) -> Vec<&T> {
    let count = most.unwrap_or(items.len()).min(items.len());
    (0..count).map(|index| &items[index * items.len() / count]).collect()
}

/// A recording of a dataset, mono.
pub fn audio(dataset: &Dataset, path: &Path, rate_hz: u32) -> Outcome<AudioBuffer> {
    Ok(resample(&read_audio(dataset.resolve(path))?.to_mono(), rate_hz)?)
}

/// At most the first `secs` seconds of a mono recording.
pub fn head(recording: &AudioBuffer, secs: f64) -> Outcome<AudioBuffer> {
    let frames = (secs * f64::from(recording.sample_rate_hz())).round() as usize;
    let samples = recording.samples().iter().copied().take(frames).collect();
    Ok(AudioBuffer::mono(samples, recording.sample_rate_hz())?)
}

/// Whole clips of `secs` seconds side by side; a recording shorter than one is one.
pub fn cut(piece: &AudioBuffer, secs: f64) -> Outcome<Vec<AudioBuffer>> {
    let frames = (secs * f64::from(piece.sample_rate_hz())).round() as usize;
    let samples: Vec<f32> = piece.samples().iter().copied().collect();
    if samples.len() < frames {
        return Ok(vec![piece.clone()]);
    }
    let clip = |samples: &[f32]| Ok(AudioBuffer::mono(samples.to_vec(), piece.sample_rate_hz())?);
    samples.chunks_exact(frames).map(clip).collect()
}

/// The description that a piece is known by.
pub fn caption(record: &Record) -> Outcome<&str> {
    let first = record.captions.first().ok_or_else(|| format!("piece `{}` has no caption", record.id))?;
    Ok(first)
}

/// What a sound is compared with to tell whether it is of a family of instruments.
pub fn family_phrase(family: &str) -> String {
    format!("the sound of {}", family_words(family).first().map_or(family, |word| word))
}

/// Features of timbre of a clip; none of silence.
pub fn timbre(clip: &AudioBuffer) -> Outcome<Option<Vec<f32>>> {
    match musicot_eval::timbre::features(clip) {
        Ok(values) => Ok(Some(values)),
        Err(musicot_eval::Error::Silent { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Mono samples `[1, samples]`.
pub fn samples(audio: &AudioBuffer) -> Outcome<Tensor> {
    Ok(tensor::from_array(audio.samples().view(), Device::Cpu)?)
}

/// Rows `[rows, dim]` as an array.
pub fn rows(tensor: &Tensor) -> Outcome<Array2<f32>> {
    Ok(tensor::to_array(tensor)?.into_dimensionality::<Ix2>()?)
}

/// Vectors of unit length along the last axis.
pub fn unit(vectors: &Tensor) -> Outcome<Tensor> {
    let square = vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, Kind::Float)?;
    Ok(vectors.f_div(&square.f_sqrt()?.f_clamp_min(1e-6)?)?)
}

/// Mean embedding `[dim]` of the windows of a clip.
pub fn embedded(generator: &mut Generator, clip: &AudioBuffer) -> Outcome<Array1<f32>> {
    let windows = generator.embed_recording(clip.clone())?;
    Ok(windows.mean_axis(Axis(0)).ok_or("a clip has no window")?)
}

/// Vectors of equal length as rows.
pub fn stacked(vectors: &[Array1<f32>]) -> Outcome<Array2<f32>> {
    let views: Vec<_> = vectors.iter().map(|vector| vector.view()).collect();
    Ok(ndarray::stack(Axis(0), &views)?)
}

/// The rows of several tables, one after the other.
pub fn gathered<'a>(tables: impl IntoIterator<Item = &'a Array2<f32>>) -> Array2<f32> {
    let rows: Vec<_> = tables.into_iter().flat_map(|table| table.rows()).collect();
    let width = rows.first().map_or(0, |row| row.len());
    Array2::from_shape_fn((rows.len(), width), |(row, column)| rows[row][column])
}

/// Tells how far a section is.
pub fn tell(section: &str, index: usize, total: usize, record: &Record) {
    note(format_args!("{section}: piece {} of {total} ({})", index + 1, record.id));
}

/// Windows `[windows, dim]` of some held-out pieces, one every `hop` windows (1: side by side).
pub fn windows(context: &Context, clap: &dyn AudioTextEncoder, hop: f64) -> Outcome<Vec<Tensor>> {
    let records = spread(context.heldout.records(), context.options.pieces);
    let hop_samples = (hop * clap.window_samples() as f64).round() as usize;
    let mut embedded = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let audio = audio(&context.heldout, &record.audio, clap.sample_rate_hz())?;
        embedded.push(clap.embed_windows(&audio, hop_samples)?);
        common::recordings(index + 1, records.len());
    }
    Ok(embedded)
}

/// The held-out pieces as tokens and codes: read from `--encoded`, or encoded now.
pub fn heldout_tokens(context: &Context) -> Outcome<TokenDataset> {
    let options = &context.options;
    if let Some(dir) = &options.encoded {
        let all = TokenDataset::read(dir.join("heldout/tokens"))?;
        let pieces: Vec<TokenPiece> = spread(all.pieces(), options.pieces).into_iter().cloned().collect();
        return Ok(TokenDataset::new(all.info().clone(), pieces)?);
    }
    let (clap, rvq) = (context.stages.clap()?, context.stages.rvq()?);
    let (semantic, codec) = (context.stages.semantic()?, context.stages.codec()?);
    let encoders = Encoders { clap: &clap, rvq: &rvq, semantic: &semantic, codec: &codec };
    let folder = tempfile::tempdir()?;
    let pieces = excerpt(context, folder.path())?;
    encode_corpus(&pieces, &encoders, folder.path(), &mut common::recordings)?;
    Ok(TokenDataset::read(folder.path().join("tokens"))?)
}

/// A manifest of the pieces that are measured, elsewhere.
fn excerpt(context: &Context, folder: &Path) -> Outcome<Dataset> {
    let mut lines = String::new();
    for record in spread(context.heldout.records(), context.options.pieces) {
        let path = context.heldout.resolve(&record.audio);
        let audio = path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
        lines += &serde_json::to_string(&Record { audio, ..record.clone() })?;
        lines.push('\n');
    }
    let manifest = folder.join("manifest.jsonl");
    std::fs::write(&manifest, lines).map_err(|e| format!("{}: {e}", manifest.display()))?;
    Ok(Dataset::open(manifest)?)
}

/// Semantic tokens of a recording.
pub fn tokens(semantic: &dyn SemanticTokenizer, audio: &AudioBuffer) -> Outcome<Vec<i64>> {
    Ok(tensor::to_ids(&semantic.tokenize(&samples(audio)?)?)?)
}

/// Tokens of every piece trained on: read from `--encoded`, or made now.
pub fn training_tokens(context: &Context) -> Outcome<Vec<Vec<i64>>> {
    if let Some(dir) = &context.options.encoded {
        let all = TokenDataset::read(dir.join("train/tokens"))?;
        let ids = |piece: &TokenPiece| piece.audio.iter().map(|token| i64::from(token.0)).collect();
        return Ok(all.pieces().iter().map(ids).collect());
    }
    let (dataset, semantic) = (Dataset::open(&context.options.train)?, context.stages.semantic()?);
    let total = dataset.records().len();
    let mut all = Vec::with_capacity(total);
    for (index, record) in dataset.records().iter().enumerate() {
        all.push(tokens(&semantic, &audio(&dataset, &record.audio, semantic.sample_rate_hz())?)?);
        common::recordings(index + 1, total);
    }
    Ok(all)
}

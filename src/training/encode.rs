//! A corpus as tokens, thoughts and latents.

use std::path::Path;

use musicot_clap::AudioTextEncoder;
use musicot_codec::{AudioCodec, SemanticTokenizer, read_audio, resample};
use musicot_core::tch::{Tensor, no_grad};
use musicot_core::train::{Dataset, Record};
use musicot_core::{AudioBuffer, tensor};
use musicot_diffusion::train::{DatasetInfo, LatentPiece, LatentWriter};
use musicot_lm::train::{TokenDataset, TokenInfo, TokenPiece};
use musicot_lm::{AudioToken, MusicLmConfig, Tags};
use musicot_rvq::VectorQuantizer;
use ndarray::{Array1, Array2};

use super::{PieceProgress, tell};
use crate::alignment::Alignment;
use crate::{Error, Result};

/// The stages that read audio.
pub struct Encoders<'a> {
    /// Audio and text to the joint space.
    pub clap: &'a dyn AudioTextEncoder,
    /// Embeddings to thoughts.
    pub rvq: &'a dyn VectorQuantizer,
    /// Audio to semantic tokens.
    pub semantic: &'a dyn SemanticTokenizer,
    /// Audio to latents.
    pub codec: &'a dyn AudioCodec,
}

/// What was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodeReport {
    /// Recordings.
    pub pieces: usize,
    /// Semantic tokens in all.
    pub tokens: usize,
    /// Thoughts in all.
    pub windows: usize,
}

/// One recording in all forms.
struct Encoded {
    tokens: Vec<i64>,
    codes: Array2<i64>,
    /// Thoughts as the models meet them when they generate: decoded from the codes, of unit length `[windows, dim]`.
    thoughts: Tensor,
    audio_clap: Array1<f32>,
    text_clap: Array2<f32>,
    /// `[frames, latent_dim]`
    latents: Tensor,
    /// The token of each of these frames.
    frame_tokens: Vec<i64>,
}

/// Encodes every recording of a corpus and writes `OUT/tokens` (see [`TokenDataset`]) and `OUT/latents` (see
/// [`musicot_diffusion::train::LatentDataset`]).
///
/// # Errors
/// Stages that do not fit one another, a recording without a caption or that cannot be read, or a folder that cannot be written.
pub fn encode_corpus(
    dataset: &Dataset,
    encoders: &Encoders<'_>,
    out: &Path,
    progress: &mut PieceProgress<'_>,
) -> Result<EncodeReport> {
    let (tokens_info, latents_info) = infos(encoders)?;
    let mut writer = LatentWriter::create(out.join("latents"), latents_info, true)?;
    let (mut pieces, mut report) = (Vec::new(), EncodeReport::default());
    let total = dataset.records().len();
    for (index, record) in dataset.records().iter().enumerate() {
        let audio = read_audio(dataset.resolve(&record.audio))?;
        let encoded = no_grad(|| encode(&audio, record, encoders, tokens_info.window_tokens))?;
        report.pieces += 1;
        report.tokens += encoded.tokens.len();
        report.windows += encoded.codes.nrows();
        writer.push(&latent_piece(record, &encoded)?)?;
        pieces.push(token_piece(record, encoded));
        tell(progress, index + 1, total)?;
    }
    writer.finish()?;
    TokenDataset::new(tokens_info, pieces)?.write(out.join("tokens"))?;
    Ok(report)
}

/// The sizes of both data sets, checked against one another.
fn infos(encoders: &Encoders<'_>) -> Result<(TokenInfo, DatasetInfo)> {
    let Encoders { clap, rvq, semantic, codec } = encoders;
    let same = |what: &str, left: f64, right: f64| match (left - right).abs() < 1e-9 {
        true => Ok(()),
        false => Err(Error::input(what, format!("stages do not fit one another: {left} and {right}"))),
    };
    same("embedding width", clap.dim() as f64, rvq.dim() as f64)?;
    let mut config = MusicLmConfig {
        clap_dim: clap.dim() as i64,
        token_rate_hz: semantic.token_rate_hz(),
        plan_window_secs: clap.window_samples() as f64 / f64::from(clap.sample_rate_hz()),
        ..MusicLmConfig::default()
    };
    config.vocab.audio_tokens = semantic.vocabulary_size() as usize;
    config.vocab.levels = rvq.levels();
    config.vocab.codebook_size = rvq.codebook_size();
    let tokens = TokenInfo::of(&config);
    let latents = DatasetInfo {
        latent_dim: codec.latent_dim(),
        frame_rate_hz: codec.frame_rate_hz(),
        semantic_vocab: semantic.vocabulary_size(),
        thought_dim: clap.dim() as i64,
        frames_per_thought: config.plan_window_secs * codec.frame_rate_hz(),
        text_dim: clap.dim() as i64,
    };
    Ok((tokens, latents))
}

fn encode(
    audio: &AudioBuffer,
    record: &Record,
    encoders: &Encoders<'_>,
    window_tokens: usize,
) -> Result<Encoded> {
    let Encoders { clap, rvq, semantic, codec } = encoders;
    let mono = audio.to_mono();
    let tokens = tensor::to_ids(&semantic.tokenize(&samples_at(&mono, semantic.sample_rate_hz())?)?)?;
    // A codec of several channels hears those of the recording, or the same in each.
    let heard = if audio.channels() as i64 == codec.channels() { audio } else { &mono };
    let samples = samples_at(heard, codec.sample_rate_hz())?;
    let waveform = samples.f_unsqueeze(0)?.f_expand([1, codec.channels(), -1], false)?;
    let latents = codec.encode(&waveform)?.f_squeeze_dim(0)?.f_transpose(0, 1)?.f_contiguous()?;
    let alignment = Alignment::new(codec.frame_rate_hz(), semantic.token_rate_hz())?;
    let frame_tokens = alignment.spread(&tokens, 0..latents.size()[0] as usize)?;
    let at_clap = resample(&mono, clap.sample_rate_hz())?;
    let embedded = clap.embed_windows(&at_clap, clap.window_samples())?;
    // A recording may end within a token, so that its last window is one to the tokens and not to the samples, or the other way.
    let windows = ((tokens.len() + window_tokens / 2) / window_tokens).max(1) as i64;
    let embedded = embedded.f_narrow(0, 0, windows.min(embedded.size()[0]))?;
    let codes = rvq.encode(&embedded)?;
    let text_clap = match record.captions.is_empty() {
        true => return Err(Error::input("record", format!("`{}` has no caption", record.id))),
        false => clap.embed_text(&record.captions.iter().map(String::as_str).collect::<Vec<_>>())?,
    };
    Ok(Encoded {
        tokens,
        thoughts: unit(&rvq.decode(&codes)?)?,
        codes: matrix(tensor::to_ids(&codes)?, rvq.levels())?,
        audio_clap: unit(&embedded.f_mean_dim([0].as_slice(), false, None)?)
            .and_then(|v| Ok(tensor::to_vec(&v)?.into()))?,
        text_clap: matrix(tensor::to_vec(&text_clap)?, clap.dim())?,
        latents,
        frame_tokens,
    })
}

/// Samples `[channels, samples]` at another rate.
fn samples_at(audio: &AudioBuffer, sample_rate_hz: u32) -> Result<Tensor> {
    let audio = resample(audio, sample_rate_hz)?;
    Ok(tensor::from_array(audio.samples().view(), musicot_core::tch::Device::Cpu)?)
}

fn token_piece(record: &Record, encoded: Encoded) -> TokenPiece {
    let piece = TokenPiece {
        id: record.id.clone(),
        audio: encoded.tokens.iter().map(|token| AudioToken(*token as u32)).collect(),
        thoughts: encoded.codes,
        audio_clap: encoded.audio_clap,
        text_clap: encoded.text_clap,
        tags: Tags::default(),
        lyrics: Vec::new(),
        sections: Vec::new(),
    };
    piece.describe(record)
}

fn latent_piece(record: &Record, encoded: &Encoded) -> Result<LatentPiece> {
    let captions = tensor::from_array(encoded.text_clap.view(), musicot_core::tch::Device::Cpu)?;
    let whole = Tensor::f_from_slice(encoded.audio_clap.as_slice().unwrap_or_default())?.f_unsqueeze(0)?;
    Ok(LatentPiece {
        id: record.id.clone(),
        latents: encoded.latents.shallow_clone(),
        semantic: Tensor::f_from_slice(&encoded.frame_tokens)?,
        thoughts: encoded.thoughts.shallow_clone(),
        text: Tensor::f_cat(&[captions, whole], 0)?,
    })
}

fn matrix<T>(values: Vec<T>, columns: usize) -> Result<Array2<T>> {
    let rows = values.len() / columns.max(1);
    Array2::from_shape_vec((rows, columns), values).map_err(|e| Error::input("embeddings", e.to_string()))
}

/// Vectors of unit length along the last axis.
fn unit(vectors: &Tensor) -> Result<Tensor> {
    let norm =
        vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, None)?.f_sqrt()?.f_clamp_min(1e-6)?;
    Ok(vectors.f_div(&norm)?)
}

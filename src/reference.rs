//! Recordings as parts of a plan, and as plans of their own.

use std::path::{Path, PathBuf};

use musicot_clap::AudioTextEncoder;
use musicot_codec::{AudioReader, Channels, resample};
use musicot_core::AudioBuffer;
use musicot_core::tch::Tensor;

use crate::{Error, Result};

/// Where a recording is.
#[derive(Debug, Clone)]
pub enum Recording {
    /// A file; it is read as far as needed, in memory that does not grow with its length.
    File(PathBuf),
    /// Samples of any rate and number of channels.
    Audio(AudioBuffer),
}

impl From<AudioBuffer> for Recording {
    fn from(audio: AudioBuffer) -> Self {
        Self::Audio(audio)
    }
}

impl From<&Path> for Recording {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

/// A recording whose thoughts become fixed positions of the plan; the language model fills the rest (paper: music referencing).
/// No sample and no audio token of the recording reaches the models after CLAP, so that style is followed and nothing is copied.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The recording, of any length.
    pub recording: Recording,
    /// Plan window of its first thought; thoughts beyond the plan's end are left out.
    pub at_window: usize,
    /// Levels that are fixed, coarse ones first; `None` fixes all. Fewer leave more to the model.
    pub levels: Option<usize>,
}

impl Reference {
    /// All levels, from the start of the plan.
    pub fn new(recording: impl Into<Recording>) -> Self {
        Self { recording: recording.into(), at_window: 0, levels: None }
    }
}

/// The thoughts of a recording `[windows, dim]`, one per window of the encoder without overlap, at most `limit` of them.
pub(crate) fn embed_recording(
    encoder: &dyn AudioTextEncoder,
    recording: &Recording,
    limit: usize,
) -> Result<Tensor> {
    match recording {
        Recording::Audio(audio) => {
            audio.expect_finite()?;
            let audio = resample(&audio.to_mono(), encoder.sample_rate_hz())?;
            let frames = audio.frames().min(limit.saturating_mul(encoder.window_samples()));
            let samples = audio.into_samples().slice_move(ndarray::s![.., ..frames]);
            let head = AudioBuffer::new(samples, encoder.sample_rate_hz())?;
            Ok(encoder.embed_windows(&head, encoder.window_samples())?)
        }
        Recording::File(path) => embed_file(encoder, path, limit),
    }
}

/// Windows are embedded as they are read. The rule for the remainder is that of [`musicot_clap::windows::starts`].
fn embed_file(encoder: &dyn AudioTextEncoder, path: &Path, limit: usize) -> Result<Tensor> {
    let (rate, window) = (encoder.sample_rate_hz(), encoder.window_samples());
    let reader = AudioReader::open(path)?.with_target(rate, Channels::Mono)?;
    let mut pending: Vec<f32> = Vec::new();
    let mut embedded = Vec::new();
    for block in reader {
        pending.extend(block?.samples().iter());
        while pending.len() >= window && embedded.len() < limit {
            let rest = pending.split_off(window);
            embedded.push(embed(encoder, &pending)?);
            pending = rest;
        }
        if embedded.len() >= limit {
            break;
        }
    }
    let is_window = embedded.is_empty() || pending.len() >= window.div_ceil(2);
    if embedded.len() < limit && is_window && !pending.is_empty() {
        embedded.push(embed(encoder, &pending)?);
    }
    if embedded.is_empty() {
        return Err(Error::input("recording", format!("{} holds no audio", path.display())));
    }
    Ok(Tensor::f_cat(&embedded, 0)?)
}

/// One window, `[1, dim]`.
fn embed(encoder: &dyn AudioTextEncoder, samples: &[f32]) -> Result<Tensor> {
    let samples = Tensor::f_from_slice(samples)?.f_unsqueeze(0)?;
    Ok(encoder.embed_audio(&samples)?)
}

//! What is heard in a clip.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::codec::resample;
use musicot::core::AudioBuffer;
use musicot::core::train::{Dataset, Record};
use musicot_eval::chroma::Chroma;
use musicot_eval::key::{Key, KeyScores};
use musicot_eval::onsets::onset_times;
use musicot_eval::structure::SelfSimilarity;
use musicot_eval::tempo::{Tempo, TempoCurve};
use musicot_eval::timbre;
use ndarray::{Array1, Array2, Axis};

use crate::common::Outcome;
use crate::corpus::{audio, head, rows};

/// Stretches of the self-similarity.
const STRETCH_SECS: f64 = 1.0;

/// A clip in the eyes of every measure. What cannot be told, such as the key of silence, is left open.
pub struct Heard {
    /// CLAP embeddings `[windows, dim]`.
    pub windows: Array2<f32>,
    /// Timbre features of each window that is not silent.
    pub timbre: Vec<Vec<f32>>,
    pub chroma: Chroma,
    pub tempo: Option<TempoCurve>,
    pub key: Option<Key>,
    pub similarity: Option<SelfSimilarity>,
    pub onset_rate_hz: f64,
}

impl Heard {
    pub fn of(clap: &Clap, audio: &AudioBuffer) -> Outcome<Self> {
        let windows = clap.embed_windows(&resample(audio, clap.sample_rate_hz())?, clap.window_samples())?;
        let chroma = Chroma::of(audio)?;
        let window_secs = clap.window_samples() as f64 / f64::from(clap.sample_rate_hz());
        Ok(Self {
            windows: rows(&windows)?,
            timbre: cut(audio, window_secs)?.iter().filter_map(|part| timbre::features(part).ok()).collect(),
            tempo: TempoCurve::of(audio).ok(),
            key: KeyScores::of(&chroma).ok().map(|scores| scores.best),
            similarity: SelfSimilarity::every(audio, STRETCH_SECS).ok(),
            onset_rate_hz: onset_times(audio)?.len() as f64 / audio.duration_secs(),
            chroma,
        })
    }

    /// The whole clip as one embedding.
    pub fn mean(&self) -> Outcome<Array1<f32>> {
        Ok(self.windows.mean_axis(Axis(0)).ok_or("a clip has no window")?)
    }

    pub fn bpm(&self) -> Option<f64> {
        self.tempo.as_ref().and_then(TempoCurve::tempo).map(|Tempo { bpm, .. }| bpm)
    }

    /// How much of each pitch class the clip has, of unit length; zeros for silence.
    pub fn pitch_classes(&self) -> Array1<f32> {
        let sum = self.chroma.values().sum_axis(Axis(0)).mapv(|value| value as f32);
        let norm = sum.dot(&sum).sqrt();
        if norm > 0.0 { sum / norm } else { sum }
    }
}

/// How alike two clips are in one respect; none where one of them does not show it.
pub type Likeness = fn(&Heard, &Heard) -> Option<f64>;

/// Windows side by side; a remainder of at least half a window is one, a shorter recording too.
pub fn cut(audio: &AudioBuffer, secs: f64) -> Outcome<Vec<AudioBuffer>> {
    let frames = ((secs * f64::from(audio.sample_rate_hz())).round() as usize).max(1);
    let samples: Vec<f32> = audio.to_mono().samples().iter().copied().collect();
    let parts =
        samples.chunks(frames).enumerate().filter(|(index, part)| *index == 0 || 2 * part.len() >= frames);
    parts.map(|(_, part)| Ok(AudioBuffer::mono(part.to_vec(), audio.sample_rate_hz())?)).collect()
}

/// The beginning of a piece of a dataset.
pub fn beginning(dataset: &Dataset, record: &Record, rate_hz: u32, secs: f64) -> Outcome<AudioBuffer> {
    head(&audio(dataset, &record.audio, rate_hz)?, secs)
}

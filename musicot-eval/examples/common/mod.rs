//! Reads a folder of the corpus generator: `manifest.jsonl`, `audio/ID.wav`, `stems/ID/FAMILY.wav` (16-bit PCM).
#![allow(dead_code)] // Each example uses a part.

use std::error::Error;
use std::path::{Path, PathBuf};

use musicot_eval::core::AudioBuffer;
use musicot_eval::structure::Section;
use serde::Deserialize;

pub type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[derive(Deserialize)]
pub struct Piece {
    pub id: String,
    pub audio: PathBuf,
    pub tags: Tags,
    pub sections: Vec<Part>,
    pub stems: Vec<Stem>,
}

#[derive(Deserialize)]
pub struct Tags {
    pub tempo_bpm: f64,
    pub key: String,
}

#[derive(Deserialize)]
pub struct Part {
    label: String,
    start_secs: f64,
    end_secs: f64,
}

#[derive(Deserialize)]
pub struct Stem {
    pub family: String,
    pub audio: PathBuf,
}

impl Piece {
    pub fn plan(&self) -> Vec<Section> {
        self.scaled_plan(1.0)
    }

    /// The plan, stretched over another duration.
    pub fn plan_over(&self, secs: f64) -> Vec<Section> {
        let end = self.sections.last().map_or(secs, |part| part.end_secs);
        self.scaled_plan(secs / end)
    }

    fn scaled_plan(&self, scale: f64) -> Vec<Section> {
        let section = |part: &Part| Section {
            label: part.label.clone(),
            start_secs: scale * part.start_secs,
            end_secs: scale * part.end_secs,
        };
        self.sections.iter().map(section).collect()
    }
}

pub fn pieces(folder: &Path) -> Result<Vec<Piece>> {
    let path = folder.join("manifest.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// One channel of 16-bit PCM.
pub fn wav(path: &Path) -> Result<AudioBuffer> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let refused = || format!("{}: expected one channel of 16-bit PCM", path.display());
    let (mut at, mut rate) = (12, 0);
    while let Some(header) = bytes.get(at..at + 8) {
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let body = bytes.get(at + 8..at + 8 + size).ok_or_else(refused)?;
        match &header[..4] {
            b"fmt " if body.starts_with(&[1, 0, 1, 0]) && body.get(14) == Some(&16) => {
                rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
            }
            b"data" if rate > 0 => {
                let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
                return Ok(AudioBuffer::mono(body.chunks_exact(2).map(sample).collect(), rate)?);
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
    Err(refused().into())
}

/// Windows of equal length; what remains at the end is left out.
pub fn windows(audio: &AudioBuffer, secs: f64) -> Result<Vec<AudioBuffer>> {
    let length = (secs * f64::from(audio.sample_rate_hz())) as usize;
    let samples: Vec<f32> = audio.to_mono().into_samples().into_iter().collect();
    let window = |part: &[f32]| Ok(AudioBuffer::mono(part.to_vec(), audio.sample_rate_hz())?);
    samples.chunks_exact(length).map(window).collect()
}

/// A share or mean of a few values with its bootstrap interval.
pub fn figure(values: &[f64]) -> Result<String> {
    let rng = musicot_eval::core::CounterRng::new(0);
    Ok(musicot_eval::statistics::bootstrap_mean(values, rng)?.to_string())
}

//! A finished song.

use std::path::Path;

use musicot_codec::{WavFormat, WavOptions, write_wav};
use musicot_core::AudioBuffer;

use crate::{Manifest, MusicPlan, Result};

/// What a generation gives: the waveform, the plan it followed, and the record of how it was made.
#[derive(Debug, Clone)]
pub struct Song {
    /// The waveform.
    pub audio: AudioBuffer,
    /// The plan.
    pub plan: MusicPlan,
    /// Versions, hashes, settings, seeds, tokens, timings.
    pub manifest: Manifest,
}

impl Song {
    /// Writes `song.wav` (24 bits), `plan.json` and `manifest.json` into a directory, each whole or not at all.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir).map_err(musicot_core::Error::io(dir))?;
        write_wav(
            dir.join("song.wav"),
            &self.audio,
            WavOptions { format: WavFormat::Int24, ..WavOptions::default() },
        )?;
        self.plan.save(dir.join("plan.json"))?;
        self.manifest.save(dir.join("manifest.json"))
    }
}

//! Sizes of the tokeniser.

use musicot_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::convnext::Sizes;

/// Configuration of a [`crate::NoteTokenizer`]; all values are our choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoteTokenizerConfig {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Samples per token.
    pub hop: i64,
    /// Window of the semitone bands; wide enough to tell neighbouring notes apart.
    pub pitch_window: i64,
    /// Frames of semitone bands per token.
    pub pitch_frames: i64,
    /// Semitone bands, from C1 (32.7 Hz) up.
    pub semitones: usize,
    /// Window of the envelopes; short enough to time an onset.
    pub rhythm_window: i64,
    /// Frames of envelopes per token.
    pub rhythm_frames: i64,
    /// Broad bands of the envelopes.
    pub rhythm_bands: usize,
    /// Width of encoder and decoder.
    pub dim: i64,
    /// Width inside a block.
    pub hidden: i64,
    /// Blocks of the encoder, and of the decoder.
    pub blocks: i64,
    /// Values per code vector.
    pub code_dim: i64,
    /// Number of codes.
    pub vocabulary_size: i64,
}

impl Default for NoteTokenizerConfig {
    fn default() -> Self {
        Self {
            sample_rate_hz: 48_000,
            hop: 1920,
            pitch_window: 4096,
            pitch_frames: 2,
            semitones: 96,
            rhythm_window: 1024,
            rhythm_frames: 4,
            rhythm_bands: 16,
            dim: 192,
            hidden: 576,
            blocks: 3,
            code_dim: 32,
            vocabulary_size: 2048,
        }
    }
}

impl NoteTokenizerConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("sample_rate_hz", i64::from(self.sample_rate_hz)),
            ("hop", self.hop),
            ("pitch_window", self.pitch_window),
            ("pitch_frames", self.pitch_frames),
            ("semitones", self.semitones as i64),
            ("rhythm_window", self.rhythm_window),
            ("rhythm_frames", self.rhythm_frames),
            ("rhythm_bands", self.rhythm_bands as i64),
            ("dim", self.dim),
            ("hidden", self.hidden),
            ("blocks", self.blocks),
            ("code_dim", self.code_dim),
            ("vocabulary_size", self.vocabulary_size),
        ];
        for (field, value) in sizes {
            // The upper bound keeps products of two sizes far from overflow.
            if !(1..=1 << 20).contains(&value) {
                return Err(Error::config(field, format!("expected 1..={}, got {value}", 1 << 20)));
            }
        }
        for (field, frames) in [("pitch_frames", self.pitch_frames), ("rhythm_frames", self.rhythm_frames)] {
            if self.hop % frames != 0 {
                return Err(Error::config(
                    field,
                    format!("expected a divisor of hop = {}, got {frames}", self.hop),
                ));
            }
        }
        Ok(())
    }

    /// Values per token that the encoder sees.
    pub fn features(&self) -> i64 {
        self.pitch_frames * self.semitones as i64 + self.rhythm_frames * self.rhythm_bands as i64
    }

    pub(crate) fn encoder(&self) -> Sizes {
        Sizes {
            inputs: self.features(),
            outputs: self.code_dim,
            dim: self.dim,
            hidden: self.hidden,
            blocks: self.blocks,
        }
    }

    pub(crate) fn decoder(&self) -> Sizes {
        Sizes {
            inputs: self.code_dim,
            outputs: self.features(),
            dim: self.dim,
            hidden: self.hidden,
            blocks: self.blocks,
        }
    }
}

//! The record of a generation, from which it can be made again.

use std::collections::BTreeMap;
use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_lm::ConditionReport;
use serde::{Deserialize, Serialize};

use crate::{Brief, Result, Settings, Step};

/// Seconds that a step took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The step.
    pub step: Step,
    /// Wall-clock seconds, loading of the stage included.
    pub secs: f64,
}

/// Everything that made a song. Same bundle, device, thread count and settings give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this crate.
    pub musicot: String,
    /// Version of the bindings to libtorch.
    pub libtorch: String,
    /// Name of the bundle.
    pub bundle: String,
    /// SHA-256 of every file of the bundle, by `stage/file`.
    pub sha256: BTreeMap<String, String>,
    /// Device of the models.
    pub device: String,
    /// Threads of libtorch.
    pub threads: i32,
    /// What the song is to be.
    pub brief: Brief,
    /// How it was made.
    pub settings: Settings,
    /// Codes of the plan `[windows][levels]`.
    pub codes: Vec<Vec<i64>>,
    /// Semantic tokens.
    pub tokens: Vec<i64>,
    /// What of the brief the model could not be given.
    pub not_given: ConditionReport,
    /// Gain behind the highest peak, dB: below 0 where it would have been cut off, else 0. What comes before may be less turned down.
    pub gain_db: f64,
    /// How long each step took.
    pub timings: Vec<Timing>,
}

/// The pair of tch and libtorch that this crate is built on.
pub(crate) const LIBTORCH: &str = "tch 0.24 / libtorch 2.11.0";

impl Manifest {
    /// Writes the manifest as JSON, atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(write_json(path, self)?)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// The file is missing or malformed.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Ok(read_json(path)?)
    }

    /// Wall-clock seconds of all steps.
    pub fn total_secs(&self) -> f64 {
        self.timings.iter().map(|timing| timing.secs).sum()
    }

    /// Seconds of work per second of audio: below 1 is faster than real time.
    pub fn real_time_factor(&self) -> f64 {
        self.total_secs() / self.brief.duration_secs
    }
}

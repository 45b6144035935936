//! Measures for audio, plans and models.
#![doc = include_str!("../README.md")]

mod analysis;
pub mod baseline;
pub mod calibration;
mod check;
pub mod chroma;
pub mod clip;
pub mod copies;
pub mod embeddings;
mod error;
pub mod flux;
pub mod frechet;
pub mod key;
pub mod listening;
mod log_mel;
pub mod loudness;
pub mod notes;
pub mod onsets;
pub mod plan;
pub mod probe;
pub mod reliability;
#[cfg(test)]
mod signals;
pub mod significance;
pub mod spectral;
pub mod statistics;
pub mod structure;
mod table;
pub mod tempo;
pub mod timbre;
pub mod tokens;
mod vectors;

pub use error::{Error, Result};
pub use musicot_core as core;
pub use musicot_core::tch;
pub use table::Table;

//! Measures for audio, plans and models.
#![doc = include_str!("../README.md")]

mod analysis;
pub mod baseline;
mod check;
pub mod chroma;
pub mod clip;
pub mod embeddings;
mod error;
pub mod flux;
pub mod frechet;
mod log_mel;
pub mod loudness;
pub mod onsets;
pub mod plan;
#[cfg(test)]
mod signals;
pub mod spectral;
pub mod statistics;
mod table;
pub mod tokens;
mod vectors;

pub use error::{Error, Result};
pub use musicot_core as core;
pub use musicot_core::tch;
pub use table::Table;

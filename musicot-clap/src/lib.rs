//! Contrastive language-audio embeddings over libtorch.
#![doc = include_str!("../README.md")]

mod audio;
mod config;
mod encoder;
mod features;
mod model;
mod projection;
pub mod similarity;
mod text;
#[cfg(feature = "train")]
pub mod train;
pub mod windows;

pub use audio::AudioTower;
pub use config::{AudioConfig, ClapConfig, FeatureConfig, Pooling, TextConfig};
pub use encoder::AudioTextEncoder;
pub use features::LogMel;
pub use model::Clap;
pub use musicot_core as core;
pub use musicot_core::{Error, Result, tch};
pub use text::{Cut, TextTokenizer, TextTower, Tokens};

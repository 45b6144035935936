//! Contrastive language-audio embeddings over libtorch.
#![doc = include_str!("../README.md")]

mod activation;
mod audio;
mod config;
mod encoder;
mod features;
pub mod laion;
mod load;
mod model;
mod projection;
mod published;
pub mod similarity;
mod text;
#[cfg(feature = "train")]
pub mod train;
pub mod windows;

pub use activation::Activation;
pub use audio::AudioTower;
pub use config::{AudioConfig, ClapConfig, FeatureConfig, Padding, Pooling, TextConfig, Truncation};
pub use encoder::AudioTextEncoder;
pub use features::{ClipFeatures, Crop, FeatureExtractor, LogMel};
pub use model::Clap;
pub use musicot_core as core;
pub use musicot_core::{Error, Result, tch};
pub use text::{Cut, TextTokenizer, TextTower, Tokens};

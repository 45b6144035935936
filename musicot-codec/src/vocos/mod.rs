//! Vocos (Siuzdak, 2023): mel bands to a waveform through the inverse Fourier transform of predicted magnitudes and phases.
//!
//! The published mel models of the package `vocos`, such as charactr/vocos-mel-24khz. Not supported, and refused by name: the variant for
//! EnCodec's codes (adaptive norms), the residual backbone, and the cosine-transform heads.

mod config;
mod head;
mod mel;
mod model;
mod published;

pub use config::{IstftHeadConfig, MelFeaturesConfig, VocosBackboneConfig, VocosConfig};
pub use model::Vocos;

//! From samples to what the audio tower sees.

mod extractor;
mod fusion;
mod log_mel;
mod padding;

pub use extractor::{ClipFeatures, Crop, FeatureExtractor};
pub use log_mel::LogMel;
pub(crate) use log_mel::bank;
pub(crate) use padding::fill;

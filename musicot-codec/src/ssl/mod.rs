//! Self-supervised encoders of waveforms, and tokens of their hidden states.
//!
//! wav2vec 2.0 (Baevski et al., 2020), HuBERT (Hsu et al., 2021) and MERT (Li et al., 2023) share one network: convolutions over the samples, a
//! convolution for the positions, and a transformer. [`SslEncoder`] loads the directories that transformers writes; [`KMeansTokenizer`] names the nearest of
//! given centroids for each frame. Not supported, and refused by name: adapters and MERT's constant-Q features.

mod config;
mod convolutions;
mod encoder;
mod kmeans;
mod load;
mod presets;
mod published;
mod transformer;

pub use config::{FeatureNorm, SslActivation, SslArchitecture, SslConfig};
pub use encoder::SslEncoder;
pub use kmeans::KMeansTokenizer;

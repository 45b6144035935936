//! Audio codec, semantic tokeniser and audio files over libtorch.
#![doc = include_str!("../README.md")]

pub mod audio_file;
mod codec;
mod conv;
mod convnext;
mod dac;
mod encodec;
mod error;
mod oobleck;
pub mod resample;
mod semantic;
mod spectral;
mod ssl;
mod tokenizer;
mod vocos;

pub use audio_file::{
    AudioInfo, AudioReader, Channels, DecodeReport, Tolerance, WavFormat, WavOptions, WavReport, WavWriter,
    read_audio, write_wav,
};
pub use codec::{AudioCodec, DecodeSession};
pub use dac::{Dac, DacConfig};
pub use encodec::{Encodec, EncodecChunk, EncodecConfig, EncodecNorm, EncodecPadding};
pub use error::{Error, Result};
pub use musicot_core as core;
pub use musicot_core::tch;
pub use oobleck::{Oobleck, OobleckActivation, OobleckConfig, Posterior};
pub use resample::{Resampler, resample};
pub use spectral::{Magnitudes, SpectralCodec, SpectralCodecConfig};
pub use ssl::{FeatureNorm, KMeansTokenizer, SslActivation, SslArchitecture, SslConfig, SslEncoder};
pub use vocos::{IstftHeadConfig, MelFeaturesConfig, Vocos, VocosBackboneConfig, VocosConfig};

pub use semantic::{NoteFeatures, NoteTokenizer, NoteTokenizerConfig};
pub use tokenizer::SemanticTokenizer;

#[cfg(feature = "train")]
pub mod train;

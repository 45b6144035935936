//! Audio codec, semantic tokeniser and audio files over libtorch.
#![doc = include_str!("../README.md")]

pub mod audio_file;
mod codec;
mod convnext;
mod error;
pub mod resample;
mod semantic;
mod spectral;
mod tokenizer;

pub use audio_file::{
    AudioInfo, AudioReader, Channels, DecodeReport, Tolerance, WavFormat, WavOptions, WavReport, WavWriter,
    read_audio, write_wav,
};
pub use codec::{AudioCodec, DecodeSession};
pub use error::{Error, Result};
pub use musicot_core as core;
pub use musicot_core::tch;
pub use resample::{Resampler, resample};
pub use spectral::{Magnitudes, SpectralCodec, SpectralCodecConfig};

pub use semantic::{NoteFeatures, NoteTokenizer, NoteTokenizerConfig};
pub use tokenizer::SemanticTokenizer;

#[cfg(feature = "train")]
pub mod train;

//! The error type of this crate.

use std::path::{Path, PathBuf};

use musicot_core::tch::TchError;

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with audio files, resampling, and the models of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing in the file looks like audio.
    #[error("{}: not an audio file: {reason}", path.display())]
    NotAudio {
        /// The file.
        path: PathBuf,
        /// What was looked for, or found instead.
        reason: String,
    },
    /// The file is audio of a kind that this crate does not decode.
    #[error("{}: unsupported audio: {reason}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The codec or feature.
        reason: String,
    },
    /// The audio is damaged beyond the tolerated amount.
    #[error("{}: damaged at {at_secs:.3} s: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Position of the damage in seconds of decoded audio.
        at_secs: f64,
        /// What the decoder found.
        reason: String,
    },
    /// The file ends before the audio that its own header or container announces.
    #[error(
        "{}: truncated or damaged: {}{decoded_secs:.3} s could be decoded",
        path.display(),
        declared_secs.map(|secs| format!("{secs:.3} s announced, ")).unwrap_or_default()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Announced length in seconds; `None` where the announcement itself is what is cut off.
        declared_secs: Option<f64>,
        /// Length in seconds that could be decoded.
        decoded_secs: f64,
    },
    /// The file holds 0 s of audio.
    #[error("{}: holds no audio (0 s)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A sample is NaN or infinite.
    #[error("{}: expected finite samples, got {value} in channel {channel} at frame {frame}", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Channel, from 0.
        channel: usize,
        /// Frame, from 0, at the file's own sample rate.
        frame: u64,
        /// The sample.
        value: f32,
    },
    /// A wav file would exceed the 4 GiB that its 32-bit sizes can express.
    #[error("{}: a wav file holds at most {limit_frames} frames of this format, {frames} were given", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Frames given.
        frames: u64,
        /// Frames that fit.
        limit_frames: u64,
    },
    /// The two sample rates of a conversion are out of range or too far apart.
    #[error("resampling from {from_hz} Hz to {to_hz} Hz: {reason}")]
    SampleRates {
        /// Rate of the input.
        from_hz: u32,
        /// Rate of the output.
        to_hz: u32,
        /// What was expected.
        reason: String,
    },
    /// An error of the shared core: input and output, shapes, checkpoints, configuration, libtorch.
    #[error(transparent)]
    Core(#[from] musicot_core::Error),
}

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        Self::Core(error.into())
    }
}

impl Error {
    pub(crate) fn not_audio(path: &Path, reason: impl Into<String>) -> Self {
        Self::NotAudio { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn unsupported(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn input(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Core(musicot_core::Error::input(what, reason))
    }
}

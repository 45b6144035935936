//! The error type of this crate.

use std::path::{Path, PathBuf};

use musicot_core::tch::TchError;

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the language model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Configuration, shapes, checkpoints, files, libtorch.
    #[error(transparent)]
    Core(#[from] musicot_core::Error),
    /// No token could be chosen from the logits.
    #[error(transparent)]
    Sampling(#[from] musicot_sampling::Error),
    /// A kernel of [`crate::FastLlama`] refused its input, or a thread for it could not be had.
    #[error(transparent)]
    Kernels(#[from] musicot_kernels::Error),
    /// The tokenizer of lyrics cannot be read, written or used.
    #[error("lyrics tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// Its file.
        path: PathBuf,
        /// What was expected, and what was found.
        reason: String,
    },
}

impl Error {
    /// An argument with an unusable value.
    pub fn input(what: impl Into<String>, reason: impl Into<String>) -> Self {
        musicot_core::Error::input(what, reason).into()
    }

    /// A configuration value out of range.
    pub fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        musicot_core::Error::config(field, reason).into()
    }

    pub(crate) fn tokenizer(path: &Path, reason: impl ToString) -> Self {
        Self::Tokenizer { path: path.to_owned(), reason: reason.to_string() }
    }
}

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        Self::Core(error.into())
    }
}

/// For the traits of musicot-core, such as its training task.
impl From<Error> for musicot_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Core(error) => error,
            other => Self::input("language model", other.to_string()),
        }
    }
}

//! The error type of this crate, which the stage crates wrap.

use std::path::{Path, PathBuf};

use crate::checkpoint::CheckpointReport;

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the shared parts of a stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value is out of range or contradicts another one.
    #[error("configuration: `{field}` {reason}")]
    Config {
        /// Name of the field as written in the file.
        field: String,
        /// What was expected, and what was found.
        reason: String,
    },
    /// An argument has an unusable value (not its shape: see [`Error::Shape`]).
    #[error("{what}: {reason}")]
    Input {
        /// The argument.
        what: String,
        /// What was expected, and what was found.
        reason: String,
    },
    /// A tensor or array has the wrong shape.
    #[error("{what}: expected shape {expected}, got {actual:?}")]
    Shape {
        /// The tensor.
        what: String,
        /// Expected axes, such as `[batch, 64, frames]`.
        expected: String,
        /// Actual sizes.
        actual: Vec<i64>,
    },
    /// A checkpoint does not hold exactly the tensors of the model.
    #[error("checkpoint {}: {report}", path.display())]
    Checkpoint {
        /// The file or directory.
        path: PathBuf,
        /// Every difference found.
        report: Box<CheckpointReport>,
    },
    /// A file is not what its name or header claims.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected, and what was found.
        reason: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A published model could not be fetched.
    #[cfg(feature = "hub")]
    #[error("hub: {0}")]
    Hub(#[from] crate::hub::HubError),
    /// The caller's progress callback asked to stop.
    #[error("stopped at the caller's request")]
    Stopped,
}

impl Error {
    /// A [`Error::Config`].
    pub fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }

    /// A [`Error::Input`].
    pub fn input(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Input { what: what.into(), reason: reason.into() }
    }

    /// A [`Error::Format`].
    pub fn format(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    /// A closure for `map_err` that turns an I/O error at `path` into [`Error::Io`].
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }
}

//! The error type of this crate.

use musicot_core::tch::TchError;

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a measure has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing, or too little, to measure.
    #[error("{what}: expected at least {needed}, got {actual}")]
    TooFew {
        /// The argument, in the plural.
        what: String,
        /// Number needed.
        needed: usize,
        /// Number given.
        actual: usize,
    },
    /// Two arguments that belong together have different sizes.
    #[error("{what}: expected {expected}, got {actual}")]
    LengthMismatch {
        /// The argument and its axis.
        what: String,
        /// Size of its counterpart.
        expected: usize,
        /// Size found.
        actual: usize,
    },
    /// A value is NaN or infinite.
    #[error("{what}: expected finite values, got {value} at position {position}")]
    NotFinite {
        /// The argument.
        what: String,
        /// Position of the first such value, in row-major order.
        position: usize,
        /// The value.
        value: f64,
    },
    /// A value is outside its range.
    #[error("{what}: {reason}")]
    Range {
        /// The argument.
        what: String,
        /// What was expected, and what was found.
        reason: String,
    },
    /// A recording is silent where the measure needs sound.
    #[error("{what}: silent throughout, so that there is nothing to compare with")]
    Silent {
        /// The argument.
        what: String,
    },
    /// A vector is zero and so has no direction.
    #[error("{what}: row {row} is zero and so has no cosine")]
    ZeroVector {
        /// The argument.
        what: String,
        /// Index of the row.
        row: usize,
    },
    /// An error of the shared parts.
    #[error(transparent)]
    Core(#[from] musicot_core::Error),
}

impl Error {
    pub(crate) fn range(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Range { what: what.into(), reason: reason.into() }
    }
}

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        Self::Core(error.into())
    }
}

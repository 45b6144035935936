//! The error type of this crate.

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between logits and a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shape, element type, argument or setting that the shared checks refuse, or libtorch does.
    #[error(transparent)]
    Core(#[from] musicot_core::Error),
    /// A row of logits holds NaN or positive infinity, so that no distribution exists.
    #[error("logits of row {row}: token {token} has the value {value}; expected finite values or -infinity")]
    NotFinite {
        /// Row of the batch.
        row: usize,
        /// First such token.
        token: usize,
        /// Its value.
        value: f32,
    },
    /// Every token of a row is masked out.
    #[error("logits of row {row}: all tokens are -infinity, so none can be drawn")]
    NothingAllowed {
        /// Row of the batch.
        row: usize,
    },
    /// A caller's own [`crate::LogitsTransform`] failed.
    #[error("logits transform: {0}")]
    Transform(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<musicot_core::tch::TchError> for Error {
    fn from(error: musicot_core::tch::TchError) -> Self {
        Self::Core(error.into())
    }
}

//! The error type of this crate.

/// Result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice of another length than the shapes ask for.
    #[error("{what}: expected {expected}, got {actual}")]
    Shape {
        /// Which one.
        what: &'static str,
        /// Its length, or the condition on it.
        expected: String,
        /// The length found.
        actual: usize,
    },
    /// A weight that is no number, or an infinite one, has no place on a grid of integers.
    #[error("row {row}: a weight that is not finite cannot be quantised")]
    NotFinite {
        /// Its row.
        row: usize,
    },
    /// The system gave no thread.
    #[error("a worker thread could not be started")]
    Spawn(#[source] std::io::Error),
    /// A worker ended before its work did.
    #[error("a worker thread has ended")]
    WorkerLost,
}

impl Error {
    pub(crate) fn shape(what: &'static str, expected: impl ToString, actual: usize) -> Self {
        Self::Shape { what, expected: expected.to_string(), actual }
    }
}

/// Refuses a length that is not the one expected.
pub(crate) fn expect_len(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == actual { Ok(()) } else { Err(Error::shape(what, expected, actual)) }
}

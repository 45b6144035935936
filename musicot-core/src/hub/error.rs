//! Why a model could not be fetched.

use std::io::ErrorKind;
use std::path::PathBuf;

use hf_hub::api::sync::ApiError;

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Offline, and the file is not in the cache.
    #[error("offline, and {} is not in the cache (revision `{revision}` of {repo})", path.display())]
    NotCached {
        /// The repository.
        repo: String,
        /// The revision asked for.
        revision: String,
        /// Where the file would be.
        path: PathBuf,
    },
    /// The hub knows no such repository, revision or file.
    #[error("{address}: not found (404): no such repository, revision or file")]
    NotFound {
        /// What was asked for.
        address: String,
    },
    /// The hub refuses access. It says so of repositories that do not exist, too.
    #[error(
        "{address}: access refused ({status}): the model is private or gated, or does not exist; accept its terms on its page if it has any, and give a token that may read it (HF_TOKEN, or HubBuilder::token)"
    )]
    Denied {
        /// What was asked for.
        address: String,
        /// The status: 401 or 403.
        status: u16,
    },
    /// The hub answered with another status that is no success.
    #[error("{address}: the server answered with status {status}")]
    Status {
        /// What was asked for.
        address: String,
        /// The status.
        status: u16,
    },
    /// No answer, or a connection that broke.
    #[error("{address}: {source}; HubBuilder::offline uses what is in the cache")]
    Unreachable {
        /// What was asked for.
        address: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What came is not a hub's answer.
    #[error("{address}: not the answer of a hub: {reason}")]
    Answer {
        /// What was asked for.
        address: String,
        /// What was expected, and what was found.
        reason: String,
    },
    /// The repository does not hold what was asked for.
    #[error("{repo} at {commit}: {reason}")]
    Content {
        /// The repository.
        repo: String,
        /// The commit.
        commit: String,
        /// What was expected, and what was found.
        reason: String,
    },
    /// What arrived is not what the hub announced; it was removed.
    #[error("{address}: {reason}; what had arrived was removed")]
    Damaged {
        /// What was asked for.
        address: String,
        /// What was expected, and what was found.
        reason: String,
    },
    /// A file of the cache could not be written.
    #[error("cache: {}: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Another program is fetching the same file.
    #[error("{} is held by another program that fetches the same file", lock.display())]
    Busy {
        /// The lock file.
        lock: PathBuf,
    },
}

impl HubError {
    /// What hf-hub reports, while it asked for `address`.
    pub(super) fn of_api(error: ApiError, address: &str) -> Self {
        let address = address.to_owned();
        match error {
            ApiError::RequestError(error) => Self::of_request(*error, address),
            ApiError::LockAcquisition(lock) => Self::Busy { lock },
            // hf-hub does not tell the disk's errors from the connection's.
            ApiError::IoError(source) if is_of_disk(source.kind()) => {
                Self::Cache { path: address.into(), source }
            }
            ApiError::IoError(source) => Self::Unreachable { address, source: Box::new(source) },
            other => Self::Answer { address, reason: other.to_string() },
        }
    }

    pub(super) fn of_request(error: ureq::Error, address: String) -> Self {
        match error {
            ureq::Error::StatusCode(404) => Self::NotFound { address },
            ureq::Error::StatusCode(status @ (401 | 403)) => Self::Denied { address, status },
            ureq::Error::StatusCode(status) => Self::Status { address, status },
            other => Self::Unreachable { address, source: Box::new(other) },
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 416 | 429 | 500..),
            Self::Unreachable { source, .. } => !is_permanent(source.as_ref()),
            Self::Damaged { .. } | Self::Busy { .. } => true,
            _ => false,
        }
    }
}

/// A host that is not there will not be there in a moment either.
fn is_permanent(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    match source.downcast_ref::<ureq::Error>() {
        Some(ureq::Error::Io(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Some(ureq::Error::Timeout(_) | ureq::Error::Protocol(_) | ureq::Error::ConnectionFailed) => false,
        Some(_) => true,
        None => false,
    }
}

fn is_of_disk(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(
        kind,
        K::StorageFull
            | K::QuotaExceeded
            | K::FileTooLarge
            | K::ReadOnlyFilesystem
            | K::PermissionDenied
            | K::NotFound
            | K::AlreadyExists
            | K::NotADirectory
            | K::IsADirectory
    )
}

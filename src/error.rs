//! The error type of the facade: every stage's error, unchanged, with a coarse kind.

/// Result with the facade's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and in which stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Files, checkpoints, tensors, arguments of the facade itself, or a stage without errors of its own.
    #[error(transparent)]
    Core(#[from] musicot_core::Error),
    /// Audio files, codec or tokeniser.
    #[error(transparent)]
    Codec(#[from] musicot_codec::Error),
    /// The language model.
    #[error(transparent)]
    Lm(#[from] musicot_lm::Error),
    /// Sampling settings.
    #[error(transparent)]
    Sampling(#[from] musicot_sampling::Error),
    /// A bundle is not what its `bundle.json` says.
    #[error("bundle {}: {reason}", path.display())]
    Bundle {
        /// The bundle's directory.
        path: std::path::PathBuf,
        /// What was expected, and what was found.
        reason: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] musicot_core::tch::TchError),
}

/// Who can mend an [`enum@Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller: an argument or a configuration.
    Input,
    /// Whoever made the file.
    Data,
    /// Whoever runs the machine: disk, memory, permissions.
    System,
    /// Nobody: the caller stopped the work.
    Stopped,
}

impl Error {
    /// A coarse kind, for callers that decide whether to ask again or to give up.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Core(error)
            | Self::Codec(musicot_codec::Error::Core(error))
            | Self::Lm(musicot_lm::Error::Core(error))
            | Self::Sampling(musicot_sampling::Error::Core(error)) => core_kind(error),
            Self::Lm(musicot_lm::Error::Kernels(error)) => kernels_kind(error),
            Self::Codec(_) | Self::Lm(_) | Self::Sampling(_) | Self::Bundle { .. } => ErrorKind::Data,
            Self::Torch(_) => ErrorKind::System,
        }
    }

    /// An unusable argument.
    pub(crate) fn input(what: &str, reason: impl Into<String>) -> Self {
        Self::Core(musicot_core::Error::input(what, reason))
    }
}

fn kernels_kind(error: &musicot_lm::kernels::Error) -> ErrorKind {
    use musicot_lm::kernels::Error as E;
    match error {
        E::Shape { .. } => ErrorKind::Input,
        E::NotFinite { .. } => ErrorKind::Data,
        _ => ErrorKind::System,
    }
}

fn core_kind(error: &musicot_core::Error) -> ErrorKind {
    use musicot_core::Error as E;
    match error {
        E::Config { .. } | E::Input { .. } | E::Shape { .. } => ErrorKind::Input,
        E::Checkpoint { .. } | E::Format { .. } => ErrorKind::Data,
        E::Stopped => ErrorKind::Stopped,
        _ => ErrorKind::System,
    }
}

//! What can go wrong, each with its cause and its remedy.

use std::path::PathBuf;

/// Result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Causes and remedies.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Usage(String),
    #[error(
        "no Python 3.8 or newer was found (tried: {tried}).\n  remedy: install Python 3 with pip (Debian, Ubuntu: `apt install python3 python3-pip`), or set LIBTORCH to a libtorch {version} that you have."
    )]
    NoPython { tried: String, version: &'static str },
    #[error(
        "{python} has no pip: {detail}\n  remedy: `apt install python3-pip`, or `{python} -m ensurepip`, or set LIBTORCH to a libtorch {version} that you have."
    )]
    NoPip { python: String, detail: String, version: &'static str },
    #[error(
        "no C++ compiler: {detail}\n  remedy: install one (Debian, Ubuntu: `apt install g++`); if it has another name, `export CXX=<its name>`."
    )]
    NoCompiler { detail: String },
    #[error(
        "`{what}` could not be downloaded: the package index cannot be reached.\n{detail}\n  remedy: check the network, proxy and pip's configuration (`python3 -m pip config list`), then run this again; or set LIBTORCH to a libtorch {version} that you have."
    )]
    Network { what: String, detail: String, version: &'static str },
    #[error(
        "`{what}` has no package for this machine.\n{detail}\n  remedy: set LIBTORCH to a libtorch {version} built for it (its folders `include` and `lib`)."
    )]
    NoPackage { what: String, detail: String, version: &'static str },
    #[error("the disk is full: {detail}\n  remedy: free about {needed_gb:.1} GB under {}; nothing half-made was left in place.", path.display())]
    DiskFull { path: PathBuf, needed_gb: f64, detail: String },
    #[error("pip failed on `{what}`:\n{detail}")]
    Pip { what: String, detail: String },
    #[error("{what} is not as expected: {detail}")]
    Malformed { what: String, detail: String },
    #[error("the libtorch in {} does not load: {detail}\n  remedy: {remedy}", path.display())]
    DoesNotLoad { path: PathBuf, detail: String, remedy: String },
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot start `{program}`: {source}")]
    Spawn { program: String, source: std::io::Error },
    #[error("`{what}` failed with status {status}")]
    Program { what: String, status: u8 },
    #[error("{0}")]
    Check(String),
}

impl Error {
    /// For `map_err`: what was being done to which path.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull => {
                Self::DiskFull { path, needed_gb: 2.0, detail: source.to_string() }
            }
            _ => Self::Io { doing, path, source },
        }
    }
}

//! What a fetch returns.

use std::path::{Path, PathBuf};

/// The files of a model at one commit, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    dir: PathBuf,
    commit: String,
    files: Vec<String>,
}

impl Snapshot {
    pub(super) fn new(dir: PathBuf, commit: String, files: Vec<String>) -> Self {
        Self { dir, commit, files }
    }

    /// The folder that holds them, laid out as in the repository: what [`crate::Checkpoint::open`] and the `load` functions take. A folder of
    /// the repository is a folder of it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The commit that the revision stood for: fetching this one gives the same files for ever.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Names of the files asked for, sorted, with `/` between folder and file. The folder may hold more, from other fetches.
    pub fn files(&self) -> &[String] {
        &self.files
    }
}

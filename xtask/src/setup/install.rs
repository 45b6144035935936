//! A new libtorch is made aside and put in place by one rename, so that an interrupted set-up leaves nothing half-made.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::VERSION;
use super::find::Source;
use super::state::{Libtorch, inspect};
use super::version;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// The place where a libtorch is made; removed when dropped.
pub struct Staging {
    dir: PathBuf,
    target: PathBuf,
}

impl Staging {
    /// An empty one; what an interrupted set-up left is removed.
    pub fn new(ws: &Workspace) -> Result<Self> {
        let staging = Self { dir: ws.root.join("target/libtorch.partial"), target: ws.libtorch() };
        remove(&staging.dir)?;
        for dir in [staging.tree(), staging.wheels(), staging.scratch()] {
            fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        }
        Ok(staging)
    }

    /// What becomes `target/libtorch`.
    pub fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    /// Where downloaded wheels go.
    pub fn wheels(&self) -> PathBuf {
        self.dir.join("wheels")
    }

    /// Temporary files of other programs: on this disk, since `/tmp` may be small.
    pub fn scratch(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Links `lib` and `include` of a libtorch elsewhere. Whole folders, because its libraries look for their neighbours
    /// relative to the folder that they were opened from.
    pub fn link(&self, source: &Source) -> Result<()> {
        let dir = fs::canonicalize(&source.dir).map_err(Error::io("resolve", &source.dir))?;
        for name in ["lib", "include"] {
            let link = self.tree().join(name);
            symlink(dir.join(name), &link).map_err(Error::io("create the link", &link))?;
        }
        self.write_version(&source.found.version)
    }

    /// The file that torch-sys reads.
    pub fn write_version(&self, version: &str) -> Result<()> {
        let path = self.tree().join("build-version");
        fs::write(&path, format!("{version}\n")).map_err(Error::io("write", &path))
    }

    /// Puts the finished one in place.
    pub fn publish(self) -> Result<Libtorch> {
        let made = inspect(&self.tree())
            .map_err(|detail| Error::Malformed { what: "the libtorch just made".into(), detail })?;
        if !version::matches(&made.version, VERSION) {
            let detail = format!("it is version {}, not {VERSION}", made.version);
            return Err(Error::Malformed { what: "the libtorch just made".into(), detail });
        }
        let old = self.dir.join("old");
        if fs::symlink_metadata(&self.target).is_ok() {
            fs::rename(&self.target, &old).map_err(Error::io("move aside", &self.target))?;
        }
        fs::rename(self.tree(), &self.target).map_err(Error::io("put in place", &self.target))?;
        Ok(made)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The next set-up removes what cannot be removed now.
        let _ = remove(&self.dir);
    }
}

/// Removes a folder, a file or a link (never what it links to); nothing there is fine.
pub fn remove(path: &Path) -> Result<()> {
    let done = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    done.map_err(Error::io("remove", path))
}

#[cfg(test)]
mod tests {
    use super::super::Variant;
    use super::super::state::tests::fake_libtorch;
    use super::*;

    fn workspace(root: &Path) -> Workspace {
        Workspace { root: root.to_path_buf(), build_dir: root.join("target") }
    }

    #[test]
    fn a_link_replaces_a_broken_one_and_leaves_its_source_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ws = workspace(dir.path());
        let elsewhere = dir.path().join("elsewhere");
        fake_libtorch(&elsewhere, "2.11.0+cpu", false);
        fs::create_dir_all(ws.libtorch().join("lib")).unwrap();

        let staging = Staging::new(&ws).unwrap();
        staging.link(&Source { found: inspect(&elsewhere).unwrap(), dir: elsewhere.clone() }).unwrap();
        let made = staging.publish().unwrap();

        assert_eq!(made, Libtorch { version: "2.11.0+cpu".into(), variant: Variant::Cpu });
        assert_eq!(inspect(&ws.libtorch()).unwrap(), made);
        assert!(!ws.root.join("target/libtorch.partial").exists());
        // Replacing the link by another must not follow it.
        let again = Staging::new(&ws).unwrap();
        again.link(&Source { found: made.clone(), dir: elsewhere.clone() }).unwrap();
        again.publish().unwrap();
        assert!(inspect(&elsewhere).is_ok());
    }

    #[test]
    fn an_unfinished_one_never_takes_the_place_of_a_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let ws = workspace(dir.path());
        fake_libtorch(&ws.libtorch(), "2.11.0", false);
        let staging = Staging::new(&ws).unwrap();
        fs::create_dir_all(staging.tree().join("lib")).unwrap();
        assert!(staging.publish().is_err());
        assert!(inspect(&ws.libtorch()).is_ok());
        assert!(!ws.root.join("target/libtorch.partial").exists());
    }

    #[test]
    fn another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ws = workspace(dir.path());
        let staging = Staging::new(&ws).unwrap();
        fake_libtorch(&staging.tree(), "2.12.0", false);
        assert!(staging.publish().unwrap_err().to_string().contains("2.12.0"));
        assert!(!ws.libtorch().exists());
    }
}

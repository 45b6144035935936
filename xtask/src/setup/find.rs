//! A libtorch that the machine has already.

use std::path::{Path, PathBuf};

use super::python::Python;
use super::state::{Libtorch, inspect};
use super::{VERSION, Variant, fits};
use crate::workspace::Workspace;

/// A libtorch outside the checkout.
#[derive(Debug)]
pub struct Source {
    pub dir: PathBuf,
    pub found: Libtorch,
}

/// The first that fits: `LIBTORCH`, then Python's torch. Says why one that is there is not taken.
pub fn existing(ws: &Workspace, wanted: Option<Variant>, python: Option<&Python>) -> Option<Source> {
    let from_variable = libtorch_variable(ws).map(|dir| ("LIBTORCH", dir));
    let from_python = || python.and_then(Python::torch_dir).map(|dir| ("Python's torch", dir));
    from_variable
        .and_then(|(name, dir)| judge(name, &dir, wanted))
        .or_else(|| from_python().and_then(|(name, dir)| judge(name, &dir, wanted)))
}

/// What the user set; cargo itself sets the variable to our folder when it starts this program.
pub fn libtorch_variable(ws: &Workspace) -> Option<PathBuf> {
    let given = PathBuf::from(std::env::var_os("LIBTORCH")?);
    (given != ws.libtorch() && !given.as_os_str().is_empty()).then_some(given)
}

fn judge(name: &str, dir: &Path, wanted: Option<Variant>) -> Option<Source> {
    let problem = match inspect(dir) {
        Ok(found) if fits(&found, wanted) => {
            println!(
                "set-up: {name} in {} is libtorch {} ({}): linking it",
                dir.display(),
                found.version,
                found.variant
            );
            return Some(Source { dir: dir.to_path_buf(), found });
        }
        Ok(found) => format!("it is {} ({}), wanted: {}", found.version, found.variant, describe(wanted)),
        Err(problem) => problem,
    };
    println!("set-up: {name} in {} is not used: {problem}", dir.display());
    None
}

fn describe(wanted: Option<Variant>) -> String {
    wanted.map_or_else(|| VERSION.to_owned(), |variant| format!("{VERSION} ({variant})"))
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::fake_libtorch;
    use super::*;

    #[test]
    fn only_the_right_version_and_variant_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        fake_libtorch(dir.path(), "2.11.0+cpu", false);
        assert!(judge("LIBTORCH", dir.path(), None).is_some());
        assert!(judge("LIBTORCH", dir.path(), Some(Variant::Cuda)).is_none());
        fake_libtorch(dir.path(), "2.9.0", false);
        assert!(judge("LIBTORCH", dir.path(), None).is_none());
        assert!(judge("LIBTORCH", &dir.path().join("nowhere"), None).is_none());
    }
}

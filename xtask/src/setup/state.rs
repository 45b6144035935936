//! What a folder with libtorch holds.

use std::path::Path;

use super::{Variant, version};

/// A libtorch that is complete enough to build and run against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libtorch {
    pub version: String,
    pub variant: Variant,
}

/// File name of a shared library on this system.
pub fn library(name: &str) -> String {
    format!("lib{name}{}", std::env::consts::DLL_SUFFIX)
}

/// Reads a folder with `lib` and `include`.
///
/// # Errors
/// What is missing, in words.
pub fn inspect(dir: &Path) -> Result<Libtorch, String> {
    let needed = [
        "include/torch/csrc/api/include/torch/torch.h".to_owned(),
        format!("lib/{}", library("torch_cpu")),
        format!("lib/{}", library("c10")),
        format!("lib/{}", library("torch")),
    ];
    // `is_file` follows links: one whose source was removed counts as missing.
    if let Some(missing) = needed.iter().find(|path| !dir.join(path).is_file()) {
        return Err(format!("{} has no {missing}", dir.display()));
    }
    let version = version_of(dir).ok_or_else(|| format!("{} tells no version", dir.display()))?;
    let has_cuda = dir.join("lib").join(library("torch_cuda")).is_file();
    Ok(Libtorch { version, variant: if has_cuda { Variant::Cuda } else { Variant::Cpu } })
}

/// From `build-version` (a libtorch archive, and what the set-up writes) or `version.py` (a Python package).
fn version_of(dir: &Path) -> Option<String> {
    if let Ok(text) = std::fs::read_to_string(dir.join("build-version")) {
        return Some(text.trim().to_owned()).filter(|version| !version.is_empty());
    }
    let text = std::fs::read_to_string(dir.join("version.py")).ok()?;
    version::from_version_py(&text).map(str::to_owned)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::fs;

    /// A folder that looks like libtorch; the files are empty.
    pub fn fake_libtorch(dir: &Path, version: &str, cuda: bool) {
        let header = dir.join("include/torch/csrc/api/include/torch");
        fs::create_dir_all(&header).unwrap();
        fs::create_dir_all(dir.join("lib")).unwrap();
        fs::write(header.join("torch.h"), "").unwrap();
        let mut names = vec!["torch", "torch_cpu", "c10"];
        names.extend(cuda.then_some("torch_cuda"));
        for name in names {
            fs::write(dir.join("lib").join(library(name)), "").unwrap();
        }
        fs::write(dir.join("build-version"), format!("{version}\n")).unwrap();
    }

    #[test]
    fn a_whole_one_is_read_and_a_broken_one_names_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        fake_libtorch(dir.path(), "2.11.0+cu130", true);
        let found = inspect(dir.path()).unwrap();
        assert_eq!(found, Libtorch { version: "2.11.0+cu130".into(), variant: Variant::Cuda });
        fs::remove_file(dir.path().join("lib").join(library("c10"))).unwrap();
        assert!(inspect(dir.path()).unwrap_err().contains("c10"));
    }

    #[test]
    fn a_python_package_tells_its_version_in_version_py() {
        let dir = tempfile::tempdir().unwrap();
        fake_libtorch(dir.path(), "x", false);
        fs::remove_file(dir.path().join("build-version")).unwrap();
        assert!(inspect(dir.path()).unwrap_err().contains("no version"));
        fs::write(dir.path().join("version.py"), "__version__ = '2.11.0'\n").unwrap();
        assert_eq!(inspect(dir.path()).unwrap().version, "2.11.0");
    }
}

//! The workspace: where it is, which packages and features it has.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::process;

/// Features that change how libtorch is found: on in no test, because `doc-only` leaves libtorch out and
/// `download-libtorch` fetches a second one.
const LIBTORCH_FEATURES: [&str; 2] = ["doc-only", "download-libtorch"];

/// Paths of this checkout.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Where cargo builds (`CARGO_TARGET_DIR` or `target`).
    pub build_dir: PathBuf,
}

/// One package of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    /// `None`: may be published; an empty list: never.
    publish: Option<Vec<String>>,
    features: std::collections::BTreeMap<String, Vec<String>>,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
    pub rust_version: Option<String>,
}

/// One line of a package's dependency tables.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `None`: a normal one; else `dev` or `build`.
    pub kind: Option<String>,
}

/// A library, binary, example, test or bench.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    pub name: String,
    pub kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Workspace {
    /// The checkout that this program was started from, or else built from.
    pub fn find() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir.parent().map(Path::to_path_buf).unwrap_or_default();
        if !root.join("Cargo.toml").is_file() {
            return Err(Error::Check(format!(
                "{} is not the workspace any more; run this as `cargo xtask`",
                root.display()
            )));
        }
        let build_dir = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(&dir).map_err(Error::io("resolve", dir))?,
            None => root.join("target"),
        };
        Ok(Self { root, build_dir })
    }

    /// Where libtorch always is: `.cargo/config.toml` says so.
    pub fn libtorch(&self) -> PathBuf {
        self.root.join("target/libtorch")
    }

    /// A built program of an example.
    pub fn example(&self, name: &str) -> PathBuf {
        self.build_dir.join("release/examples").join(name)
    }

    /// `path` as a reader in the root would type it.
    pub fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }

    /// The members, in the order of their names.
    pub fn packages(&self) -> Result<Vec<Package>> {
        let mut command = process::cargo(self);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Metadata = serde_json::from_str(&process::capture(&mut command)?)
            .map_err(|e| Error::Malformed { what: "`cargo metadata`".into(), detail: e.to_string() })?;
        let mut packages = metadata.packages;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(packages)
    }
}

impl Package {
    /// Whether it goes to a registry.
    pub fn is_published(&self) -> bool {
        self.publish.is_none()
    }

    /// The folder that holds it.
    pub fn dir(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }

    /// Every feature that can be on in a build with libtorch.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.features.keys().map(String::as_str).filter(|name| !LIBTORCH_FEATURES.contains(name))
    }

    /// Whether it has the feature at all.
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.contains_key(name)
    }
}

/// `a/x,a/y,b/x`: every feature of every package, for cargo's `--features`.
pub fn all_features(packages: &[Package]) -> String {
    let of = |package: &Package| -> Vec<String> {
        package.features().map(|feature| format!("{}/{feature}", package.name)).collect()
    };
    packages.iter().flat_map(of).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(json: &str) -> Package {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn features_that_move_libtorch_are_left_out() {
        let package = package(
            r#"{"name":"a","manifest_path":"/w/a/Cargo.toml","publish":null,"dependencies":[],"targets":[],"rust_version":null,
            "features":{"default":[],"doc-only":[],"download-libtorch":[],"train":[]}}"#,
        );
        assert_eq!(all_features(std::slice::from_ref(&package)), "a/default,a/train");
        assert!(package.is_published() && package.has_feature("doc-only"));
        assert_eq!(package.dir(), Path::new("/w/a"));
    }

    #[test]
    fn this_workspace_is_found_and_this_package_is_not_published() {
        let packages = Workspace::find().unwrap().packages().unwrap();
        let own = packages.iter().find(|package| package.name == "xtask").unwrap();
        assert!(!own.is_published());
        assert!(
            own.dependencies.iter().all(|d| d.name != "tch" && d.name != "torch-sys"),
            "xtask must not link libtorch"
        );
    }
}

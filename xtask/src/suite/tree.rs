//! The workspace's rules of dependence.
//!
//! Published crates must not bring the corpus generator or its synthesiser to their users; a stage knows no other stage but for
//! two exceptions; the kernels know nobody, and of the stages two know them; nothing depends on the facade; nobody gets a client of the network who did not ask for one.

use super::summary::{Outcome, Totals};
use crate::error::Result;
use crate::process;
use crate::workspace::{Package, Workspace};

/// What only the unpublished corpus generator may use, and itself.
const CORPUS_ONLY: [&str; 3] = ["rustysynth", "midly", "musicot-corpus"];

/// What the feature `hub` alone may bring.
const HUB_FEATURE: &str = "hub";
const HUB_ONLY: &str = "hf-hub";

const FACADE: &str = "musicot";

const STAGES: [&str; 6] =
    ["musicot-clap", "musicot-rvq", "musicot-lm", "musicot-sampling", "musicot-diffusion", "musicot-codec"];

/// Stage pairs (user, used) that the design allows.
const ALLOWED: [(&str, &str); 2] = [("musicot-lm", "musicot-sampling"), ("musicot-codec", "musicot-rvq")];

/// What has no crate of the workspace and no libtorch below it, and the stages that may use it.
const KERNELS: &str = "musicot-kernels";
const KERNELS_USERS: [&str; 2] = ["musicot-lm", "musicot-rvq"];

/// One check of each kind for each package.
pub fn check(ws: &Workspace, packages: &[Package], totals: &mut Totals) -> Result<()> {
    for package in packages {
        totals.record(&format!("dependencies of {}", package.name), direct(package));
        if package.is_published() {
            let all: Vec<&str> = package.features().collect();
            let tree = cargo_tree(ws, package, &all)?;
            totals.record(
                &format!("tree of {}", package.name),
                without(&package.name, &tree, &CORPUS_ONLY, "only the corpus generator may use"),
            );
            let others: Vec<&str> = all.into_iter().filter(|feature| *feature != HUB_FEATURE).collect();
            let tree = cargo_tree(ws, package, &others)?;
            totals.record(
                &format!("tree of {} without `{HUB_FEATURE}`", package.name),
                without(&package.name, &tree, &[HUB_ONLY], "is for the feature `hub`"),
            );
        }
    }
    Ok(())
}

fn cargo_tree(ws: &Workspace, package: &Package, features: &[&str]) -> Result<String> {
    let mut command = process::cargo(ws);
    command.args(["tree", "--package", &package.name, "--features", &features.join(",")]);
    command.args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    process::capture(&mut command)
}

/// Looks for `unwanted` in a tree of `name vX.Y.Z (...)` lines.
fn without(own: &str, tree: &str, unwanted: &[&str], why: &str) -> Outcome {
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if names.first() != Some(&own) {
        return Err(format!("cargo's tree does not start with {own}"));
    }
    match names.iter().find(|name| unwanted.contains(name)) {
        Some(found) => Err(format!("it brings {found}, which {why}")),
        None => Ok(()),
    }
}

fn direct(package: &Package) -> Outcome {
    let normal = || package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
    if STAGES.contains(&package.name.as_str()) {
        let is_forbidden =
            |used: &&str| STAGES.contains(used) && !ALLOWED.contains(&(package.name.as_str(), used));
        if let Some(other) = normal().map(|dependency| dependency.name.as_str()).find(is_forbidden) {
            return Err(format!("a stage must not depend on another: {other}"));
        }
        let may_use_kernels = KERNELS_USERS.contains(&package.name.as_str());
        if !may_use_kernels && normal().any(|dependency| dependency.name == KERNELS) {
            return Err(format!("of the stages only {} use {KERNELS}", KERNELS_USERS.join(" and ")));
        }
    }
    let is_ours_or_tch = |name: &&str| name.starts_with(FACADE) || *name == "tch";
    if package.name == KERNELS
        && let Some(other) = normal().map(|dependency| dependency.name.as_str()).find(is_ours_or_tch)
    {
        return Err(format!("{KERNELS} stands alone: {other}"));
    }
    if package.is_published() && normal().any(|dependency| dependency.name == FACADE) {
        return Err(format!("nothing published depends on the facade, {FACADE}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, used: &[(&str, Option<&str>)]) -> Package {
        let dependencies: Vec<_> =
            used.iter().map(|(name, kind)| serde_json::json!({ "name": name, "kind": kind })).collect();
        let json = serde_json::json!({ "name": name, "manifest_path": "/w/Cargo.toml", "publish": null, "features": {},
            "dependencies": dependencies, "targets": [], "rust_version": null });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_synthesiser_anywhere_in_the_tree_is_found() {
        let clean =
            "musicot v0.1.0 (/w)\nmusicot-core v0.1.0 (/w/musicot-core)\ntch v0.24.0\nndarray v0.17.0 (*)\n";
        let whole_tree = |own: &str, tree: &str| without(own, tree, &CORPUS_ONLY, "only it may use");
        assert_eq!(whole_tree("musicot", clean), Ok(()));
        let dirty = format!("{clean}rustysynth v1.3.0\n");
        assert!(whole_tree("musicot", &dirty).unwrap_err().contains("rustysynth"));
        assert!(whole_tree("musicot", "").is_err(), "an empty tree proves nothing");
        assert!(whole_tree("musicot-core", clean).is_err());
    }

    #[test]
    fn the_kernels_stand_alone() {
        assert!(direct(&package(KERNELS, &[("thiserror", None), ("criterion", Some("dev"))])).is_ok());
        for used in ["musicot-core", "tch"] {
            assert!(direct(&package(KERNELS, &[(used, None)])).unwrap_err().contains(used));
        }
        for user in KERNELS_USERS {
            assert!(direct(&package(user, &[(KERNELS, None)])).is_ok());
        }
        assert!(direct(&package("musicot-codec", &[(KERNELS, None)])).unwrap_err().contains(KERNELS));
    }

    #[test]
    fn stages_are_apart_but_for_the_two_pairs() {
        assert!(
            direct(&package("musicot-lm", &[("musicot-core", None), ("musicot-sampling", None)])).is_ok()
        );
        assert!(direct(&package("musicot-codec", &[("musicot-rvq", None)])).is_ok());
        assert!(
            direct(&package("musicot-rvq", &[("musicot-codec", None)]))
                .unwrap_err()
                .contains("musicot-codec")
        );
        assert!(direct(&package("musicot-clap", &[("musicot-rvq", Some("dev"))])).is_ok(), "tests may");
        assert!(direct(&package("musicot-core", &[("musicot", None)])).is_err());
        assert!(direct(&package("musicot", &[("musicot-lm", None)])).is_ok());
    }
}

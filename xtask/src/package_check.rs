//! `cargo xtask package-check`: what each published crate would upload.

use std::path::Path;

use crate::args;
use crate::error::{Error, Result};
use crate::process;
use crate::workspace::{Package, Workspace};

/// Files that every published crate has.
const NEEDED: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Weights, audio and fixtures stay in the repository.
const UNWANTED_ENDS: [&str; 6] = [".safetensors", ".wav", ".mp3", ".npy", ".npz", ".sf2"];
const UNWANTED_FOLDERS: [&str; 6] = ["models/", "tests/", "fixtures/", "xtask/", "out/", "runs/"];
const FIXTURES: &str = "/fixtures/";

/// Source text alone; a registry allows 10 MB packed.
const LIMIT_BYTES: u64 = 2_000_000;

/// `cargo xtask package-check`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    args::only_switches("package-check", given, &[])?;
    let packages = ws.packages()?;
    let mut problems = Vec::new();
    let mut count = 0;
    for package in packages.iter().filter(|package| package.is_published()) {
        count += 1;
        // One package that cannot be listed does not hide what is wrong with the others.
        match list(ws, package) {
            Ok(list) => {
                let files: Vec<&str> = list.lines().collect();
                let bytes = total_bytes(package.dir(), &files);
                println!(
                    "package-check: {}: {} files, {:.0} kB",
                    package.name,
                    files.len(),
                    bytes as f64 / 1e3
                );
                problems.extend(judge(package, &files, bytes));
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    if count == 0 {
        problems.push("no package is published".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Check(problems.join("\n       "))) }
}

fn list(ws: &Workspace, package: &Package) -> Result<String> {
    let mut command = process::cargo(ws);
    command.args(["package", "--list", "--allow-dirty", "--package", &package.name]);
    process::capture(&mut command)
}

fn total_bytes(dir: &Path, files: &[&str]) -> u64 {
    // What cargo makes itself (Cargo.toml.orig, .cargo_vcs_info.json) is not in the folder.
    files.iter().filter_map(|file| std::fs::metadata(dir.join(file)).ok()).map(|meta| meta.len()).sum()
}

fn judge(package: &Package, files: &[&str], bytes: u64) -> Vec<String> {
    let name = &package.name;
    let mut problems: Vec<String> = NEEDED
        .iter()
        .filter(|needed| !files.contains(needed))
        .map(|needed| format!("{name} lacks {needed}"))
        .collect();
    let is_unwanted = |file: &&&str| {
        UNWANTED_ENDS.iter().any(|end| file.ends_with(end))
            || UNWANTED_FOLDERS.iter().any(|folder| file.starts_with(folder))
            || file.contains(FIXTURES)
    };
    problems.extend(files.iter().filter(is_unwanted).map(|file| format!("{name} would upload {file}")));
    if bytes > LIMIT_BYTES {
        problems.push(format!("{name} has {bytes} bytes, more than {LIMIT_BYTES}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_unwanted_or_too_large_is_named() {
        let json = r#"{"name":"a","manifest_path":"/w/a/Cargo.toml","publish":null,"dependencies":[],"targets":[],"features":{},"rust_version":null}"#;
        let package: Package = serde_json::from_str(json).unwrap();
        let good =
            ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/models/a.rs", "src/tests/a.rs"];
        assert!(judge(&package, &good, 1000).is_empty());
        let bad = [
            "Cargo.toml",
            "README.md",
            "LICENSE-MIT",
            "models/mini/bundle.json",
            "src/fixtures/a.json",
            "src/a.safetensors",
        ];
        let problems = judge(&package, &bad, LIMIT_BYTES + 1).join("\n");
        for part in [
            "lacks LICENSE-APACHE",
            "models/mini/bundle.json",
            "src/fixtures/a.json",
            "src/a.safetensors",
            "bytes, more than",
        ] {
            assert!(problems.contains(part), "{problems}");
        }
    }
}

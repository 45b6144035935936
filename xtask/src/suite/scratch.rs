//! Each published crate alone, as its user has it: a scratch crate outside the workspace depends on that one crate, calls one public
//! item, is built and run.

use std::fs;
use std::path::{Path, PathBuf};

use super::summary::{Outcome, Totals};
use crate::error::{Error, Result};
use crate::process;
use crate::workspace::{Package, Workspace};

/// A crate and an expression over its public items that is true.
const CALLS: [(&str, &str); 10] = [
    ("musicot", "musicot::Seeds::from(1).plan == 1"),
    ("musicot-clap", "musicot_clap::ClapConfig::mini().validate().is_ok()"),
    ("musicot-codec", "musicot_codec::SpectralCodecConfig::default().validate().is_ok()"),
    (
        "musicot-core",
        "musicot_core::CounterRng::new(1).normal(0, &[2], musicot_core::tch::Device::Cpu).is_ok()",
    ),
    ("musicot-diffusion", "musicot_diffusion::DitConfig::full().validate().is_ok()"),
    ("musicot-eval", "musicot_eval::statistics::mean(&[1.0, 3.0]).is_ok_and(|mean| mean == 2.0)"),
    (
        "musicot-kernels",
        "musicot_kernels::Matrix::new(&[1.0, 2.0], 1, 2, musicot_kernels::WeightKind::Int8).is_ok()",
    ),
    ("musicot-lm", "musicot_lm::MusicLmConfig::default().validate().is_ok()"),
    ("musicot-rvq", "musicot_rvq::RvqConfig::default().validate().is_ok()"),
    ("musicot-sampling", "musicot_sampling::PhasePolicy::paper().validate().is_ok()"),
];

/// One check for each published package.
pub fn check(ws: &Workspace, packages: &[Package], totals: &mut Totals) -> Result<()> {
    for package in packages.iter().filter(|package| package.is_published()) {
        let outcome = match call_of(&package.name) {
            Some(call) => build_and_run(ws, package, call)?,
            None => Err("xtask/src/suite/scratch.rs has no call for it".to_owned()),
        };
        totals.record(&format!("{} alone", package.name), outcome);
    }
    Ok(())
}

fn call_of(name: &str) -> Option<&'static str> {
    CALLS.iter().find(|(known, _)| *known == name).map(|(_, call)| *call)
}

fn build_and_run(ws: &Workspace, package: &Package, call: &str) -> Result<Outcome> {
    let dir = write_crate(ws, package, call)?;
    let mut command = process::cargo(ws);
    // The workspace's build folder: with the same versions and profile, the bindings to libtorch are not built again.
    command.current_dir(&dir).args(["run", "--quiet"]).env("CARGO_TARGET_DIR", &ws.build_dir);
    Ok(process::run(&mut command).map_err(|error| error.to_string()))
}

fn write_crate(ws: &Workspace, package: &Package, call: &str) -> Result<PathBuf> {
    let dir = ws.root.join("target/scratch").join(&package.name);
    fs::create_dir_all(dir.join("src")).map_err(Error::io("create", &dir))?;
    let root_manifest = ws.root.join("Cargo.toml");
    let root_text = fs::read_to_string(&root_manifest).map_err(Error::io("read", &root_manifest))?;
    write(&dir.join("Cargo.toml"), &manifest(package, &profiles(&root_text)))?;
    write(&dir.join("src/main.rs"), &program(call))?;
    let lock = dir.join("Cargo.lock");
    fs::copy(ws.root.join("Cargo.lock"), &lock).map_err(Error::io("write", &lock))?;
    Ok(dir)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io("write", path))
}

fn manifest(package: &Package, profiles: &str) -> String {
    let name = &package.name;
    let path = package.dir().display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "[package]\nname = \"scratch-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\n{name} = {{ path = \"{path}\" }}\n\n\
         # Apart from the workspace that this folder lies in.\n[workspace]\n\n{profiles}"
    )
}

fn program(call: &str) -> String {
    format!("//! Made by `cargo xtask test`.\n\nfn main() {{\n    assert!({call});\n}}\n")
}

/// The `[profile...]` tables of a manifest: another profile would build every dependency again.
fn profiles(manifest: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        if line.trim_start().starts_with('[') {
            inside = line.trim_start().starts_with("[profile.");
        }
        inside
    };
    manifest.lines().filter(keep).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_taken_and_nothing_else() {
        let text = "[package]\nname = \"a\"\n\n[profile.dev]\nopt-level = 2\n\n[profile.dev.build-override]\nopt-level = 0\n\n[features]\nx = []\n";
        assert_eq!(
            profiles(text),
            "[profile.dev]\nopt-level = 2\n\n[profile.dev.build-override]\nopt-level = 0\n\n"
        );
    }

    #[test]
    fn every_published_package_has_a_call() {
        let packages = Workspace::find().unwrap().packages().unwrap();
        let published = packages.iter().filter(|package| package.is_published());
        let missing: Vec<_> = published.filter(|package| call_of(&package.name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

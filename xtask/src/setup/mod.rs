//! Puts libtorch at `target/libtorch`: a link to one that is there, or a small copy made from PyPI's torch.
//!
//! Whatever the source, the result has the folders `lib` and `include` and the file `build-version`, which is where
//! `.cargo/config.toml` and the binaries' run paths look.

mod compiler;
mod cuda;
mod fetch;
mod find;
mod install;
mod lock;
mod pip;
mod progress;
pub mod python;
mod requirements;
mod state;
mod version;
mod wheel;

use std::path::Path;
use std::time::Instant;

use crate::args;
use crate::error::{Error, Result};
use crate::process;
use crate::workspace::Workspace;
use install::Staging;
use state::{Libtorch, inspect};

/// The only libtorch that tch 0.24 accepts.
pub const VERSION: &str = "2.11.0";

/// Which libraries are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The CPU's alone: half a gigabyte.
    Cpu,
    /// Those for NVIDIA GPUs too: several gigabytes.
    Cuda,
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Cuda => "CPU and CUDA",
        })
    }
}

/// `cargo xtask setup [--cpu | --cuda]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let switches = args::only_switches("setup", given, &["--cpu", "--cuda"])?;
    let has = |name: &str| switches.iter().any(|switch| switch == name);
    let wanted = match (has("--cpu"), has("--cuda")) {
        (true, true) => return Err(Error::Usage("--cpu and --cuda exclude each other.".into())),
        (true, false) => Some(Variant::Cpu),
        (false, true) => Some(Variant::Cuda),
        (false, false) => None,
    };
    ensure(ws, wanted)
}

/// Returns at once when a fitting libtorch is in place, else makes one. `None` takes either variant if it is there.
pub fn ensure(ws: &Workspace, wanted: Option<Variant>) -> Result<()> {
    if let Some(ready) = fitting(ws, wanted) {
        println!("set-up: libtorch {} ({}) is in place", ready.version, ready.variant);
        warn_of_another_libtorch(ws);
        return Ok(());
    }
    compiler::check()?;
    let _lock = lock::acquire(ws)?;
    // Another set-up may have finished while this one waited.
    if fitting(ws, wanted).is_some() {
        return ensure(ws, wanted);
    }
    let started = Instant::now();
    let before = inspect(&ws.libtorch()).ok();
    let made = make(ws, wanted)?;
    println!(
        "set-up: libtorch {} ({}) is at {} after {:.1} s",
        made.version,
        made.variant,
        ws.short(&ws.libtorch()),
        started.elapsed().as_secs_f64()
    );
    forget_other_bindings(ws, before.as_ref(), &made)?;
    warn_of_another_libtorch(ws);
    Ok(())
}

fn fitting(ws: &Workspace, wanted: Option<Variant>) -> Option<Libtorch> {
    inspect(&ws.libtorch()).ok().filter(|found| fits(found, wanted))
}

fn fits(found: &Libtorch, wanted: Option<Variant>) -> bool {
    version::matches(&found.version, VERSION) && wanted.is_none_or(|wanted| wanted == found.variant)
}

fn make(ws: &Workspace, wanted: Option<Variant>) -> Result<Libtorch> {
    let staging = Staging::new(ws)?;
    let python = python::find(&ws.build_dir);
    match find::existing(ws, wanted, python.as_ref().ok()) {
        Some(source) => staging.link(&source)?,
        None => {
            let python = python?.with_pip()?;
            match wanted {
                Some(Variant::Cuda) => cuda::install(ws, &staging, &python)?,
                _ => fetch::cpu(&staging, &python)?,
            }
        }
    }
    staging.publish()
}

/// torch-sys decides once, when it is built, whether to link CUDA's libraries: after a switch it must be built again.
fn forget_other_bindings(ws: &Workspace, before: Option<&Libtorch>, now: &Libtorch) -> Result<()> {
    if before.is_some_and(|before| before.variant == now.variant) {
        return Ok(());
    }
    for (profile, folder) in [("dev", "debug"), ("release", "release")] {
        if has_bindings(&ws.build_dir.join(folder).join("build")) {
            println!(
                "set-up: the next {profile} build compiles the bindings to libtorch again (about two minutes)"
            );
            process::run(process::cargo(ws).args([
                "clean",
                "--quiet",
                "--package",
                "torch-sys",
                "--profile",
                profile,
            ]))?;
        }
    }
    Ok(())
}

fn has_bindings(build: &Path) -> bool {
    let entries = std::fs::read_dir(build).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("torch-sys-"))
}

/// A LIBTORCH in the environment wins over the configuration in bare cargo commands.
fn warn_of_another_libtorch(ws: &Workspace) {
    if let Some(given) = find::libtorch_variable(ws) {
        println!(
            "set-up: note: LIBTORCH={} is set; `cargo xtask` commands use {} instead, and plain cargo commands do so too once you `unset LIBTORCH`",
            given.display(),
            ws.short(&ws.libtorch())
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variant_counts_only_when_asked_for() {
        let cpu = Libtorch { version: "2.11.0+cpu".into(), variant: Variant::Cpu };
        assert!(fits(&cpu, None) && fits(&cpu, Some(Variant::Cpu)) && !fits(&cpu, Some(Variant::Cuda)));
        let old = Libtorch { version: "2.10.0".into(), variant: Variant::Cpu };
        assert!(!fits(&old, None));
    }
}

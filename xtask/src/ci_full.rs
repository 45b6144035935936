//! `cargo xtask ci-full`: what takes too long for every push.

use std::process::Command;
use std::time::Instant;

use crate::args;
use crate::error::{Error, Result};
use crate::suite::Totals;
use crate::workspace::{Package, Workspace, all_features};
use crate::{package_check, process, setup, suite};

/// `cargo xtask ci-full`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    args::only_switches("ci-full", given, &[])?;
    setup::ensure(ws, None)?;
    let packages = ws.packages()?;
    lane("rust version", || rust_version(&packages))?;
    lane("clippy on no, each and all features", || clippy(ws, &packages))?;
    lane("tests", || suite::command(ws, &[]))?;
    lane("published sizes", || full_size(ws, &packages))?;
    lane("examples and benches with every feature", || examples_and_benches(ws, &packages))?;
    lane("docs as a host without libtorch builds them", || docs(ws, &packages))?;
    lane("package lists", || package_check::command(ws, &[]))?;
    lane("packages", || {
        process::run(process::cargo(ws).args([
            "package",
            "--workspace",
            "--no-verify",
            "--allow-dirty",
            "--exclude-lockfile",
        ]))
    })?;
    for (tool, arguments) in [("deny", &["check"][..]), ("audit", &[]), ("semver-checks", &[])] {
        optional(ws, tool, arguments)?;
    }
    println!("\nci-full: every lane passed");
    Ok(())
}

fn lane(title: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\nci-full: {title}");
    let started = Instant::now();
    work()?;
    println!("ci-full: {title}: passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Says which compiler this is and which one the manifests promise.
fn rust_version(packages: &[Package]) -> Result<()> {
    process::run(Command::new("rustc").arg("-V"))?;
    let published: Vec<&Package> = packages.iter().filter(|package| package.is_published()).collect();
    let promised: Vec<&str> =
        published.iter().filter_map(|package| package.rust_version.as_deref()).collect();
    match promised.first() {
        Some(first)
            if promised.len() == published.len() && promised.iter().all(|version| version == first) =>
        {
            println!("the manifests promise rustc {first}");
            Ok(())
        }
        _ => Err(Error::Check("not every published package has the workspace's rust-version".into())),
    }
}

fn clippy(ws: &Workspace, packages: &[Package]) -> Result<()> {
    let lint = |arguments: &[&str]| {
        let mut command = process::cargo(ws);
        command.arg("clippy").args(arguments).args(["--all-targets", "--", "-D", "warnings"]);
        println!("ci-full: {}", process::shown(&command));
        process::run(&mut command)
    };
    lint(&["--workspace", "--no-default-features"])?;
    for package in packages {
        for feature in package.features() {
            lint(&["--package", &package.name, "--no-default-features", "--features", feature])?;
        }
    }
    lint(&["--workspace", "--features", &all_features(packages)])
}

/// The ignored tests of the files `tests/*full_size.rs`. They need gigabytes of disk and memory, hence one at a time.
fn full_size(ws: &Workspace, packages: &[Package]) -> Result<()> {
    let mut command = process::cargo(ws);
    command.args(["test", "--workspace", "--no-fail-fast", "--features", &all_features(packages)]);
    command.args(["--test", "*full_size", "--", "--ignored", "--test-threads", "1"]);
    let mut totals = Totals::default();
    let status = process::stream(&mut command, |line| totals.read_line(line))?;
    process::check(&command, status)?;
    println!("{totals}");
    if totals.passed == 0 { Err(Error::Check("there is no test of a published size".into())) } else { Ok(()) }
}

fn examples_and_benches(ws: &Workspace, packages: &[Package]) -> Result<()> {
    let features = all_features(packages);
    process::run(process::cargo(ws).args([
        "build",
        "--workspace",
        "--examples",
        "--benches",
        "--features",
        &features,
    ]))
}

fn docs(ws: &Workspace, packages: &[Package]) -> Result<()> {
    let doc_only: Vec<String> = packages
        .iter()
        .filter(|package| package.has_feature("doc-only"))
        .map(|package| format!("{}/doc-only", package.name))
        .collect();
    if doc_only.is_empty() {
        return Err(Error::Check("no package has the feature doc-only".into()));
    }
    let features = format!("{},{}", all_features(packages), doc_only.join(","));
    let mut command = process::cargo(ws);
    command
        .args(["doc", "--workspace", "--no-deps", "--features", &features])
        .env("RUSTDOCFLAGS", "-Dwarnings");
    // As on docs.rs: no libtorch can be found.
    command.env("LIBTORCH", ws.root.join("target/no-libtorch-here"));
    process::run(&mut command)
}

/// Runs a cargo tool that is not part of the toolchain, or says that it did not.
fn optional(ws: &Workspace, tool: &str, arguments: &[&str]) -> Result<()> {
    let is_there = Command::new(format!("cargo-{tool}"))
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_there {
        println!("\nci-full: NOT RUN: cargo {tool} is not installed (`cargo install cargo-{tool}`)");
        return Ok(());
    }
    lane(&format!("cargo {tool}"), || process::run(process::cargo(ws).arg(tool).args(arguments)))
}

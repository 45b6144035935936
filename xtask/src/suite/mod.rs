//! `cargo xtask test`: the whole suite, and the checks that cargo's own tests cannot make.

mod scratch;
mod summary;
mod tree;

use std::time::Instant;

use crate::args;
use crate::error::{Error, Result};
use crate::process;
use crate::setup;
use crate::workspace::{Package, Workspace, all_features};
use summary::Totals;

/// `cargo xtask test [--quick]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let switches = args::only_switches("test", given, &["--quick"])?;
    setup::ensure(ws, None)?;
    let packages = ws.packages()?;
    let mut totals = Totals::default();
    lane("what depends on what", &mut totals, |totals| tree::check(ws, &packages, totals))?;
    lane("tests of every package, with every feature", &mut totals, |totals| {
        cargo_test(ws, &packages, totals)
    })?;
    if switches.is_empty() {
        lane("each published crate alone", &mut totals, |totals| scratch::check(ws, &packages, totals))?;
    }
    println!("\n{totals}");
    if totals.failed > 0 { Err(Error::Check("the suite failed; see above".into())) } else { Ok(()) }
}

/// Runs one part and demands that it tested something.
fn lane(title: &str, totals: &mut Totals, work: impl FnOnce(&mut Totals) -> Result<()>) -> Result<()> {
    println!("\ntest: {title}");
    let started = Instant::now();
    let mut own = Totals::default();
    work(&mut own)?;
    println!("test: {title}: {own} in {:.0} s", started.elapsed().as_secs_f64());
    if own.passed + own.failed == 0 {
        return Err(Error::Check(format!("nothing was tested by: {title}")));
    }
    totals.add(&own);
    Ok(())
}

/// Features one by one and not `--all-features`: those that say where libtorch comes from must stay off.
fn cargo_test(ws: &Workspace, packages: &[Package], totals: &mut Totals) -> Result<()> {
    let mut command = process::cargo(ws);
    command.args(["test", "--workspace", "--no-fail-fast", "--features", &all_features(packages)]);
    let status = process::stream(&mut command, |line| totals.read_line(line))?;
    if !status.success() && totals.failed == 0 {
        // It did not compile, or a test program died without a word.
        totals.failed = 1;
    }
    Ok(())
}

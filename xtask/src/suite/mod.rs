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
pub use summary::Totals;

/// Parts of the suite, as `--part` names them.
const PARTS: [&str; 3] = ["dependencies", "tests", "alone"];

/// `cargo xtask test [--part NAME]...`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let parts = parts(given)?;
    setup::ensure(ws, None)?;
    let packages = ws.packages()?;
    let mut totals = Totals::default();
    for part in parts {
        match part {
            "dependencies" => {
                lane("what depends on what", &mut totals, |own| tree::check(ws, &packages, own))?;
            }
            "tests" => {
                let title = "tests of every package, with every feature";
                lane(title, &mut totals, |own| cargo_test(ws, &packages, own))?;
            }
            _ => lane("each published crate alone", &mut totals, |own| scratch::check(ws, &packages, own))?,
        }
    }
    println!("\n{totals}");
    if totals.failed > 0 { Err(Error::Check("the suite failed; see above".into())) } else { Ok(()) }
}

/// Those asked for, in the suite's order; all when none is.
fn parts(given: &[String]) -> Result<Vec<&'static str>> {
    args::valued_flags("test", given, &["--part"])?;
    let words: Vec<&str> =
        given.iter().flat_map(|arg| arg.splitn(2, '=')).filter(|word| *word != "--part").collect();
    if let Some(unknown) = words.iter().find(|word| !PARTS.contains(word)) {
        return Err(Error::Usage(format!(
            "the suite has no part `{unknown}`. It has: {}.",
            PARTS.join(", ")
        )));
    }
    Ok(PARTS.into_iter().filter(|part| words.is_empty() || words.contains(part)).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_the_order_of_the_suite() {
        let asked = |words: &[&str]| parts(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(asked(&[]).unwrap(), PARTS);
        assert_eq!(asked(&["--part", "alone", "--part=tests"]).unwrap(), ["tests", "alone"]);
        assert!(asked(&["--part", "x"]).unwrap_err().to_string().contains("dependencies"));
    }

    #[test]
    fn a_part_that_tests_nothing_fails() {
        let mut totals = Totals::default();
        assert!(lane("nothing", &mut totals, |_| Ok(())).is_err());
        let one = |own: &mut Totals| {
            own.record("one", Ok(()));
            Ok(())
        };
        assert!(lane("something", &mut totals, one).is_ok());
        assert_eq!(totals.passed, 1);
    }
}

//! `cargo xtask bench-pipeline`: the example `speed`, and its table in BENCHMARKS.md.

use std::process::Command;

use crate::args;
use crate::benchmarks;
use crate::demo::build_examples;
use crate::error::{Error, Result};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

/// `cargo xtask bench-pipeline [-- FLAGS OF THE EXAMPLE]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let (ours, flags) = args::split_at_dashes(given);
    if let Some(word) = ours.first() {
        return Err(Error::Usage(format!(
            "bench-pipeline takes no `{word}`; flags of the example `speed` come after `--`."
        )));
    }
    setup::ensure(ws, None)?;
    println!("\nbench-pipeline: building the example `speed`");
    build_examples(ws, "musicot", &["speed"], &[])?;
    let mut command = Command::new(ws.example("speed"));
    process::use_libtorch(&mut command, ws);
    command.current_dir(&ws.root).args(flags);
    let table = process::capture(&mut command)?;
    println!("\n{table}");
    benchmarks::put(ws, benchmarks::PIPELINE, &format!("{}\n\n{}\n", benchmarks::PIPELINE, table.trim_end()))
}

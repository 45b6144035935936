//! `cargo xtask evaluate`: the table of figures on pieces held out from training.

use crate::args;
use crate::demo::build_examples;
use crate::error::Result;
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

/// `cargo xtask evaluate [flags of the example]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let (before, after) = args::split_at_dashes(given);
    setup::ensure(ws, None)?;
    println!("\nevaluate: building the example `evaluate`");
    build_examples(ws, "musicot", &["evaluate"], &["train"])?;
    let mut command = std::process::Command::new(ws.example("evaluate"));
    process::use_libtorch(&mut command, ws);
    command.current_dir(&ws.root).args(before).args(after);
    println!("\nevaluate: {}", process::shown(&command));
    process::run(&mut command)
}

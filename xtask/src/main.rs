//! Set-up and chores of the workspace: `cargo xtask help` lists them.
//!
//! This program never links libtorch: it puts libtorch where cargo's configuration expects it (`target/libtorch`), then
//! starts cargo and the facade's examples. So it builds in seconds on a machine that has nothing yet.

#[cfg(not(unix))]
compile_error!(
    "xtask runs on Linux and macOS; elsewhere set LIBTORCH to a libtorch 2.11.0 and use cargo directly"
);

mod args;
mod benchmarks;
mod ci_full;
mod demo;
mod document;
mod environment;
mod error;
mod evaluate;
mod experiments;
mod fixtures;
mod help;
mod info;
#[path = "../../examples/common/machine.rs"]
#[allow(dead_code)] // command lines are those of the examples
mod machine;
mod package_check;
mod peers;
mod pipeline;
mod process;
mod setup;
#[path = "../../examples/common/spread.rs"]
mod spread;
mod suite;
mod train_mini;
mod workspace;

use std::process::ExitCode;

use error::{Error, Result};
use workspace::Workspace;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = args.collect();
    match run(&command, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error}");
            match error {
                Error::Usage(_) => ExitCode::from(2),
                Error::Program { status, .. } => ExitCode::from(status),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(command: &str, rest: Vec<String>) -> Result<()> {
    // What follows `--` belongs to another program, its --help too.
    if rest.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--help" || arg == "-h") {
        print!("{}", help::of(command)?);
        return Ok(());
    }
    let ws = Workspace::find()?;
    match command {
        "setup" => setup::command(&ws, &rest),
        "demo" => demo::command(&ws, &rest),
        "test" => suite::command(&ws, &rest),
        "evaluate" => evaluate::command(&ws, &rest),
        "experiments" => experiments::command(&ws, &rest),
        "bench-peers" => peers::command(&ws, &rest),
        "bench-pipeline" => pipeline::command(&ws, &rest),
        "fixtures" => fixtures::command(&ws, &rest),
        "train-mini" => train_mini::command(&ws, &rest),
        "package-check" => package_check::command(&ws, &rest),
        "ci-full" => ci_full::command(&ws, &rest),
        "info" => info::command(&ws, &rest),
        "help" | "--help" | "-h" => {
            print!("{}", help::of(rest.first().map_or("help", String::as_str))?);
            Ok(())
        }
        other => Err(Error::Usage(format!("`{other}` is not a command. `cargo xtask help` lists them."))),
    }
}

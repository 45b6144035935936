//! How fast a bundle is on this machine, and how much memory it takes: the table "Whole pipeline" of BENCHMARKS.md.

mod child;
#[path = "../common/mod.rs"]
mod common;
mod lines;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/spread.rs"]
mod spread;
mod work;

use std::process::ExitCode;

use common::{Model, Outcome, model_help, note, say};
use lexopt::ValueExt;

const HELP: &str = concat!(
    "\
Measures generation with a bundle: start-up, real-time factor, first audio of a stream, memory, long songs, batches.

Usage: speed [flags]

  speed
  speed --rounds 5 --threads 1
  speed work song        one piece of work, as the rounds run it in processes of their own

Prints a table in Markdown: smallest, median and largest value over the rounds, beside the project's goals.

  --rounds N       rounds of each piece of work [3]
  --seconds S      length of a song [30]
  --long-secs S    length of the long song, streamed once [600]
",
    model_help!()
);

/// The command line.
struct Options {
    model: Model,
    rounds: usize,
    secs: f64,
    long_secs: f64,
}

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let mut options = Options { model: Model::default(), rounds: 3, secs: 30.0, long_secs: 600.0 };
    let words = common::words(HELP, |name, args| {
        match name {
            "rounds" => options.rounds = common::positive(args.value()?.parse()?)? as usize,
            "seconds" => options.secs = common::seconds(args.value()?.parse()?)?,
            "long-secs" => options.long_secs = common::seconds(args.value()?.parse()?)?,
            _ => return options.model.take(name, args),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    let words: Vec<String> = words.iter().map(|word| word.display().to_string()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure(&options),
        ["work", name] => work::run(name, &options),
        _ => Err(format!("what is `{}`? --help tells how to call this", words.join(" ")).into()),
    }
}

/// Every piece of work, round after round, and the table.
fn measure(options: &Options) -> Outcome {
    let mut runs = Vec::new();
    for round in 0..options.rounds {
        for name in work::EVERY_ROUND {
            note(format_args!("round {} of {}: {name} ...", round + 1, options.rounds));
            runs.push(child::run(name)?);
        }
    }
    for name in work::ONCE {
        note(format_args!("{name} ..."));
        runs.push(child::run(name)?);
    }
    let threads = options.model.threads();
    say(format_args!("{}, {}, {threads} threads\n", machine::date_utc(), machine::describe()))?;
    say(format_args!("    {}\n", machine::command_line("cargo run --release --example speed", 0)))?;
    say(lines::table(&runs, options)?)
}

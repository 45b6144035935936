//! `cargo xtask bench-peers`: this repository beside what people use in its place, on the same weights and inputs, in one run.
//!
//! An item has a script of benches/peers, which prepares the case and times the peers, and a name in the example `peers`, which times our side.
//! The two processes run by turns, so that both meet the same weather on the machine; what counts is the ratio within a round.

mod item;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::args;
use crate::benchmarks;
use crate::demo::build_examples;
use crate::environment::{Environment, Interpreter};
use crate::error::{Error, Result};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;
use item::{ITEMS, Item, Measured};

const PYTHON: Environment = Environment {
    task: "bench-peers",
    folder: "target/peers-python",
    scripts: "benches/peers",
    files: &[("requirements.txt", &[])],
};

/// The headings of all sections.
pub fn headings() -> impl Iterator<Item = String> {
    ITEMS.iter().map(table::heading)
}

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Options {
    items: Vec<&'static Item>,
    is_quick: bool,
    python: Option<String>,
    threads: usize,
    rounds: usize,
}

/// `cargo xtask bench-peers [--quick] [--python PATH] [--threads N] [--rounds N] [ITEM...]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let options = parse(given)?;
    let python = Interpreter::find(ws, &PYTHON, options.python.as_deref())?;
    setup::ensure(ws, None)?;
    println!("\nbench-peers: building the example `peers`");
    build_examples(ws, "musicot", &["peers"], &["train"])?;
    let (mut missed, mut stated) = (Vec::new(), 0);
    for item in &options.items {
        let measured = measure(ws, &python, &options, item)?;
        let text = table::of(item, &measured, &options.command_line(item), options.threads)?;
        println!("\n{text}");
        // Cases of --quick are smaller: their figures are no part of the record.
        if !options.is_quick {
            benchmarks::put(ws, &table::heading(item), &text)?;
        }
        let verdicts = item.verdicts(&measured)?;
        stated += verdicts.len();
        missed.extend(
            verdicts.into_iter().filter(|verdict| !verdict.is_met()).map(|verdict| verdict.pair(item)),
        );
    }
    if missed.is_empty() {
        println!("bench-peers: all {stated} stated ratios are met");
        return Ok(());
    }
    let count = missed.len();
    Err(Error::Check(format!(
        "bench-peers: {count} of {stated} stated ratios are missed: {}",
        missed.join("; ")
    )))
}

fn parse(given: &[String]) -> Result<Options> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let mut options =
        Options { items: Vec::new(), is_quick: false, python: None, threads: cores.min(2), rounds: 0 };
    let mut flags = Vec::new();
    let mut words = given.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.is_quick = true,
            flag if flag.starts_with("--") => {
                flags.push(word.clone());
                flags.extend((!flag.contains('=')).then(|| words.next().cloned()).flatten());
            }
            name => options.items.push(item::find(name)?),
        }
    }
    for (flag, value) in args::pairs("bench-peers", &flags, &["--python", "--threads", "--rounds"])? {
        match flag.as_str() {
            "--python" => options.python = Some(value),
            "--threads" => options.threads = count(&flag, &value)?,
            _ => options.rounds = count(&flag, &value)?,
        }
    }
    if options.rounds == 0 {
        options.rounds = if options.is_quick { 2 } else { 5 };
    }
    if options.items.is_empty() {
        options.items = ITEMS.iter().filter(|item| !options.is_quick || item.is_quick).collect();
    }
    Ok(options)
}

fn count(flag: &str, value: &str) -> Result<usize> {
    match value.parse() {
        Ok(count @ 1..=256) => Ok(count),
        _ => Err(Error::Usage(format!("{flag} {value}: expected 1 to 256."))),
    }
}

impl Options {
    /// The command that measures an item alone in the same way.
    fn command_line(&self, item: &Item) -> String {
        let quick = if self.is_quick { " --quick" } else { "" };
        format!(
            "cargo xtask bench-peers {}{quick} --rounds {} --threads {}",
            item.name, self.rounds, self.threads
        )
    }

    /// Seconds of a variant in a round.
    fn secs(&self) -> &'static str {
        if self.is_quick { "1" } else { "4" }
    }
}

/// Both sides by turns, round after round.
fn measure(ws: &Workspace, python: &Interpreter, options: &Options, item: &Item) -> Result<Vec<Measured>> {
    let started = Instant::now();
    let script = ws.root.join(PYTHON.scripts).join(format!("{}.py", item.script));
    let script = script.display().to_string();
    let case = case(ws, options, item)?;
    let python = |command: &str| {
        let mut run = python.script(&script, options.threads);
        run.arg(command).arg(&case);
        run
    };
    println!("\nbench-peers: {}: preparing {}", item.name, ws.short(&case));
    process::run(python("prepare").args(options.is_quick.then_some("--quick")))?;
    let timing = |mut run: Command| {
        run.args(["--secs", options.secs(), "--threads", &options.threads.to_string()]);
        run
    };
    let mut measured = Vec::new();
    for round in 0..options.rounds {
        println!("bench-peers: {}: round {} of {}", item.name, round + 1, options.rounds);
        let mut ours = Command::new(ws.example("peers"));
        process::use_libtorch(&mut ours, ws);
        ours.arg(item.name).arg(&case);
        for run in [timing(python("run")), timing(ours)] {
            let mut run = run;
            measured.extend(item::read(&process::capture(&mut run)?, round)?);
        }
    }
    println!("bench-peers: {}: {:.0} s", item.name, started.elapsed().as_secs_f64());
    // Gigabytes, of some.
    fs::remove_dir_all(&case).map_err(Error::io("remove", &case))?;
    Ok(measured)
}

fn case(ws: &Workspace, options: &Options, item: &Item) -> Result<PathBuf> {
    let parent = ws.root.join("target/peers").join(if options.is_quick { "quick" } else { "full" });
    fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
    Ok(Path::new(&parent).join(item.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_and_items_are_told_apart() {
        let options = parsed(&["rvq", "--rounds=3", "audio", "--quick", "--python", "p"]).unwrap();
        assert_eq!(options.items.iter().map(|item| item.name).collect::<Vec<_>>(), ["rvq", "audio"]);
        assert!(options.is_quick && options.rounds == 3 && options.python.as_deref() == Some("p"));
        let command = options.command_line(options.items[0]);
        assert!(
            command.starts_with("cargo xtask bench-peers rvq --quick --rounds 3 --threads "),
            "{command}"
        );
        assert!(parsed(&["--quick"]).unwrap().items.len() < parsed(&[]).unwrap().items.len());
        for (words, culprit) in
            [(&["rqv"][..], "rqv"), (&["--round", "3"], "--round"), (&["--threads", "0"], "--threads 0")]
        {
            let error = parsed(words).unwrap_err().to_string();
            assert!(error.contains(culprit), "{error}");
        }
    }

    #[test]
    fn every_item_has_its_script() {
        let ws = Workspace::find().unwrap();
        for item in &ITEMS {
            let script = ws.root.join(PYTHON.scripts).join(format!("{}.py", item.script));
            assert!(script.is_file(), "{}", script.display());
        }
    }
}

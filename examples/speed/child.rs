//! A piece of work in a process of its own, so that its start-up and its memory are its own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::common::Outcome;

/// What a process told, and when.
pub struct Run {
    pub work: &'static str,
    /// Names, seconds since the process was started, and values.
    events: Vec<(String, f64, f64)>,
    /// From the start of the process to its end.
    pub secs: f64,
}

impl Run {
    /// When something was told, seconds after the process was started.
    pub fn when(&self, name: &str) -> Option<f64> {
        Some(self.events.iter().find(|event| event.0 == name)?.1)
    }

    /// What was told.
    pub fn value(&self, name: &str) -> Option<f64> {
        Some(self.events.iter().find(|event| event.0 == name)?.2)
    }
}

/// Runs `speed work NAME` with the flags of this process.
pub fn run(work: &'static str) -> Outcome<Run> {
    let flags = std::env::args_os().skip(1);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["work", work]).args(flags).stdout(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut events = Vec::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line?;
        let at = started.elapsed().as_secs_f64();
        let (name, value) = line.split_once('=').ok_or_else(|| format!("{work}: what is `{line}`?"))?;
        events.push((name.to_owned(), at, value.parse()?));
    }
    let status = child.wait()?;
    let secs = started.elapsed().as_secs_f64();
    if status.success() { Ok(Run { work, events, secs }) } else { Err(format!("{work}: {status}").into()) }
}

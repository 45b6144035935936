//! The lines of the table.

use crate::Options;
use crate::child::Run;
use crate::common::Outcome;
use crate::spread::Spread;
use crate::work::BATCHES;

/// A goal: at most, or at least.
#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

struct Table(String);

impl Table {
    fn line(&mut self, what: &str, values: Vec<f64>, goal: Option<Goal>) -> Outcome {
        if values.is_empty() {
            return Err(format!("{what}: nothing was measured").into());
        }
        let spread = Spread::of(values);
        let verdict = match goal {
            None => String::new(),
            Some(Goal::AtMost(most)) => told("at most", most, spread.median <= most),
            Some(Goal::AtLeast(least)) => told("at least", least, spread.median >= least),
        };
        self.0 += &format!("| {what} | {spread} | {verdict} |\n");
        Ok(())
    }
}

fn told(relation: &str, goal: f64, is_met: bool) -> String {
    format!("{relation} {goal}: {}", if is_met { "met" } else { "MISSED" })
}

pub fn table(runs: &[Run], options: &Options) -> Outcome<String> {
    let each = |work: &'static str, figure: &dyn Fn(&Run) -> Option<f64>| -> Vec<f64> {
        runs.iter().filter(|run| run.work == work).filter_map(figure).collect()
    };
    let secs = options.secs;
    let mut table = Table("| | smallest / median / largest | goal |\n|---|---:|---|\n".to_owned());
    let empty = each("nothing", &|run| Some(run.secs));
    table.line("an empty program that links libtorch, s", empty.clone(), None)?;
    let empty = Spread::of(empty).median;
    let first = each("song", &|run| Some(run.when("first token")? - empty));
    table.line(
        "start of the process to the first token, above the empty program, s",
        first,
        Some(Goal::AtMost(0.5)),
    )?;
    let song = each("song", &|run| Some(run.secs / run.value("secs")?));
    table.line(
        &format!("song of {secs} s, real-time factor of the whole process"),
        song,
        Some(Goal::AtMost(0.3)),
    )?;
    let first = each("stream", &|run| run.when("first audio"));
    table.line(
        &format!("stream of {secs} s, start of the process to the first audio, s"),
        first,
        Some(Goal::AtMost(3.0)),
    )?;
    let stream = each("stream", &|run| Some(run.secs / run.value("secs")?));
    table.line(&format!("stream of {secs} s, real-time factor of the whole process"), stream, None)?;
    let megabytes = |run: &Run| Some(run.value("peak")? / 1e6);
    table.line(
        &format!("song of {secs} s, peak memory, MB"),
        each("song", &megabytes),
        Some(Goal::AtMost(1000.0)),
    )?;
    table.line("the same with one stage in memory at a time, MB", each("low-memory", &megabytes), None)?;
    table.line("empty program, peak memory, MB", each("nothing", &megabytes), None)?;
    table.line("stream of a minute, peak memory, MB", each("minute", &megabytes), None)?;
    let long = options.long_secs;
    table.line(&format!("stream of {long} s, peak memory, MB"), each("long", &megabytes), None)?;
    let growth = each("long", &|run| {
        let (half, all) = (run.value("half")?, run.value("secs")?);
        let rate = |secs: f64, audio: f64| secs / audio;
        Some(rate(run.when("secs")? - run.when("half")?, all - half) / rate(run.when("half")?, half))
    });
    table.line(
        &format!("stream of {long} s, time per second of audio, second half to first"),
        growth,
        None,
    )?;
    let codec = each("codec", &|run| Some(run.value("secs")? / (run.when("secs")? - run.when("start")?)));
    table.line("codec, latents to waveform, times real time", codec, Some(Goal::AtLeast(50.0)))?;
    for songs in BATCHES {
        let (planned, written) = (format!("planned {songs}"), format!("batch {songs}"));
        let rate =
            each("batches", &|run| Some(run.value(&written)? / (run.when(&written)? - run.when(&planned)?)));
        table.line(&format!("language model, {songs} songs at once, tokens a second in all"), rate, None)?;
    }
    Ok(table.0)
}

//! The paper's experiments in the small, each one command that writes a table and a picture: what `cargo xtask experiments` runs.

mod analyzability;
mod anchors;
mod arms;
mod asks;
mod audit;
mod cell;
#[path = "../common/mod.rs"]
mod common;
mod compare;
#[path = "../common/corpus.rs"]
#[allow(dead_code)] // the part of it that reads pieces is used here
mod corpus;
mod diffusion;
mod heard;
mod inputs;
mod listening;
#[path = "../common/machine.rs"]
mod machine;
mod measures;
mod obedience;
mod options;
mod order;
mod plan;
mod ratings;
mod reference;
mod report;
mod robustness;
mod rvq;
mod sampling;
mod space;
#[path = "../common/stages.rs"]
#[allow(dead_code)] // the generator of one song at a time is not needed
mod stages;
mod studio;
mod sweep;
mod tokens;
mod volumes;

use std::process::ExitCode;

use common::{Outcome, note};
use musicot::core::CounterRng;
use musicot::core::tch::no_grad_guard;
use musicot::core::train::Dataset;
use options::Options;
use report::Report;
use stages::Stages;

/// What every experiment works with.
struct Context {
    options: Options,
    stages: Stages,
    heldout: Dataset,
}

/// An experiment: its name, its heading, and what runs it.
type Experiment = (&'static str, &'static str, fn(&Context, &mut Report<'_>) -> Outcome);

const EXPERIMENTS: [Experiment; 10] = [
    ("rvq", "1. Thoughts after quantisation", rvq::run),
    ("analyzability", "2. What thoughts say about instruments", analyzability::run),
    ("sampling", "3. Dual temperature and dual guidance scale", sampling::run),
    ("plan", "4. Plan, no plan, plan in words", plan::run),
    ("robustness", "5. One prompt, many seeds; thoughts of 10 s and 5 s", robustness::run),
    ("order", "6. Order of the codes and depth of the codebook", order::run),
    ("reference", "7. References are followed, not copied", reference::run),
    ("listening", "8. Listening test", listening::run),
    ("obedience", "9. A guidance scale for the key; plans to choose from", obedience::run),
    ("diffusion", "10. Temperature and guidance scales of the diffusion", diffusion::run),
];

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let Some((words, options)) = Options::read()? else { return Ok(()) };
    common::set_threads(options.threads, 2);
    let _no_grad = no_grad_guard();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tokens", kind] => tokens::make(kind, &options),
        [name] => experiment(name, options),
        _ => Err(format!("what is `{}`? --help tells how to call this", words.join(" ")).into()),
    }
}

fn experiment(name: &str, options: Options) -> Outcome {
    let Some((name, title, run)) = EXPERIMENTS.into_iter().find(|(known, ..)| *known == name) else {
        let known = EXPERIMENTS.map(|(name, ..)| name).join(", ");
        return Err(format!("there is no experiment `{name}`; there are {known}").into());
    };
    common::writable(&options.out)?;
    let stages = Stages::open(&options)?;
    let heldout = Dataset::open(&options.heldout)?;
    let context = Context { options, stages, heldout };
    let mut report = Report::new(&context, name, title);
    note(format_args!("{title}"));
    run(&context, &mut report)?;
    report.write()?;
    common::say_files(&context.options.out, &[&format!("{name}.json"), &format!("{name}.md")])
}

/// The stream of every random choice: figures are the same each time.
fn rng() -> CounterRng {
    CounterRng::new(0).stage("experiments")
}

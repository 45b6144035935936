//! The figures of a trained model on pieces held out from training: what `cargo xtask evaluate` runs.

mod budget;
mod clap;
mod codec;
#[path = "../common/mod.rs"]
mod common;
mod compare;
#[path = "../common/corpus.rs"]
mod corpus;
mod figure;
mod generation;
mod lm;
#[path = "../common/machine.rs"]
mod machine;
mod meanings;
mod music;
mod notes;
mod obedience;
mod options;
mod part;
mod renderer;
mod report;
mod retrieval;
mod seams;
mod solos;
#[path = "../common/stages.rs"]
mod stages;
mod thoughts;
mod tokens;
mod variety;
mod wide;
mod wordings;

use std::process::ExitCode;
use std::time::Instant;

use common::{Outcome, note, say};
use musicot::core::tch::no_grad_guard;
use musicot::core::train::Dataset;
use options::Options;
use part::Part;
use report::{Measured, Report, Section};
use stages::Stages;

/// What every section works with.
struct Context {
    options: Options,
    stages: Stages,
    heldout: Dataset,
}

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let Some(options) = Options::read()? else { return Ok(()) };
    common::set_threads(options.threads, 2);
    common::writable(&options.out)?;
    let _no_grad = no_grad_guard();
    let stages = Stages::open(&options)?;
    let heldout = Dataset::open(&options.heldout)?;
    let context = Context { options, stages, heldout };
    let mut report = Report::new(&context)?;
    for part in &context.options.only {
        let section = measure(&context, *part);
        say(&section)?;
        report.sections.push(section);
    }
    report.write(&context.options.out)?;
    common::say_files(&context.options.out, &["evaluate.json", "evaluate.md"])?;
    match report.sections.iter().all(Section::is_empty) {
        true => Err("nothing was measured; the reasons are above".into()),
        false => Ok(()),
    }
}

/// A section that cannot be measured says why, and the others go on.
fn measure(context: &Context, part: Part) -> Section {
    note(format_args!("{}: ...", part.name()));
    let started = Instant::now();
    let figures = |measured: Outcome<_>| measured.map(Measured::from);
    let measured = match part {
        Part::Codec => figures(codec::figures(context)),
        Part::Tokens => figures(tokens::figures(context)),
        Part::Clap => clap::figures(context),
        Part::Thoughts => figures(thoughts::figures(context)),
        Part::Lm => figures(lm::figures(context)),
        Part::Budget => budget::figures(context),
        Part::Generation => generation::figures(context),
        Part::Obedience => obedience::figures(context),
    };
    let mut found = Measured::default();
    found.add("all figures of this section", measured);
    let Measured { figures, tables } = found;
    let (name, about, secs) = (part.name(), part.about(), started.elapsed().as_secs_f64());
    Section { name, about, secs, figures, tables }
}

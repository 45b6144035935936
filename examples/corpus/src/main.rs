//! `musicot-corpus`: writes a captioned, multi-part music corpus.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use musicot_corpus::{Amount, Corpus, Error, Report, Result, Split, write_corpus};

const HELP: &str = "\
Composes pieces from a seed and renders them through a General MIDI soundfont.

Usage: musicot-corpus --out DIR (--hours H | --pieces N) [options]

  --out DIR         folder to write: audio/, midi/, stems/, manifest.jsonl
  --hours H         make pieces until they last H hours together
  --pieces N        make N pieces of 30 to 60 s
  --seed S          seed of the corpus; piece i depends on S, the split and i only [0]
  --split SPLIT     train, or heldout (other captions; some programs no training piece has) [train]
  --soundfont FILE  a SoundFont 2 file with the General MIDI programs
                    [/usr/share/sounds/sf2/FluidR3_GM.sf2]
  --scores DIR      arrange a fifth of the pieces from the public-domain scores in DIR
                    (MIDI files with their provenance, see scores/export.py)
  --solos-from N    pieces from number N on are for one instrument each, all twelve
                    families by turns
  --stems[=N]       write every part alone too, of all pieces or of the first N
  --jobs N          threads [one per core]
  -h, --help        this text

The same command goes on where it was stopped: pieces already there are kept, so a
larger --hours or --pieces adds to a corpus. Take other seeds for training and
held-out pieces.

Examples:
  musicot-corpus --out data/train --hours 5 --seed 1 --stems
  musicot-corpus --out data/heldout --pieces 80 --seed 1000001 --split heldout --stems
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("musicot-corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(corpus) = arguments()? else {
        print!("{HELP}");
        return Ok(());
    };
    let bar = progress_bar();
    let show = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.inc(1);
        if bar.is_hidden() && done.is_multiple_of(50) {
            eprintln!("{done} of {all} pieces");
        }
    };
    let report = write_corpus(&corpus, &show)?;
    bar.finish_and_clear();
    println!("{}", summary(&corpus, &report));
    Ok(())
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} pieces, {elapsed} gone, {eta} to go");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn summary(corpus: &Corpus, report: &Report) -> String {
    let secs = report.elapsed.as_secs_f64();
    format!(
        "{}: {} pieces, {:.2} h; {} rendered now ({:.0} s of music in {secs:.0} s, {:.0} times real time), {} kept",
        corpus.out.join("manifest.jsonl").display(),
        report.rendered + report.skipped,
        report.total_secs / 3600.0,
        report.rendered,
        report.rendered_secs,
        report.rendered_secs / secs.max(1e-3),
        report.skipped,
    )
}

/// The corpus asked for, or `None` when help was.
fn arguments() -> Result<Option<Corpus>> {
    use lexopt::prelude::{Long, Short, ValueExt};
    let refused = |error: lexopt::Error| Error::Setting(format!("{error} (see --help)"));
    let mut out: Option<PathBuf> = None;
    let mut amount: Option<Amount> = None;
    let mut corpus = Corpus {
        out: PathBuf::new(),
        amount: Amount::Pieces(0),
        seed: 0,
        split: Split::Train,
        soundfont: PathBuf::from("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
        scores: None,
        stems: 0,
        solos_from: None,
        jobs: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(refused)? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("stems") => {
                let count = parser.optional_value().map(|count| count.parse().map_err(refused));
                corpus.stems = count.transpose()?.unwrap_or(u64::MAX);
                continue;
            }
            Long(
                "out" | "hours" | "pieces" | "seed" | "split" | "soundfont" | "scores" | "solos-from"
                | "jobs",
            ) => {}
            other => return Err(refused(other.unexpected())),
        }
        let name = match argument {
            Long(name) => name.to_owned(),
            _ => String::new(),
        };
        let value = parser.value().map_err(refused)?;
        match name.as_str() {
            "out" => out = Some(value.into()),
            "soundfont" => corpus.soundfont = value.into(),
            "scores" => corpus.scores = Some(value.into()),
            "hours" => amount = Some(Amount::Hours(value.parse().map_err(refused)?)),
            "pieces" => amount = Some(Amount::Pieces(value.parse().map_err(refused)?)),
            "seed" => corpus.seed = value.parse().map_err(refused)?,
            "solos-from" => corpus.solos_from = Some(value.parse().map_err(refused)?),
            "jobs" => corpus.jobs = Some(value.parse().map_err(refused)?),
            _ => corpus.split = split(&value.string().map_err(refused)?)?,
        }
    }
    let missing = |what: &str| Error::Setting(format!("{what} is missing (see --help)"));
    corpus.out = out.ok_or_else(|| missing("--out DIR"))?;
    corpus.amount = amount.ok_or_else(|| missing("--hours H or --pieces N"))?;
    Ok(Some(corpus))
}

fn split(name: &str) -> Result<Split> {
    [Split::Train, Split::Heldout]
        .into_iter()
        .find(|split| split.name() == name)
        .ok_or_else(|| Error::Setting(format!("--split {name}: expected train or heldout")))
}

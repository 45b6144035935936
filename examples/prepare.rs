//! A folder of recordings becomes a checked manifest, which the trainers read.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use common::{Outcome, note, say};
use lexopt::ValueExt;
use musicot::core::train::Split;
use musicot::prepare::{Options, prepare};

const HELP: &str = "\
Reads a folder of recordings and writes its manifest (JSON lines), after checking every file.

Usage: prepare FOLDER [flags]

  prepare music
  prepare music --out music/heldout.jsonl --split heldout
  prepare music --skip-bad

For a recording NAME.wav (or flac, ogg, mp3, m4a) these may lie beside it:
  NAME.txt             captions, one a line
  NAME.lrc             words with their times ([mm:ss.xx] and <mm:ss.xx>)
  NAME.lyrics.json     words: [{\"start_secs\": 1.5, \"end_secs\": 2.0, \"text\": \"la\"}]
  NAME.sections.json   form: [{\"label\": \"verse\", \"start_secs\": 0, \"end_secs\": 12.5}]
  NAME.tags.json       {\"tempo_bpm\": 90, \"key\": \"C major\", \"style\": \"jazz\", \"instruments\": [\"piano\"]}
  NAME.stems/ or stems/NAME/   separate recordings, named by family: piano.wav, drums-2.wav

  --out FILE      manifest, in the folder or below a parent of it [FOLDER/manifest.jsonl]
  --split S       train or heldout [train]
  --skip-bad      leave out recordings with problems, and write the rest; otherwise nothing is written
";

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut options, mut out) = (Options::default(), None);
    let words = common::words(HELP, |name, args| {
        match name {
            "out" => out = Some(PathBuf::from(args.value()?)),
            "split" => {
                options.split = match args.value()?.string()?.as_str() {
                    "train" => Split::Train,
                    "heldout" => Split::Heldout,
                    other => return Err(format!("expected train or heldout, got `{other}`").into()),
                }
            }
            "skip-bad" => options.skip_bad = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    let folder = common::one(words, "one folder")?;
    let out = out.unwrap_or_else(|| folder.join("manifest.jsonl"));
    let report = prepare(&folder, &out, &options, &mut common::recordings)?;
    for problem in &report.problems {
        note(problem);
    }
    for unused in &report.unused {
        note(format_args!("{}: belongs to no recording", unused.display()));
    }
    let found =
        format!("{} recordings, {:.1} minutes, {} stems", report.records, report.secs / 60.0, report.stems);
    if !report.is_written {
        return Err(
            format!("{found}; {} problems, see above; nothing was written", report.problems.len()).into()
        );
    }
    say(format_args!("{found}, {} problems", report.problems.len()))?;
    say(out.display())
}

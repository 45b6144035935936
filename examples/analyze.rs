//! What a plan, or any recording, says over time, asked in words.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use common::{ANCHORS, Model, Outcome, model_help, say};
use musicot::MusicPlan;

const HELP: &str = concat!(
    "\
Asks a plan (plan.json) or a recording (wav, flac, ogg, mp3, m4a) about phrases, ten seconds at a time.

Usage: analyze PLAN|RECORDING [flags]

  analyze out/generate/plan.json
  analyze song.mp3 --phrases \"piano,drums,a crowd that cheers\"

Prints a table of cosines (of a long recording: means and extremes), draws it as curves.svg and curves.png, and writes curves.json.
Compare a phrase with itself over time: phrases differ in their base level.

  --phrases A,B   what to ask about [a list of instruments and moods]
  --out DIR       where they go [out/analyze]
",
    model_help!()
);

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut out) = (Model::default(), PathBuf::from("out/analyze"));
    let mut phrases: Vec<String> = ANCHORS.map(str::to_owned).to_vec();
    let words = common::words(HELP, |name, args| {
        match name {
            "phrases" => phrases = common::list(args)?,
            "out" => out = args.value()?.into(),
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    let input = common::one(words, "one plan or recording")?;
    let phrases: Vec<&str> = phrases.iter().map(String::as_str).collect();
    let mut generator = model.generator(&model.open()?)?;
    let curves = match input.extension().is_some_and(|extension| extension == "json") {
        true => generator.analyze(&MusicPlan::load(&input)?, &phrases)?,
        false => generator.analyze_recording(input.as_path(), &phrases)?,
    };
    common::writable(&out)?;
    curves.plot(&input.display().to_string(), out.join("curves"))?;
    curves.save(out.join("curves.json"))?;
    say(&curves)?;
    common::say_files(&out, &["curves.svg", "curves.png", "curves.json"])
}

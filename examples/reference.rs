//! Style from a recording: its thoughts become part of the plan, and the language model goes on from there.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use common::{ANCHORS, Bar, Model, Outcome, model_help, say};
use lexopt::ValueExt;
use musicot::Reference;

const HELP: &str = concat!(
    "\
Makes music in the style of a recording. No sample of it is copied: only how it sounds, ten seconds at a time, is taken over.

Usage: reference RECORDING [flags]

  reference song.mp3
  reference song.flac --seconds 60 --levels 2 --seed 3
  reference chorus.wav --at-window 2 --prompt \"sad strings\" --seconds 40

Prints what the recording and the new plan say, and writes song.wav, plan.json, manifest.json, and the curves of both.

  --prompt TEXT   what is said beside the recording
  --seconds S     length of the new song [30]
  --seed N        [0]
  --levels K      codes of each thought that are fixed; fewer leave more to the model [all]
  --at-window N   plan window of 10 s that the recording starts at [0]
  --out DIR       folder to write to [out/reference]
",
    model_help!()
);

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut prompt, mut secs, mut seed) = (Model::default(), String::new(), 30.0, 0);
    let (mut levels, mut at_window, mut out) = (None, 0, PathBuf::from("out/reference"));
    let words = common::words(HELP, |name, args| {
        match name {
            "prompt" => prompt = args.value()?.string()?,
            "seconds" => secs = args.value()?.parse()?,
            "seed" => seed = args.value()?.parse()?,
            "levels" => levels = Some(args.value()?.parse()?),
            "at-window" => at_window = args.value()?.parse()?,
            "out" => out = args.value()?.into(),
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    let recording = common::one(words, "one recording")?;
    let mut generator = model.generator(&model.open()?)?;
    let reference = Reference { levels, at_window, ..Reference::new(recording.as_path()) };
    let request = generator.request(&prompt).duration_secs(secs).seed(seed).reference(reference);
    request.validate()?;
    common::writable(&out)?;

    let plan = generator.plan(&request, &mut Bar::new())?;
    let fixed = plan.fixed.rows().into_iter().filter(|window| window.iter().any(|code| *code)).count();
    let (heard, planned) =
        (generator.analyze_recording(recording.as_path(), &ANCHORS)?, generator.analyze(&plan, &ANCHORS)?);
    say(format_args!(
        "the recording\n{heard}\n\nthe plan ({fixed} of {} windows from the recording)\n{planned}\n",
        plan.windows()
    ))?;
    generator.perform(&plan, &request.settings, &mut Bar::new())?.save(&out)?;
    heard.plot("What the recording says", out.join("recording"))?;
    planned.plot("What the plan says", out.join("plan"))?;
    common::say_files(
        &out,
        &["song.wav", "plan.json", "plan.svg", "plan.png", "recording.svg", "recording.png", "manifest.json"],
    )
}

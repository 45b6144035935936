//! A text prompt (or a recording, or both) becomes a song, a plan that can be read, and a record of how it was made.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use common::{ANCHORS, Bar, Model, Outcome, model_help, note, say};
use lexopt::ValueExt;
use musicot::clap::Clap;
use musicot::lm::SectionSpan;
use musicot::{Brief, Reference, Song, Stage};

const HELP: &str = concat!(
    "\
Turns a text prompt into music.

Usage: generate --prompt TEXT [flags]

  generate --prompt \"calm jazz with piano and bass at 90 bpm\"
  generate --prompt \"fast rock\" --seconds 60 --seed 7 --tempo 150 --key \"E minor\" --tags rock,guitar,drums
  generate --prompt \"a solo violin\" --drafts 16
  generate --reference song.mp3 --seconds 30 --prompt \"the same, but calm\" --out out/calm

Writes song.wav, plan.json, plan.svg, plan.png (what the plan says over time) and manifest.json.

  --prompt TEXT    what the music is like; may be left out with --tags or --reference
  --seconds S      length [30]
  --seed N         another seed, another song [0]
  --drafts N       draw N plans and perform the one nearest to the prompt [as the bundle says, else 1]
  --reference FILE recording (wav, flac, ogg, mp3, m4a) whose style the plan takes over
  --tempo BPM      beats per minute
  --key KEY        such as \"C major\" or \"F# minor\"
  --tags A,B       styles, moods and instruments
  --lyrics FILE    text file; a colour of the music, not sung to the word
  --sections L     form in plan windows of 10 s, such as intro:1,verse:1,chorus:1
  --out DIR        folder to write to [out/generate]
  --low-memory     one stage in memory at a time
",
    model_help!()
);

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut brief, mut seed) = (Model::default(), Brief::default(), 0);
    let (mut reference, mut words, mut out) = (None, Vec::new(), PathBuf::from("out/generate"));
    let mut drafts = None;
    let go = common::flags(HELP, |name, args| {
        match name {
            "prompt" => brief.prompt = args.value()?.string()?,
            "seconds" => brief.duration_secs = args.value()?.parse()?,
            "seed" => seed = args.value()?.parse()?,
            "drafts" => drafts = Some(args.value()?.parse()?),
            "reference" => reference = Some(PathBuf::from(args.value()?)),
            "tempo" => brief.tags.tempo_bpm = Some(args.value()?.parse()?),
            "key" => brief.tags.key = Some(args.value()?.parse()?),
            "tags" => words = common::list(args)?,
            "lyrics" => brief.lyrics = common::text(&PathBuf::from(args.value()?))?,
            "sections" => {
                brief.sections =
                    common::list(args)?.iter().map(|part| section(part)).collect::<Outcome<_>>()?
            }
            "out" => out = args.value()?.into(),
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    if !go {
        return Ok(());
    }
    let bundle = model.open()?;
    brief.tags = brief.tags.or(common::tags(&bundle, &words)?);
    let mut generator = model.generator(&bundle)?;
    let mut request = generator.request("").seed(seed);
    request.brief = brief;
    request.settings.drafts = drafts.unwrap_or(request.settings.drafts);
    if let Some(path) = &reference {
        request = request.reference(Reference::new(path.as_path()));
    }
    request.validate()?;
    common::writable(&out)?;

    let song = generator.generate(&request, &mut Bar::new())?;
    song.save(&out)?;
    generator.analyze(&song.plan, &ANCHORS)?.plot("What the plan says", out.join("plan"))?;
    let long_prompt = if request.brief.prompt.len() > 200 {
        Some(Clap::load(bundle.stage_dir(Stage::Clap)?, model.device)?)
    } else {
        None
    };
    report(&song, long_prompt)?;
    common::say_files(&out, &["song.wav", "plan.json", "plan.svg", "plan.png", "manifest.json"])?;
    let (factor, secs) = (song.manifest.real_time_factor(), song.manifest.total_secs());
    say(format_args!(
        "real-time factor {factor:.2} ({:.1} s of audio in {secs:.1} s)",
        song.audio.duration_secs()
    ))
}

/// A part of the form, `LABEL:WINDOWS`.
fn section(text: &str) -> Outcome<SectionSpan> {
    let (label, windows) = text.rsplit_once(':').unwrap_or((text, "1"));
    let windows = windows.parse().map_err(|e| format!("`{text}`: {e}; expected LABEL:WINDOWS"))?;
    Ok(SectionSpan { label: label.to_owned(), windows })
}

/// Says what the models were not given.
fn report(song: &Song, long_prompt: Option<Clap>) -> Outcome {
    let lost = &song.manifest.not_given;
    if !lost.unknown.is_empty() {
        note(format_args!("note: the model does not know {}", lost.unknown.join(", ")));
    }
    if lost.cut_sections > 0 {
        note(format_args!("note: {} sections beyond the model's limit were left out", lost.cut_sections));
    }
    if !lost.cut_lyrics.is_empty() {
        note(format_args!("note: {} characters of lyrics were left out", lost.cut_lyrics.chars().count()));
    }
    if let Some(clap) = long_prompt {
        for cut in clap.text_cuts(&[song.plan.brief.prompt.trim()])?.iter().filter(|cut| !cut.is_nothing()) {
            note(format_args!("note: the prompt was cut by {} tokens and {} bytes", cut.tokens, cut.bytes));
        }
    }
    Ok(())
}

//! How alike recordings and phrases are to CLAP.

mod common;

use std::process::ExitCode;

use common::{Model, Outcome, model_help, say};
use musicot_eval::{Table, embeddings::cosine_scores};
use ndarray::{Array2, Axis, concatenate};

const HELP: &str = concat!(
    "\
Compares recordings and phrases in the joint space of CLAP: a table of cosines.

Usage: embed [RECORDING ...] [--phrases A,B]

  embed song.mp3 --phrases \"piano,drums,calm,loud\"
  embed *.wav
  embed --phrases \"a sad violin,a happy violin,drums\"

A recording counts as the mean of its windows of 10 s.

  --phrases A,B   phrases to compare
",
    model_help!()
);

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut phrases) = (Model::default(), Vec::new());
    let words = common::words(HELP, |name, args| {
        match name {
            "phrases" => phrases = common::list(args)?,
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    let Some(recordings) = words else { return Ok(()) };
    if recordings.is_empty() && phrases.is_empty() {
        return Err("expected recordings or --phrases; --help shows how".into());
    }
    let mut generator = model.generator(&model.open()?)?;
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for path in &recordings {
        let windows: Array2<f32> = generator.embed_recording(path.as_path())?;
        rows.push(windows.sum_axis(Axis(0)).insert_axis(Axis(0)));
        names.push(path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned());
    }
    if !phrases.is_empty() {
        let texts: Vec<&str> = phrases.iter().map(String::as_str).collect();
        rows.push(generator.embed_phrases(&texts)?);
        names.extend(phrases);
    }
    let all = concatenate(Axis(0), &rows.iter().map(|row| row.view()).collect::<Vec<_>>())?;
    let cosines = cosine_scores(all.view(), all.view())?;
    let mut table = Table::new([String::new()].into_iter().chain(names.clone()));
    for (name, row) in names.iter().zip(cosines.rows()) {
        table.row([name.clone()].into_iter().chain(row.iter().map(|cosine| format!("{cosine:.3}"))))?;
    }
    say(table.to_string().trim_end())
}

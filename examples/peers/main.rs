//! One half of `cargo xtask bench-peers`: this repository's side, on what a script of benches/peers prepared.

mod audio;
mod clap;
mod clock;
mod codec;
#[path = "../common/mod.rs"]
mod common;
mod diffusion;
mod lm;
mod memory;
mod rvq;
mod training;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clock::Clock;
use common::Outcome;
use lexopt::ValueExt;
use musicot::core::tch::no_grad_guard;

const HELP: &str = "\
Times one stage on a case that both sides of a comparison read. `cargo xtask bench-peers` runs the two by turns.

Usage: peers ITEM DIR [flags]

  peers rvq target/peers/rvq
  peers audio target/peers/audio --secs 1

  lm-small, lm-1b   steps of decoding: two rows, 600 positions before them
  clap              windows of 10 s to embeddings, front end included
  clap-text         captions to embeddings
  rvq               vectors to codes
  codec             latents to a waveform
  diffusion         one evaluation of the denoiser
  audio             files to 48 kHz mono
  training          steps of training a small language model

  --secs S          time of each variant [3]
  --threads N       threads [2, or as many as the machine has]

The case is made by `python benches/peers/ITEM.py prepare DIR`. Prints a line of JSON per variant: {\"variant\": NAME, \"units\": units of a call,
\"secs\": [seconds of a call, ..]}.
";

/// What times one item.
type Item = (&'static str, fn(&Path, &Clock) -> Outcome);

const ITEMS: [Item; 9] = [
    ("lm-small", lm::run),
    ("lm-1b", lm::run),
    ("clap", clap::run),
    ("clap-text", clap::run_texts),
    ("rvq", rvq::run),
    ("codec", codec::run),
    ("diffusion", diffusion::run),
    ("audio", audio::run),
    ("training", training::run),
];

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut secs, mut threads) = (3.0, None);
    let words = common::words(HELP, |name, args| {
        match name {
            "secs" => secs = args.value()?.parse()?,
            "threads" => threads = Some(common::positive(args.value()?.parse()?)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    let [item, dir]: [PathBuf; 2] =
        words.try_into().map_err(|_| "expected an item and the folder of its case; --help shows how")?;
    let item = item.display().to_string();
    let Some((_, run)) = ITEMS.into_iter().find(|(name, _)| *name == item) else {
        let known = ITEMS.map(|(name, _)| name).join(", ");
        return Err(format!("there is no item `{item}`; there are {known}").into());
    };
    common::set_threads(threads, 2);
    let _no_grad = no_grad_guard();
    run(&dir, &Clock::new(secs)?)
}

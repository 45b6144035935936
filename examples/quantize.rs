//! Thoughts to codes and back: what each level of the residual quantiser keeps.

mod common;

use std::process::ExitCode;

use common::{Model, Outcome, model_help, say};
use lexopt::ValueExt;
use musicot::Stage;
use musicot::core::tch::{Kind, Tensor};
use musicot::core::{CounterRng, tensor};
use musicot::rvq::{RvqModel, VectorQuantizer, evaluate};
use musicot_eval::Table;

const HELP: &str = concat!(
    "\
Quantises the thoughts of a recording (or random vectors, for comparison) and says what each level keeps.

Usage: quantize RECORDING [flags]
       quantize --random N [flags]

  quantize song.mp3
  quantize --random 1000 --seed 3

  --random N   N random directions in the place of a recording
  --seed N     their seed [0]
",
    model_help!()
);

/// Vectors among which a decoded one must find its own original.
const GALLERY: usize = 500;

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut model, mut random, mut seed) = (Model::default(), None, 0);
    let words = common::words(HELP, |name, args| {
        match name {
            "random" => random = Some(common::positive(args.value()?.parse()?)?),
            "seed" => seed = args.value()?.parse()?,
            _ => return model.take(name, args),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    let bundle = model.open()?;
    let rvq = RvqModel::load(bundle.stage_dir(Stage::Rvq)?, model.device)?;
    let vectors = match random {
        Some(count) => {
            CounterRng::new(seed).normal(0, &[i64::from(count), rvq.dim() as i64], model.device)?
        }
        None => {
            let recording = common::one(words, "one recording, or --random N")?;
            let windows = model.generator(&bundle)?.embed_recording(recording.as_path())?;
            tensor::from_array(windows.view(), model.device)?
        }
    };
    let length = vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, Kind::Float)?.f_sqrt()?;
    let vectors: Tensor = vectors.f_div(&length)?;
    let figures = evaluate(&rvq, &vectors, GALLERY)?;
    let mut table = Table::new(["levels", "cosine", "mean squared error", "codes in use"]);
    for level in 0..rvq.levels() {
        let (cosine, mse, used) = (figures.cosine[level], figures.mse[level], figures.perplexity[level]);
        table.row([
            format!("{}", level + 1),
            format!("{cosine:.4}"),
            format!("{mse:.2e}"),
            format!("{used:.1}"),
        ])?;
    }
    say(table.to_string().trim_end())?;
    for (window, codes) in tensor::to_ids(&rvq.encode(&vectors)?)?.chunks(rvq.levels()).take(6).enumerate() {
        say(format_args!("codes of vector {window}: {codes:?}"))?;
    }
    say(format_args!(
        "{:.1} % of {} vectors are nearest to their own original",
        100.0 * figures.nearest_own,
        vectors.size()[0]
    ))
}

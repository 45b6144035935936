//! Trains a stage, or does a step between two trainings. `cargo xtask train-mini` runs all of them in order.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use common::{Outcome, say};
use lexopt::ValueExt;
use musicot::codec::{NoteTokenizer, SpectralCodec, read_audio, resample};
use musicot::core::files::read_json;
use musicot::core::tch::Device;
use musicot::core::train::{Dataset, ProgressBar, Summary};
use musicot::training::{BundlePlan, Encoders, assemble, embed_corpus, encode_corpus, read_vectors};
use musicot::{clap, codec, diffusion, lm, rvq};

const HELP: &str = "\
Trains a stage, or goes on where an earlier run of the same configuration stopped.

Usage: train STEP [flags]

  train codec --config models/recipe/codec.json --run runs/mini/codec --hours 2
  train clap|semantic|lm|diffusion --config FILE --run DIR
  train rvq --config FILE --run DIR --vectors FILE --heldout FILE
  train embeddings --clap DIR --manifest FILE --hop-secs 5 --out FILE   the vectors that rvq is fitted to
  train encode --clap DIR --rvq DIR --semantic DIR --codec DIR --manifest FILE --out DIR   what lm and diffusion read
  train bundle --config FILE --out DIR   trained stages become a bundle

A finished run leaves the stage in RUN/model, and its curves in RUN.

  --config FILE   settings as JSON; models/recipe holds those of models/mini
  --run DIR       folder of the run: checkpoints, metrics, the finished model
  --hours H       stop after so long; the same command goes on later
  --device D      cpu, cuda, cuda:N or auto [cpu]
  --threads N     threads of libtorch [1: another number changes the last bits]
";

fn main() -> ExitCode {
    common::exit(run)
}

/// The command line.
#[derive(Default)]
struct Options {
    paths: BTreeMap<String, PathBuf>,
    limit: Option<Duration>,
    hop_secs: Option<f64>,
}

impl Options {
    fn path(&self, flag: &str) -> Outcome<&Path> {
        self.paths
            .get(flag)
            .map(PathBuf::as_path)
            .ok_or_else(|| format!("this step needs --{flag}; see --help").into())
    }

    fn config<T: serde::de::DeserializeOwned>(&self) -> Outcome<T> {
        Ok(read_json(self.path("config")?)?)
    }

    fn bar(&self, stage: &str, steps: u64) -> ProgressBar {
        ProgressBar::new(stage, steps, self.limit)
    }
}

fn run() -> Outcome {
    let (mut options, mut device, mut threads) = (Options::default(), Device::Cpu, 1);
    let words = common::words(HELP, |name, args| {
        match name {
            "config" | "run" | "vectors" | "heldout" | "clap" | "rvq" | "semantic" | "codec" | "manifest"
            | "out" => {
                options.paths.insert(name.to_owned(), args.value()?.into());
            }
            "hours" => {
                options.limit = Some(Duration::try_from_secs_f64(3600.0 * args.value()?.parse::<f64>()?)?)
            }
            "hop-secs" => options.hop_secs = Some(args.value()?.parse()?),
            "device" => device = musicot::core::device::parse(&args.value()?.string()?)?,
            "threads" => threads = common::positive(args.value()?.parse()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let Some(words) = words else { return Ok(()) };
    common::set_threads(Some(threads), threads);
    let step = common::one(words, "one step")?;
    match step.to_str().unwrap_or_default() {
        "embeddings" => embeddings(&options, device),
        "encode" => encode(&options, device),
        "bundle" => {
            let bundle = assemble(&options.config::<BundlePlan>()?, options.path("out")?)?;
            say(bundle.path().display())
        }
        stage => report(train(stage, &options, device)?, options.path("run")?),
    }
}

fn train(stage: &str, options: &Options, device: Device) -> Outcome<Summary> {
    let run = || options.path("run");
    Ok(match stage {
        "clap" => {
            let config: clap::train::ClapTrainConfig = options.config()?;
            let rate = config.model.features.sample_rate_hz;
            let load = |path: &Path| {
                let audio = read_audio(path).and_then(|audio| resample(&audio, rate));
                audio.map_err(|e| musicot::core::Error::format(path, e.to_string()))
            };
            clap::train::train(&config, run()?, device, &mut options.bar(stage, config.train.steps), &load)?
        }
        "rvq" => {
            let config: rvq::train::RvqTrainConfig = options.config()?;
            let (vectors, heldout) =
                (read_vectors(options.path("vectors")?)?, read_vectors(options.path("heldout")?)?);
            rvq::train::train(
                &config,
                run()?,
                device,
                &vectors,
                &heldout,
                &mut options.bar(stage, config.steps),
            )?
        }
        "semantic" => {
            let config: codec::train::NoteTokenizerTrainConfig = options.config()?;
            codec::train::train_semantic(
                &config,
                run()?,
                device,
                &mut options.bar(stage, config.train.steps),
            )?
        }
        "codec" => {
            let config: codec::train::CodecTrainConfig = options.config()?;
            codec::train::train_codec(&config, run()?, device, &mut options.bar(stage, config.train.steps))?
        }
        "lm" => {
            let config: lm::train::LmTrainConfig = options.config()?;
            lm::train::train(&config, run()?, device, &mut options.bar(stage, config.train.steps))?
        }
        "diffusion" => {
            let config: diffusion::train::DiffusionTrainConfig = options.config()?;
            diffusion::train::train(&config, run()?, device, &mut options.bar(stage, config.train.steps))?
        }
        other => return Err(format!("there is no step `{other}`; --help lists them").into()),
    })
}

fn report(summary: Summary, run: &Path) -> Outcome {
    say(format_args!("{} steps done, last loss {:.4}", summary.steps_done, summary.last_loss))?;
    for (name, value) in &summary.validation {
        say(format_args!("{name} {value:.4}"))?;
    }
    match summary.finished {
        true => say(run.join("model").display()),
        false => say("stopped; the same command goes on from here"),
    }
}

fn embeddings(options: &Options, device: Device) -> Outcome {
    let clap = clap::Clap::load(options.path("clap")?, device)?;
    let hop_secs = options.hop_secs.ok_or("this step needs --hop-secs; see --help")?;
    let (dataset, out) = (Dataset::open(options.path("manifest")?)?, options.path("out")?);
    let count = embed_corpus(&dataset, &clap, hop_secs, out, &mut common::recordings)?;
    say(format_args!("{count} vectors in {}", out.display()))
}

fn encode(options: &Options, device: Device) -> Outcome {
    let encoders = Encoders {
        clap: &clap::Clap::load(options.path("clap")?, device)?,
        rvq: &rvq::RvqModel::load(options.path("rvq")?, device)?,
        semantic: &NoteTokenizer::load(options.path("semantic")?, device)?,
        codec: &SpectralCodec::load(options.path("codec")?, device)?,
    };
    let made = encode_corpus(
        &Dataset::open(options.path("manifest")?)?,
        &encoders,
        options.path("out")?,
        &mut common::recordings,
    )?;
    say(format_args!("{} pieces, {} tokens, {} thoughts", made.pieces, made.tokens, made.windows))
}

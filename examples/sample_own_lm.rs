//! Guided, two-phase sampling from a language model of your own: only `musicot::sampling` and `musicot::rvq` are used.
//!
//! The "model" below is a dozen lines that favour a phrase; put yours in its place.

use std::error::Error;
use std::process::ExitCode;

use musicot::rvq::tch::{Device, Kind, Tensor};
use musicot::rvq::{Order, RvqConfig, RvqModel, VectorQuantizer};
use musicot::sampling::{CounterRng, Guidance, Phase, PhasePolicy, Sampler, allow};

const HELP: &str = "\
Samples a plan (residual codes) and then tokens from a toy language model.

Usage: sample_own_lm [--seed N] [--windows N] [--tokens N] [--policy paper|greedy|neutral]

  --seed N      seed of every draw [7]
  --windows N   windows in the plan [3]
  --tokens N    tokens after the plan [16]
  --policy P    temperatures and guidance scales of both phases [paper]
";

const LEVELS: usize = 4;
const CODES: i64 = 32;
const TOKENS: i64 = 64;

/// Logits `[2, vocab]` of the next token: the first row knows the condition, the second does not. The vocabulary holds
/// the codes of the plan, then the audio tokens.
fn model(history: &[i64]) -> Tensor {
    let conditional = Tensor::zeros([CODES + TOKENS], (Kind::Float, Device::Cpu));
    let unconditional = conditional.copy();
    let favourite = (history.iter().sum::<i64>() * 7 + history.len() as i64 * 5) % 16;
    let _ = conditional.narrow(0, favourite, 4).fill_(3.0);
    let _ = conditional.narrow(0, CODES + favourite, 4).fill_(3.0);
    Tensor::stack(&[conditional, unconditional], 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut seed, mut windows, mut tokens, mut policy) = (7, 3_u16, 16_u16, PhasePolicy::paper());
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        use lexopt::{Arg::*, ValueExt};
        match arg {
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            Long("seed") => seed = args.value()?.parse()?,
            Long("windows") => windows = args.value()?.parse()?,
            Long("tokens") => tokens = args.value()?.parse()?,
            Long("policy") => policy = PhasePolicy::preset(&args.value()?.string()?)?,
            _ => return Err(arg.unexpected().into()),
        }
    }

    let codes = usize::from(windows) * LEVELS;
    let song = CounterRng::new(seed).item(0);
    let mut history = Vec::new();
    for (phase, count, range) in
        [(Phase::Thoughts, codes, 0..CODES), (Phase::Audio, usize::from(tokens), CODES..CODES + TOKENS)]
    {
        let settings = policy.get(phase);
        let (guidance, sampler) = (Guidance::new(settings.guidance), Sampler::new(&settings.sampling)?);
        for _ in 0..count {
            let logits = allow(&guidance.combine_halves(&model(&history))?, std::slice::from_ref(&range))?;
            let drawn = sampler.sample(logits, &[history.clone()], &[song], history.len() as u64)?;
            history.extend(drawn);
        }
    }

    // What a trained quantiser would read from its directory: `RvqModel::load("models/mini/rvq", device)`.
    let config = RvqConfig { dim: 8, levels: LEVELS, codebook_size: CODES as usize, ..Default::default() };
    let rvq = RvqModel::new(&config, Device::Cpu, 0)?;
    let plan = Order::TimeMajor.unflatten(&history[..codes], LEVELS)?;
    for (window, codes) in plan.rows().into_iter().enumerate() {
        let vector = rvq.decode(&Tensor::from_slice(&codes.to_vec()))?;
        println!("window {window}: codes {codes}, vector {:.2?}", Vec::<f32>::try_from(vector)?);
    }
    println!("tokens {:?}", history[codes..].iter().map(|t| t - CODES).collect::<Vec<_>>());
    Ok(())
}

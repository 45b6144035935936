//! `solver`: a scheduler of diffusers with a toy model.

use musicot::core::tch::Tensor;
use musicot::diffusion::scheduler::{Scheduler, SchedulerOptions};
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {
    /// As many as there are sigmas, where those are given.
    steps: Option<usize>,
    mu: Option<f64>,
    sigmas: Option<Vec<f64>>,
}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let Options { steps, mu, sigmas } = case.options()?;
    let Some(steps) = steps.or(sigmas.as_ref().map(Vec::len)) else {
        return Err(case.broken("steps: expected a number"));
    };
    let scheduler = Scheduler::read_published(&case.dir)?;
    let mut run = scheduler.start(&SchedulerOptions { steps, mu, sigmas })?;
    let (mut sample, toy_w) = (case.floats("sample")?, case.floats("toy_w")?);
    let mut outputs = vec![
        ("sigmas".into(), Tensor::f_from_slice(run.sigmas())?),
        ("timesteps".into(), Tensor::f_from_slice(run.timesteps())?),
    ];
    for step in 0..run.timesteps().len() {
        let output =
            toy(&toy_w, &run.model_input(&sample)?).ok().filter(|output| output.size() == sample.size());
        let Some(output) = output else {
            let (factor, sample) = (toy_w.size(), sample.size());
            return Err(case.broken_input(
                "toy_w",
                &format!("{factor:?} times in.sample {sample:?} is not of that shape"),
            ));
        };
        let noise = match run.needs_noise() {
            true => Some(case.floats(&format!("noise.{step}"))?),
            false => None,
        };
        sample = run.step(&output, &sample, noise.as_ref())?;
        outputs.push((format!("sample.{step}"), sample.shallow_clone()));
    }
    Ok(outputs)
}

/// `toy_w x`: a square matrix acts on the channels (second axis) where it has as many rows, else on the last axis; anything else is
/// multiplied elementwise.
fn toy(toy_w: &Tensor, x: &Tensor) -> Outcome<Tensor> {
    let (channels, last) = (x.size().get(1).copied(), x.size().last().copied());
    match toy_w.size().as_slice() {
        [rows, columns] if rows == columns && Some(*rows) == channels => {
            Ok(x.f_transpose(1, -1)?.f_matmul(&toy_w.f_transpose(0, 1)?)?.f_transpose(1, -1)?)
        }
        [rows, columns] if rows == columns && Some(*rows) == last => {
            Ok(x.f_matmul(&toy_w.f_transpose(0, 1)?)?)
        }
        _ => Ok(toy_w.f_mul(x)?),
    }
}

//! The training loop.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tch::Device;

use super::optimizer::AdamW;
use super::{Observer, Position, Precision, RunDir, StepReport, Task, TrainConfig};
use crate::checkpoint::{self, Checkpoint, LoadOptions, Storage};
use crate::{CounterRng, Error, Result};

/// Steps in a row whose gradient was not finite before the run is given up.
const PATIENCE: u32 = 10;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Steps done in all.
    pub steps_done: u64,
    /// Whether all steps are done.
    pub finished: bool,
    /// Mean loss of the last step.
    pub last_loss: f64,
    /// Figures of the last validation.
    pub validation: Vec<(String, f64)>,
}

/// Trains until all steps are done or the observer stops, continuing from the newest checkpoint of the run directory.
/// At the end of a finished run the task's weights are the moving average, where one is kept.
///
/// # Errors
/// [`Error::Config`] for settings out of range; [`Error::Input`] when gradients stay non-finite; what the task raises.
pub fn fit(
    task: &mut dyn Task,
    config: &TrainConfig,
    run: &RunDir,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    config.validate()?;
    if config.precision == Precision::Bf16 && !matches!(task.params().device(), Device::Cuda(_)) {
        return Err(Error::config("precision", "bf16 needs a CUDA device; use f32 here"));
    }
    let mut optimizer = AdamW::new(task.params(), config.ema_decay > 0.0)?;
    let first = resume(task, &optimizer, run)?;
    let mut summary = Summary { steps_done: first, finished: first >= config.steps, last_loss: f64::NAN, validation: Vec::new() };
    let started = Instant::now();
    let mut bad_steps = 0;
    for step in first..config.steps {
        let report = train_step(task, &mut optimizer, config, step)?;
        bad_steps = if report.gradient_norm.is_finite() { 0 } else { bad_steps + 1 };
        if bad_steps > PATIENCE {
            return Err(Error::input("training", format!("gradients are not finite since step {}", step - u64::from(PATIENCE))));
        }
        let report = finish_step(task, &mut optimizer, config, report, &mut summary)?;
        if report.step % config.log_every == 0 || summary.finished {
            run.log(&to_json(&report, started))?;
        }
        let goes_on = observer.on_step(&report);
        if report.step % config.checkpoint_every == 0 || summary.finished || !goes_on {
            save(task, &optimizer, run, report.step)?;
        }
        if !goes_on {
            break;
        }
    }
    if summary.finished {
        optimizer.swap_ema()?;
    }
    Ok(summary)
}

fn train_step(task: &mut dyn Task, optimizer: &mut AdamW, config: &TrainConfig, step: u64) -> Result<StepReport> {
    optimizer.zero_grad();
    let rng = CounterRng::new(config.seed).stage("train");
    let (mut loss, mut metrics) = (0.0, Vec::new());
    for micro in 0..config.accumulate {
        let at = Position { step, micro, accumulate: config.accumulate, rng };
        let outcome = match config.precision {
            Precision::F32 => task.loss(&at)?,
            Precision::Bf16 => tch::autocast(true, || task.loss(&at))?,
        };
        outcome.loss.f_backward()?;
        loss += outcome.loss.f_double_value(&[])? / f64::from(config.accumulate);
        metrics = outcome.metrics;
    }
    let gradient_norm = optimizer.step(config, step)?;
    task.after_step(&Position { step, micro: 0, accumulate: config.accumulate, rng })?;
    Ok(StepReport {
        step: step + 1,
        steps: config.steps,
        loss,
        learning_rate: config.learning_rate_at(step),
        gradient_norm,
        metrics: metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}

/// Validates where it is due, with the averaged weights.
fn finish_step(
    task: &mut dyn Task,
    optimizer: &mut AdamW,
    config: &TrainConfig,
    mut report: StepReport,
    summary: &mut Summary,
) -> Result<StepReport> {
    summary.steps_done = report.step;
    summary.last_loss = report.loss;
    summary.finished = report.step == config.steps;
    if summary.finished || (config.validate_every > 0 && report.step % config.validate_every == 0) {
        optimizer.swap_ema()?;
        summary.validation = tch::no_grad(|| task.validate())?;
        optimizer.swap_ema()?;
        report.metrics.extend(summary.validation.iter().map(|(name, v)| (format!("valid_{name}"), *v)));
    }
    Ok(report)
}

fn save(task: &dyn Task, optimizer: &AdamW, run: &RunDir, steps_done: u64) -> Result<()> {
    let folder = run.begin(steps_done)?;
    task.params().save(folder.join("params.safetensors"), Storage::Native)?;
    checkpoint::write(folder.join("optimizer.safetensors"), &optimizer.state(), Storage::Native)?;
    run.complete(steps_done)
}

fn resume(task: &dyn Task, optimizer: &AdamW, run: &RunDir) -> Result<u64> {
    let Some((steps_done, folder)) = run.latest()? else {
        run.trim_metrics(0)?;
        return Ok(0);
    };
    task.params().load_file(folder.join("params.safetensors"))?;
    restore(&folder.join("optimizer.safetensors"), optimizer)?;
    run.trim_metrics(steps_done)?;
    Ok(steps_done)
}

fn restore(path: &Path, optimizer: &AdamW) -> Result<()> {
    checkpoint::fill(&Checkpoint::open(path)?, &LoadOptions::default(), &optimizer.state())
}

fn to_json(report: &StepReport, started: Instant) -> Value {
    let mut line = json!({
        "step": report.step,
        "loss": report.loss,
        "learning_rate": report.learning_rate,
        "gradient_norm": report.gradient_norm,
        "secs": started.elapsed().as_secs_f64(),
    });
    for (name, value) in &report.metrics {
        line[name] = json!(value);
    }
    line
}

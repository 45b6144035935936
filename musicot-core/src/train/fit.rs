//! The training loop.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::loading::take_spent;
use super::optimizer::Optimizer;
use super::{Observer, Position, Precision, RunDir, StepReport, Task, TrainConfig};
use crate::checkpoint::{self, Checkpoint, LoadOptions, Loading, Storage};
use crate::nn::mixed_precision;
use crate::{CounterRng, Error, Result};

/// Steps in a row whose gradient was not finite before the run is given up.
const PATIENCE: u32 = 10;

/// Start of the names of validation figures.
const VALID: &str = "valid_";

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Steps done in all.
    pub steps_done: u64,
    /// Whether all steps are done.
    pub finished: bool,
    /// Mean loss of the last step; NaN when this call did none of an unfinished run.
    pub last_loss: f64,
    /// Figures of the last validation.
    pub validation: Vec<(String, f64)>,
}

/// Trains until all steps are done or the observer stops, continuing from the newest checkpoint of the run directory.
/// Of a finished run, also when it was finished before the call, the task's weights are the moving average, where one is kept;
/// checkpoints hold both. With the feature `plot`, `metrics.svg` and `metrics.png` are drawn at the end.
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
    let mut optimizer = Optimizer::new(task.params(), config.optimizer, config.ema_decay > 0.0)?;
    let (first, last_line) = resume(task, &optimizer, run)?;
    let mut summary = summary_of(first, config, last_line.as_ref());
    let mut clock = Clock::after(last_line.as_ref());
    let mut bad_steps = 0;
    for step in first..config.steps {
        let report = train_step(task, &mut optimizer, config, step)?;
        bad_steps = if report.gradient_norm.is_finite() { 0 } else { bad_steps + 1 };
        if bad_steps > PATIENCE {
            let reason = format!("gradients are not finite since step {}", step - u64::from(PATIENCE));
            return Err(Error::input("training", reason));
        }
        let is_validation = is_validation(config, report.step);
        let report = finish_step(task, &mut optimizer, is_validation, report, &mut summary)?;
        if is_validation || report.step % config.log_every == 0 {
            run.log(&to_json(&report, clock.read()))?;
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
    #[cfg(feature = "plot")]
    if run.metrics_path().is_file() {
        super::plot_metrics(run.path())?;
    }
    Ok(summary)
}

/// Training time.
struct Clock {
    /// Of earlier processes.
    earlier_secs: f64,
    started: Instant,
    last_read_secs: f64,
}

/// What a [`Clock`] says.
struct Times {
    /// Since the start of the training, that of earlier processes included.
    secs: f64,
    /// Of the time since the last reading, 0..=1.
    loading_share: f64,
}

impl Clock {
    fn after(last_line: Option<&Value>) -> Self {
        let earlier_secs = last_line.and_then(|line| line["secs"].as_f64()).unwrap_or(0.0);
        let _of_another_run = take_spent();
        Self { earlier_secs, started: Instant::now(), last_read_secs: earlier_secs }
    }

    fn read(&mut self) -> Times {
        let secs = self.earlier_secs + self.started.elapsed().as_secs_f64();
        let since = secs - self.last_read_secs;
        self.last_read_secs = secs;
        Times { secs, loading_share: (take_spent().as_secs_f64() / since.max(1e-9)).min(1.0) }
    }
}

/// What is known before the first step of this process: of a run that is finished already, its last line.
fn summary_of(first: u64, config: &TrainConfig, last_line: Option<&Value>) -> Summary {
    let finished = first >= config.steps;
    let line = last_line.and_then(Value::as_object).filter(|_| finished);
    let figure =
        |(name, value): (&String, &Value)| Some((name.strip_prefix(VALID)?.to_owned(), value.as_f64()?));
    Summary {
        steps_done: first,
        finished,
        last_loss: line.and_then(|l| l.get("loss")?.as_f64()).unwrap_or(f64::NAN),
        validation: line.into_iter().flatten().filter_map(figure).collect(),
    }
}

fn is_validation(config: &TrainConfig, steps_done: u64) -> bool {
    steps_done == config.steps
        || (config.validate_every > 0 && steps_done.is_multiple_of(config.validate_every))
}

fn train_step(
    task: &mut dyn Task,
    optimizer: &mut Optimizer,
    config: &TrainConfig,
    step: u64,
) -> Result<StepReport> {
    let rng = CounterRng::new(config.seed).stage("train");
    let (mut loss, mut metrics) = (0.0, Vec::new());
    for micro in 0..config.accumulate {
        let at = Position { step, micro, accumulate: config.accumulate, rng };
        let outcome = match config.precision {
            Precision::F32 => task.loss(&at)?,
            // On the CPU the first does nothing, and on CUDA it has rounded already what the second would.
            Precision::Bf16 => tch::autocast(true, || mixed_precision(|| task.loss(&at)))?,
        };
        optimizer.backward(&outcome.loss)?;
        loss += outcome.loss.f_double_value(&[])? / f64::from(config.accumulate);
        metrics.extend(outcome.metrics);
    }
    let gradient_norm = optimizer.step(config, step)?;
    if gradient_norm.is_finite() {
        task.after_step(&Position { step, micro: 0, accumulate: config.accumulate, rng })?;
    }
    Ok(StepReport {
        step: step + 1,
        steps: config.steps,
        loss,
        learning_rate: config.learning_rate_at(step),
        gradient_norm,
        metrics: means(metrics),
    })
}

/// The mean of each figure over the micro-batches that gave it, in order of first appearance.
fn means(figures: Vec<(&'static str, f64)>) -> Vec<(String, f64)> {
    let mut sums: Vec<(&str, f64, f64)> = Vec::new();
    for (name, value) in figures {
        match sums.iter_mut().find(|sum| sum.0 == name) {
            Some(sum) => *sum = (name, sum.1 + value, sum.2 + 1.0),
            None => sums.push((name, value, 1.0)),
        }
    }
    sums.into_iter().map(|(name, sum, count)| (name.to_owned(), sum / count)).collect()
}

/// Validates where it is due, with the averaged weights.
fn finish_step(
    task: &mut dyn Task,
    optimizer: &mut Optimizer,
    is_validation: bool,
    mut report: StepReport,
    summary: &mut Summary,
) -> Result<StepReport> {
    summary.steps_done = report.step;
    summary.last_loss = report.loss;
    summary.finished = report.step == report.steps;
    if is_validation {
        optimizer.swap_ema()?;
        let figures = tch::no_grad(|| task.validate());
        optimizer.swap_ema()?;
        summary.validation = figures?;
        report.metrics.extend(summary.validation.iter().map(|(name, v)| (format!("{VALID}{name}"), *v)));
    }
    Ok(report)
}

fn save(task: &dyn Task, optimizer: &Optimizer, run: &RunDir, steps_done: u64) -> Result<()> {
    let folder = run.begin(steps_done)?;
    task.params().save(folder.join("params.safetensors"), Storage::Native)?;
    checkpoint::write(folder.join("optimizer.safetensors"), &optimizer.state(), Storage::Native)?;
    run.complete(steps_done)
}

/// Steps done before, and the last line of their metrics.
fn resume(task: &dyn Task, optimizer: &Optimizer, run: &RunDir) -> Result<(u64, Option<Value>)> {
    let (steps_done, folder) = run.latest()?.unzip();
    if let Some(folder) = folder {
        task.params().load_file(folder.join("params.safetensors"))?;
        restore(&folder.join("optimizer.safetensors"), optimizer)?;
    }
    let steps_done = steps_done.unwrap_or(0);
    run.trim_metrics(steps_done)?;
    Ok((steps_done, run.last_metrics()?))
}

fn restore(path: &Path, optimizer: &Optimizer) -> Result<()> {
    let saved = Checkpoint::open(path)?;
    Loading::new(&saved, &LoadOptions::default(), optimizer.state())?.fill(|_| true)
}

fn to_json(report: &StepReport, times: Times) -> Value {
    let mut line = json!({
        "step": report.step,
        "loss": report.loss,
        "learning_rate": report.learning_rate,
        "gradient_norm": report.gradient_norm,
        "secs": times.secs,
        "loading_share": times.loading_share,
    });
    for (name, value) in &report.metrics {
        line[name] = json!(value);
    }
    line
}

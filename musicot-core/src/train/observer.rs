//! Watching a training run.

use indicatif::{ProgressBar as Bar, ProgressStyle};

/// What happened in a step.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Steps done so far, this one included.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss over the step's micro-batches.
    pub loss: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Further figures by name; validation figures start with `valid_`.
    pub metrics: Vec<(String, f64)>,
}

/// Receives a report after every step.
pub trait Observer {
    /// Returns whether to go on; `false` checkpoints and stops.
    fn on_step(&mut self, report: &StepReport) -> bool;
}

/// Watches nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on_step(&mut self, _report: &StepReport) -> bool {
        true
    }
}

/// A progress bar on standard error, and a stop after a given time.
pub struct ProgressBar {
    bar: Bar,
    deadline: Option<std::time::Instant>,
    smoothed: Option<f64>,
}

impl ProgressBar {
    /// Shows a bar titled with the stage; stops (resumably) after `limit`, if given.
    pub fn new(stage: &str, steps: u64, limit: Option<std::time::Duration>) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {per_sec} eta {eta} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = Bar::new(steps).with_style(style).with_prefix(stage.to_owned());
        Self { bar, deadline: limit.map(|l| std::time::Instant::now() + l), smoothed: None }
    }
}

impl Observer for ProgressBar {
    fn on_step(&mut self, report: &StepReport) -> bool {
        let smoothed = self.smoothed.map_or(report.loss, |old| 0.95 * old + 0.05 * report.loss);
        self.smoothed = Some(smoothed);
        if self.bar.position() == 0 && report.step > 1 {
            // A resumed run must not count its earlier steps into the speed.
            self.bar.set_position(report.step - 1);
            self.bar.reset_eta();
        }
        self.bar.set_message(format!("loss {smoothed:.4} lr {:.1e}", report.learning_rate));
        self.bar.set_position(report.step);
        if report.step == report.steps {
            self.bar.finish();
        }
        self.deadline.is_none_or(|deadline| std::time::Instant::now() < deadline)
    }
}

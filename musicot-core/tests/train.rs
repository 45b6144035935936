//! The training loop: it learns, and a stopped or killed run continues as if nothing had happened.
#![cfg(feature = "train")]
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::tensor::to_vec;
use musicot_core::train::{
    Method, Observer, Position, RunDir, Silent, StepLoss, StepReport, Summary, Task, TrainConfig, fit,
};
use musicot_core::{Error, Init, ParamStore, Result};
use serde_json::Value;

const ITEMS: usize = 24;

/// Fits `y1 = 3 x1 - 2 x2 + 1` and `y2 = x1 + 2 x2 + 1` from noisy items, with a buffer that counts steps.
struct Line {
    store: ParamStore,
    weight: Tensor,
    bias: Tensor,
    counter: Tensor,
    /// The step at which the process "dies".
    dies_at: Option<u64>,
    /// Steps whose loss is not a number.
    broken: std::ops::Range<u64>,
}

impl Line {
    fn new() -> Self {
        tch::set_num_threads(1);
        let store = ParamStore::new(Device::Cpu, 9);
        let root = store.root();
        let weight = root.param("weight", &[2, 2], Init::Normal(1.0)).unwrap();
        let bias = root.param("bias", &[2], Init::Const(0.0)).unwrap();
        let counter = root.buffer("counter", Tensor::from_slice(&[0_i64])).unwrap();
        Self { store, weight, bias, counter, dies_at: None, broken: 0..0 }
    }

    fn error(&self, x: &Tensor) -> Tensor {
        let truth = x.matmul(&Tensor::from_slice(&[3_f32, 1.0, -2.0, 2.0]).reshape([2, 2])) + 1.0;
        (x.matmul(&self.weight.transpose(0, 1)) + &self.bias - truth).square().mean(Kind::Float)
    }

    fn weights(&self) -> Vec<u32> {
        self.store.named().iter().flat_map(|(_, t)| to_vec(t).unwrap()).map(f32::to_bits).collect()
    }
}

impl Task for Line {
    fn params(&self) -> &ParamStore {
        &self.store
    }

    fn loss(&mut self, at: &Position) -> Result<StepLoss> {
        if self.dies_at == Some(at.step) {
            return Err(Error::Stopped);
        }
        let items = at.items(4, ITEMS);
        let rows: Vec<Tensor> = items
            .iter()
            .map(|item| at.rng.stage("data").item(*item as u64).normal(0, &[1, 2], Device::Cpu))
            .collect::<Result<_>>()?;
        let noise = at.rng.stage("noise").normal(at.index(), &[4, 2], Device::Cpu)? * 0.01;
        let x = Tensor::f_cat(&rows, 0)? + noise;
        let is_broken = self.broken.contains(&at.step);
        let loss = self.error(&x) * if is_broken { f64::NAN } else { 1.0 };
        Ok(StepLoss { metrics: vec![("items", items.iter().sum::<usize>() as f64)], loss })
    }

    fn after_step(&mut self, _at: &Position) -> Result<()> {
        let _ = self.counter.f_add_scalar_(1)?;
        Ok(())
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let x = Tensor::f_from_slice(&[1_f32, 0.0, 0.0, 1.0, -1.0, 2.0])?.f_reshape([3, 2])?;
        Ok(vec![("error".to_owned(), self.error(&x).f_double_value(&[])?)])
    }
}

fn config() -> TrainConfig {
    TrainConfig {
        steps: 40,
        accumulate: 2,
        learning_rate: 0.2,
        warmup_steps: 4,
        ema_decay: 0.8,
        checkpoint_every: 6,
        validate_every: 7,
        log_every: 4,
        seed: 5,
        ..TrainConfig::default()
    }
}

/// Stops after some steps.
struct StopAt(u64);

impl Observer for StopAt {
    fn on_step(&mut self, report: &StepReport) -> bool {
        report.step < self.0
    }
}

fn run(folder: &Path, task: &mut Line, config: &TrainConfig, observer: &mut dyn Observer) -> Result<Summary> {
    let run = RunDir::open(folder, &serde_json::to_value(config).unwrap())?;
    fit(task, config, &run, observer)
}

/// Bytes of the last checkpoint, and the metrics without their times.
fn outcome(folder: &Path, config: &TrainConfig) -> (Vec<u8>, Vec<u8>, Vec<Value>) {
    let checkpoint =
        RunDir::open(folder, &serde_json::to_value(config).unwrap()).unwrap().latest().unwrap().unwrap().1;
    let bytes = |name: &str| std::fs::read(checkpoint.join(name)).unwrap();
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let mut take = |name: &str| line.as_object_mut().unwrap().remove(name).unwrap().as_f64().unwrap();
        assert!(take("secs") >= 0.0 && (0.0..=1.0).contains(&take("loading_share")));
        line
    });
    (bytes("params.safetensors"), bytes("optimizer.safetensors"), lines.collect())
}

#[test]
fn the_loss_falls() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = Line::new();
    let before = task.validate().unwrap()[0].1;
    let config = TrainConfig { steps: 200, ..config() };
    let summary = run(folder.path(), &mut task, &config, &mut Silent).unwrap();
    assert!(summary.finished && summary.steps_done == 200);
    let after = summary.validation[0].1;
    assert!(after < 0.01 * before && after < 0.01, "{before} -> {after}");
    // The summary is about the weights that the task now has.
    assert_eq!(task.validate().unwrap()[0].1, after);
    assert_eq!(to_vec(&task.counter).unwrap(), [200.0]);
}

#[test]
fn stopped_runs_end_like_uninterrupted_ones() {
    for optimizer in [Method::AdamW, Method::Muon] {
        let config = TrainConfig { optimizer, ..config() };
        let whole = tempfile::tempdir().unwrap();
        let mut task = Line::new();
        let summary = run(whole.path(), &mut task, &config, &mut Silent).unwrap();
        for stops in [vec![1], vec![6], vec![7, 8, 30], vec![39], vec![40]] {
            let pieces = tempfile::tempdir().unwrap();
            for stop in stops.iter().copied() {
                let part = run(pieces.path(), &mut Line::new(), &config, &mut StopAt(stop)).unwrap();
                assert_eq!((part.steps_done, part.finished), (stop, stop == 40));
            }
            let mut resumed = Line::new();
            let last = run(pieces.path(), &mut resumed, &config, &mut Silent).unwrap();
            assert_eq!(outcome(pieces.path(), &config), outcome(whole.path(), &config), "{stops:?}");
            assert_eq!(resumed.weights(), task.weights(), "{optimizer:?}, {stops:?}");
            assert_eq!(last, summary);
        }
    }
}

#[test]
fn killed_runs_end_like_uninterrupted_ones() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut task = Line::new();
    run(whole.path(), &mut task, &config(), &mut Silent).unwrap();
    // Before the first checkpoint, between two, and with lines of metrics that must be taken back.
    for step in [3, 11, 29] {
        let mut dying = Line { dies_at: Some(step), ..Line::new() };
        assert!(matches!(run(killed.path(), &mut dying, &config(), &mut Silent), Err(Error::Stopped)));
    }
    std::fs::create_dir_all(killed.path().join("checkpoints/partial-00000030")).unwrap();
    let mut resumed = Line::new();
    run(killed.path(), &mut resumed, &config(), &mut Silent).unwrap();
    assert_eq!(outcome(killed.path(), &config()), outcome(whole.path(), &config()));
    assert_eq!(resumed.weights(), task.weights());
}

#[test]
fn a_finished_run_has_the_average_also_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut again) = (Line::new(), Line::new());
    let summary = run(folder.path(), &mut first, &config(), &mut Silent).unwrap();
    let before = outcome(folder.path(), &config());
    assert_eq!(run(folder.path(), &mut again, &config(), &mut Silent).unwrap(), summary);
    assert_eq!(first.weights(), again.weights());
    assert_eq!(outcome(folder.path(), &config()), before);

    // The checkpoint holds the raw weights and, beside them, the average that the task has.
    let latest = RunDir::open(folder.path(), &serde_json::to_value(config()).unwrap())
        .unwrap()
        .latest()
        .unwrap()
        .unwrap()
        .1;
    let raw = Line::new();
    raw.store.load_file(latest.join("params.safetensors")).unwrap();
    assert_ne!(raw.weights(), first.weights());
    let ema =
        musicot_core::Checkpoint::open(latest.join("optimizer.safetensors")).unwrap().tensor("ema").unwrap();
    let flat = Tensor::cat(&[first.weight.reshape([-1]), first.bias.shallow_clone()], 0);
    assert_eq!(to_vec(&ema).unwrap(), to_vec(&flat).unwrap());
}

#[test]
fn lines_are_logged_when_due_and_at_validations() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut Line::new(), &config(), &mut Silent).unwrap();
    let (_, _, lines) = outcome(folder.path(), &config());
    let steps: Vec<u64> = lines.iter().map(|l| l["step"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (1..=40).filter(|s| s % 4 == 0 || s % 7 == 0).collect();
    assert_eq!(steps, expected);
    for line in &lines {
        let step = line["step"].as_u64().unwrap();
        assert_eq!(line.get("valid_error").is_some(), step % 7 == 0 || step == 40, "{line}");
        assert!(line["loss"].is_f64() && line["gradient_norm"].is_f64() && line["learning_rate"].is_f64());
    }
    // Six micro-batches of four are an epoch: the mean over two of them is what the step logs.
    let at = |micro| Position {
        step: 3,
        micro,
        accumulate: 2,
        rng: musicot_core::CounterRng::new(5).stage("train"),
    };
    let sum: usize = [at(0), at(1)].iter().flat_map(|p| p.items(4, ITEMS)).sum();
    assert_eq!(lines[0]["items"], sum as f64 / 2.0);
    #[cfg(feature = "plot")]
    assert!(folder.path().join("metrics.png").is_file() && folder.path().join("metrics.svg").is_file());
}

#[test]
fn a_broken_gradient_is_left_out() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = TrainConfig { steps: 12, ema_decay: 0.0, log_every: 1, ..config() };
    let mut task = Line { broken: 5..8, ..Line::new() };
    run(broken.path(), &mut task, &config, &mut Silent).unwrap();
    assert!(task.weights().iter().all(|bits| f32::from_bits(*bits).is_finite()));
    // The buffers were left alone at these steps too.
    assert_eq!(to_vec(&task.counter).unwrap(), [9.0]);
    let text = std::fs::read_to_string(broken.path().join("metrics.jsonl")).unwrap();
    assert_eq!(text.lines().filter(|l| l.contains("\"gradient_norm\":null")).count(), 3);

    let mut stopped = Line { broken: 5..8, ..Line::new() };
    run(whole.path(), &mut stopped, &config, &mut StopAt(5)).unwrap();
    let five = stopped.weights();
    let mut eight = Line { broken: 5..8, ..Line::new() };
    run(whole.path(), &mut eight, &config, &mut StopAt(8)).unwrap();
    assert_eq!(eight.weights(), five);
}

#[test]
fn a_run_whose_gradients_stay_broken_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = Line { broken: 3..1000, ..Line::new() };
    let error = run(folder.path(), &mut task, &config(), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("not finite since step 3"), "{error}");
}

#[test]
fn another_configuration_is_refused_and_bad_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut Line::new(), &config(), &mut StopAt(1)).unwrap();
    let other = TrainConfig { learning_rate: 0.1, ..config() };
    assert!(matches!(run(folder.path(), &mut Line::new(), &other, &mut Silent), Err(Error::Format { .. })));

    let folder = tempfile::tempdir().unwrap();
    let bad = TrainConfig { steps: 0, ..config() };
    assert!(matches!(run(folder.path(), &mut Line::new(), &bad, &mut Silent), Err(Error::Config { .. })));
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &mut Line::new(), &config(), &mut StopAt(2)).unwrap();
    let mut other = Line::new();
    let _ = other.store.root().param("extra", &[2], Init::Const(0.0)).unwrap();
    let before = other.weights();
    assert!(matches!(run(folder.path(), &mut other, &config(), &mut Silent), Err(Error::Checkpoint { .. })));
    assert_eq!(other.weights(), before);
}

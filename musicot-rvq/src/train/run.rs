//! Fitting a quantiser to given vectors, resumably.

use std::path::Path;
use std::time::Instant;

use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::train::{Observer, Position, RunDir, StepReport, Summary};
use musicot_core::{CounterRng, Error, ParamStore, Result, Storage, shape};
use serde_json::json;

use super::{RvqLearner, RvqTrainConfig};
use crate::{Evaluation, ResidualVq, RvqModel, evaluate};

/// Fits a quantiser to `vectors` `[rows, dim]` and measures it on `heldout` `[rows, dim]`: k-means start, `steps` updates of moving
/// averages, then a refit on all vectors. Continues from the newest checkpoint of `run_dir`, and ends with the same bytes as an
/// uninterrupted run over the same vectors. A finished run leaves the model in `run_dir/model`.
///
/// # Errors
/// [`Error::Config`] for settings out of range; [`Error::Shape`] or [`Error::Input`] for vectors that do not fit, are non-finite or are
/// none; [`Error::Format`] for a run directory of another configuration.
///
/// ```
/// use musicot_rvq::core::{CounterRng, tch::Device, train::Silent};
/// use musicot_rvq::{RvqConfig, RvqModel, VectorQuantizer, train::{RvqTrainConfig, train}};
/// let rng = CounterRng::new(1);
/// let (vectors, heldout) = (rng.normal(0, &[300, 4], Device::Cpu)?, rng.normal(1, &[50, 4], Device::Cpu)?);
/// let model = RvqConfig { dim: 4, levels: 3, codebook_size: 16, ..Default::default() };
/// let config = RvqTrainConfig { model, steps: 20, batch: 64, ..Default::default() };
/// let dir = tempfile::tempdir().unwrap();
/// let summary = train(&config, dir.path(), Device::Cpu, &vectors, &heldout, &mut Silent)?;
/// assert!(summary.finished);
/// assert_eq!(RvqModel::load(dir.path().join("model"), Device::Cpu)?.levels(), 3);
/// # Ok::<(), musicot_rvq::Error>(())
/// ```
pub fn train(
    config: &RvqTrainConfig,
    run_dir: &Path,
    device: Device,
    vectors: &Tensor,
    heldout: &Tensor,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    config.validate()?;
    let vectors = check("vectors", vectors, config)?.f_to_device(device)?;
    let heldout = check("heldout", heldout, config)?.f_to_device(device)?;
    let run = RunDir::open(run_dir, config)?;
    tch::no_grad(|| Fit::new(config, device, vectors, heldout)?.run(&run, observer))
}

fn check(what: &str, vectors: &Tensor, config: &RvqTrainConfig) -> Result<Tensor> {
    shape::expect(what, vectors, &[shape::ANY, config.model.dim as i64])?;
    if vectors.size()[0] == 0 {
        return Err(Error::input(what, "expected at least one vector"));
    }
    shape::expect_finite(what, vectors)?;
    Ok(vectors.f_to_kind(Kind::Float)?)
}

struct Fit<'a> {
    config: &'a RvqTrainConfig,
    store: ParamStore,
    rvq: ResidualVq,
    learner: RvqLearner,
    vectors: Tensor,
    heldout: Tensor,
    rng: CounterRng,
    started: Instant,
}

impl<'a> Fit<'a> {
    fn new(config: &'a RvqTrainConfig, device: Device, vectors: Tensor, heldout: Tensor) -> Result<Self> {
        let store = ParamStore::new(device, config.seed);
        let rvq = ResidualVq::new(&store.root().sub("model"), &config.model)?;
        let learner = RvqLearner::new(&rvq, &store.root().sub("learner"), &config.learn)?;
        let rng = CounterRng::new(config.seed).stage("train");
        Ok(Self { config, store, rvq, learner, vectors, heldout, rng, started: Instant::now() })
    }

    fn run(&mut self, run: &RunDir, observer: &mut dyn Observer) -> Result<Summary> {
        let first = self.resume(run)?;
        let mut summary =
            Summary { steps_done: first, finished: true, last_loss: f64::NAN, validation: Vec::new() };
        for step in first..self.config.steps {
            let report = self.step(step, &mut summary)?;
            let is_last = report.step == self.config.steps;
            if report.step.is_multiple_of(self.config.log_every) || is_last {
                self.log(run, &report)?;
            }
            let goes_on = observer.on_step(&report);
            if report.step.is_multiple_of(self.config.checkpoint_every) || is_last || !goes_on {
                self.save(run, report.step)?;
            }
            if !goes_on && !is_last {
                summary.finished = false;
                return Ok(summary);
            }
        }
        self.finish(run, &mut summary)?;
        Ok(summary)
    }

    fn step(&mut self, step: u64, summary: &mut Summary) -> Result<StepReport> {
        let at = Position { step, micro: 0, accumulate: 1, rng: self.rng };
        let rows: Vec<i64> = at
            .items(self.config.batch, self.vectors.size()[0] as usize)
            .into_iter()
            .map(|row| row as i64)
            .collect();
        let batch = self
            .vectors
            .f_index_select(0, &Tensor::f_from_slice(&rows)?.f_to_device(self.vectors.device())?)?;
        let out = self.learner.forward(&batch, &at)?;
        let loss = batch.f_mse_loss(&out.quantized, tch::Reduction::Mean)?.f_double_value(&[])?;
        let revived = self.learner.update(&at)?;
        let mut metrics = vec![("revived".to_owned(), revived as f64)];
        (summary.steps_done, summary.last_loss) = (step + 1, loss);
        // Never a multiple of 0.
        if (step + 1).is_multiple_of(self.config.validate_every) {
            summary.validation = self.validate()?;
            metrics.extend(summary.validation.iter().map(|(name, value)| (format!("valid_{name}"), *value)));
        }
        let steps = self.config.steps;
        Ok(StepReport { step: step + 1, steps, loss, learning_rate: 0.0, gradient_norm: 0.0, metrics })
    }

    /// Refits, measures and writes the model. Run again on a finished run, it starts from the last checkpoint and so repeats itself.
    fn finish(&mut self, run: &RunDir, summary: &mut Summary) -> Result<()> {
        self.learner.refit(&self.vectors, self.config.refit_iterations)?;
        summary.validation = self.validate()?;
        RvqModel::from_quantizer(&self.rvq)?.save(run.path().join("model"), self.config.storage)
    }

    fn validate(&self) -> Result<Vec<(String, f64)>> {
        let found = evaluate(&self.rvq, &self.heldout, self.config.gallery)?;
        Ok(figures(&found))
    }

    fn log(&self, run: &RunDir, report: &StepReport) -> Result<()> {
        let secs = self.started.elapsed().as_secs_f64();
        let mut line = json!({ "step": report.step, "loss": report.loss, "secs": secs });
        for (name, value) in &report.metrics {
            line[name] = json!(value);
        }
        run.log(&line)
    }

    fn save(&self, run: &RunDir, steps_done: u64) -> Result<()> {
        let folder = run.begin(steps_done)?;
        self.store.save(folder.join("params.safetensors"), Storage::Native)?;
        run.complete(steps_done)
    }

    /// Loads the newest checkpoint, or starts the codebooks; returns the steps done.
    fn resume(&mut self, run: &RunDir) -> Result<u64> {
        let latest = run.latest()?;
        let steps_done = latest.as_ref().map_or(0, |(step, _)| *step);
        run.trim_metrics(steps_done)?;
        match latest {
            Some((_, folder)) => self.store.load_file(folder.join("params.safetensors"))?,
            None => self.learner.start(&self.vectors, self.rng.stage("start"))?,
        }
        Ok(steps_done)
    }
}

/// Figures by name, such as `cosine_8` for 8 levels.
fn figures(found: &Evaluation) -> Vec<(String, f64)> {
    let lists = [("cosine", &found.cosine), ("mse", &found.mse), ("perplexity", &found.perplexity)];
    let named = lists.into_iter().flat_map(|(name, values)| {
        values.iter().enumerate().map(move |(level, value)| (format!("{name}_{}", level + 1), *value))
    });
    named.chain([("nearest_own".to_owned(), found.nearest_own)]).collect()
}

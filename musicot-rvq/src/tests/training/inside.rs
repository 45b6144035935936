//! A learner inside the training of another model, with core's loop.

use musicot_core::nn::Linear;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::train::{Observer, Position, RunDir, Silent, StepLoss, StepReport, Task, TrainConfig, fit};
use musicot_core::{ParamStore, Result, tensor};

use crate::tests::data::{clustered, config};
use crate::train::{LearnConfig, RvqLearner};
use crate::{ResidualVq, RvqModel};

/// An autoencoder of one matrix each way around a quantiser.
struct Autoencoder {
    store: ParamStore,
    encoder: Linear,
    decoder: Linear,
    rvq: ResidualVq,
    learner: RvqLearner,
    data: Tensor,
}

impl Autoencoder {
    fn new() -> Self {
        let store = ParamStore::new(Device::Cpu, 1);
        let root = store.root();
        let encoder = Linear::new(&root.sub("model.encoder"), 6, 3, true).unwrap();
        let decoder = Linear::new(&root.sub("model.decoder"), 3, 6, true).unwrap();
        let rvq = ResidualVq::new(&root.sub("model.quantizer"), &config(3, 2, 8)).unwrap();
        let learn = LearnConfig { dropout: 0.3, ..Default::default() };
        let learner = RvqLearner::new(&rvq, &root.sub("learner"), &learn).unwrap();
        Self { encoder, decoder, rvq, learner, data: clustered(5, 200, 6, 9), store }
    }
}

impl Task for Autoencoder {
    fn params(&self) -> &ParamStore {
        &self.store
    }

    fn loss(&mut self, at: &Position) -> Result<StepLoss> {
        let rows: Vec<i64> = at.items(32, 200).into_iter().map(|row| row as i64).collect();
        let batch = self.data.f_index_select(0, &Tensor::f_from_slice(&rows)?)?;
        let out = self.learner.forward(&self.encoder.forward(&batch)?, at)?;
        let error = (self.decoder.forward(&out.quantized)? - batch).f_square()?.f_mean(Kind::Float)?;
        Ok(error.f_add(&out.commitment_loss.f_mul_scalar(0.25)?)?.into())
    }

    fn after_step(&mut self, at: &Position) -> Result<()> {
        self.learner.update(at).map(|_| ())
    }
}

struct StopAt(u64);

impl Observer for StopAt {
    fn on_step(&mut self, report: &StepReport) -> bool {
        report.step != self.0
    }
}

fn settings() -> TrainConfig {
    TrainConfig { steps: 60, accumulate: 2, learning_rate: 1e-2, ..Default::default() }
}

fn weights(task: &Autoencoder) -> Vec<(String, Vec<f32>)> {
    task.store.named().iter().map(|(name, t)| (name.clone(), tensor::to_vec(t).unwrap())).collect()
}

#[test]
fn the_loss_falls_and_a_resumed_run_is_the_same_run() {
    let (whole_dir, split_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |dir: &tempfile::TempDir| RunDir::open(dir.path(), &serde_json::json!({})).unwrap();

    let mut whole = Autoencoder::new();
    let first =
        whole.loss(&Position { step: 0, micro: 0, accumulate: 1, rng: musicot_core::CounterRng::new(0) });
    let first = first.unwrap().loss.double_value(&[]);
    let mut whole = Autoencoder::new();
    let summary = fit(&mut whole, &settings(), &run(&whole_dir), &mut Silent).unwrap();
    assert!(summary.last_loss < 0.5 * first, "{} after {first}", summary.last_loss);

    fit(&mut Autoencoder::new(), &settings(), &run(&split_dir), &mut StopAt(23)).unwrap();
    let mut split = Autoencoder::new();
    fit(&mut split, &settings(), &run(&split_dir), &mut Silent).unwrap();
    assert!(weights(&whole) == weights(&split));
}

#[test]
fn the_exported_quantiser_has_no_averages() {
    let mut task = Autoencoder::new();
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::open(dir.path(), &serde_json::json!({})).unwrap();
    fit(&mut task, &TrainConfig { steps: 3, ..settings() }, &run, &mut Silent).unwrap();
    let model = RvqModel::from_quantizer(&task.rvq).unwrap();
    let exported = dir.path().join("model");
    model.save(&exported, musicot_core::Storage::Native).unwrap();
    let loaded = RvqModel::load(&exported, Device::Cpu).unwrap();
    assert!(loaded.quantizer().codebooks() == task.rvq.codebooks());
}

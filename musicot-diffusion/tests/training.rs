//! Prepared data, and a short real training.
#![cfg(feature = "train")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::*;
use musicot_core::CounterRng;
use musicot_core::train::{Observer, Silent, StepReport, Task, TrainConfig};
use musicot_diffusion::tch::{self, Device, Kind, Tensor};
use musicot_diffusion::train::{
    Crops, DatasetInfo, DiffusionTask, DiffusionTrainConfig, LatentDataset, LatentPiece, LatentWriter,
    TimeSampling, train,
};
use musicot_diffusion::{Dit, Error, Objective, Storage};

/// Latents that follow from the tokens, so that there is something to learn.
fn piece(seed: u64, frames: i64) -> LatentPiece {
    let semantic = tokens(seed, 1, frames).reshape([frames]);
    let table = normal(77, &[11, 6]);
    let latents = table.index_select(0, &semantic) * 2.0 + normal(seed + 1000, &[frames, 6]) * 0.1 + 1.0;
    let windows = frames.div_euclid(20).max(1);
    LatentPiece {
        id: format!("piece-{seed}"),
        latents,
        semantic,
        thoughts: normal(seed + 2000, &[windows, 5]),
        text: normal(seed + 3000, &[1 + seed as i64 % 2, 7]),
    }
}

fn write(root: &Path, half: bool) -> LatentDataset {
    tch::set_num_threads(1);
    let mut writer = LatentWriter::create(root, DatasetInfo::from(&config(Objective::Flow)), half).unwrap();
    for seed in 0..6 {
        writer.push(&piece(seed, 25 + 17 * seed as i64)).unwrap();
    }
    writer.finish().unwrap()
}

fn run_config(root: &Path, steps: u64) -> DiffusionTrainConfig {
    DiffusionTrainConfig {
        model: config(Objective::Flow),
        train: TrainConfig {
            steps,
            learning_rate: 5e-3,
            warmup_steps: 5,
            accumulate: 2,
            ema_decay: 0.95,
            checkpoint_every: 10,
            log_every: 1,
            seed: 4,
            ..TrainConfig::default()
        },
        data: root.join("data"),
        heldout: Some(root.join("data")),
        crops: Crops { frames: vec![10, 20, 40], batch_frames: 160, ..Crops::default() },
        validation_frames: 20,
        ..DiffusionTrainConfig::default()
    }
}

#[test]
fn pieces_come_back() {
    let folder = tempfile::tempdir().unwrap();
    for half in [false, true] {
        let data = write(folder.path(), half);
        assert_eq!(data.pieces().len(), 6);
        assert_eq!(data.frames(), 25 * 6 + 17 * 15);
        let (expected, crop) = (piece(3, 76), data.crop(3, 11, 30).unwrap());
        // f16 keeps 11 bits: values below 16 are within 2^-8.
        let tolerance = if half { 4e-3 } else { 0.0 };
        assert!(crop.latents.allclose(&expected.latents.narrow(0, 11, 30), 0.0, tolerance, false));
        assert!(crop.semantic.equal(&expected.semantic.narrow(0, 11, 30)));
        assert!(crop.thoughts.equal(&expected.thoughts));
        assert!(crop.text.equal(&expected.text));
        assert!(data.crop(3, 50, 27).is_err());
        assert!(data.crop(3, usize::MAX, 2).is_err());
        assert!(data.crop(6, 0, 1).is_err());
    }
}

#[test]
fn frames_find_their_piece() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), false);
    assert_eq!([0, 24, 25, 66, 67].map(|frame| data.piece_at(frame)), [0, 0, 1, 1, 2]);
    assert_eq!(data.piece_at(usize::MAX), 5);
}

#[test]
fn statistics_are_those_of_all_frames() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), false);
    let all =
        Tensor::cat(&(0..6).map(|seed| piece(seed, 25 + 17 * seed as i64).latents).collect::<Vec<_>>(), 0);
    let (mean, deviation) = data.statistics().unwrap();
    let expected = all.to_kind(Kind::Double).std_dim(0_i64, false, false).to_kind(Kind::Float);
    assert!(mean.allclose(&all.mean_dim(0_i64, false, Kind::Float), 1e-5, 1e-5, false));
    assert!(deviation.allclose(&expected, 1e-5, 1e-5, false));
}

#[test]
fn bad_pieces_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer =
        LatentWriter::create(folder.path(), DatasetInfo::from(&config(Objective::Flow)), true).unwrap();
    let mut refused = |change: fn(&mut LatentPiece)| {
        let mut piece = piece(1, 30);
        change(&mut piece);
        writer.push(&piece).unwrap_err().to_string()
    };
    assert!(refused(|p| p.latents = normal(1, &[30, 5])).contains("latents of `piece-1`"));
    assert!(refused(|p| p.latents = normal(1, &[0, 6])).contains("semantic"));
    assert!(refused(|p| p.latents = normal(1, &[30, 6]) * f64::NAN).contains("latents"));
    assert!(refused(|p| p.latents = normal(1, &[30, 6]) * 1e6).contains("as stored"));
    assert!(refused(|p| p.semantic = tokens(1, 1, 29).reshape([29])).contains("semantic"));
    assert!(refused(|p| p.semantic = tokens(1, 1, 30).reshape([30]) + 11).contains("semantic"));
    assert!(refused(|p| p.thoughts = normal(1, &[0, 5])).contains("thoughts"));
    assert!(refused(|p| p.text = normal(1, &[1, 6])).contains("text"));
    assert!(refused(|p| p.id.clear()).contains("id"));
    writer.push(&piece(1, 30)).unwrap();
    assert!(writer.push(&piece(1, 30)).unwrap_err().to_string().contains("twice"));
    assert!(LatentDataset::open(folder.path()).is_err(), "no index before the end");
    assert_eq!(writer.finish().unwrap().pieces().len(), 1);
    let empty = tempfile::tempdir().unwrap();
    let writer =
        LatentWriter::create(empty.path(), DatasetInfo::from(&config(Objective::Flow)), true).unwrap();
    assert!(writer.finish().is_err());
}

#[test]
fn damaged_data_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), false);
    let file = folder.path().join("000002.safetensors");
    let good = std::fs::read(&file).unwrap();
    let message = || LatentDataset::open(folder.path()).unwrap_err().to_string();
    std::fs::write(&file, &good[..good.len() - 1]).unwrap();
    assert!(message().contains("000002.safetensors"), "{}", message());
    // Another piece's file in its place.
    std::fs::copy(folder.path().join("000001.safetensors"), &file).unwrap();
    assert!(message().contains("000002.safetensors") && message().contains("latents"), "{}", message());
    std::fs::remove_file(&file).unwrap();
    assert!(message().contains("000002.safetensors"));
    std::fs::write(&file, good).unwrap();
    let index = folder.path().join("dataset.json");
    let text = std::fs::read_to_string(&index).unwrap();
    for (from, to, word) in [
        ("\"format\": 1", "\"format\": 2", "format"),
        ("000002.safetensors", "../000002.safetensors", "plain file name"),
        ("\"info\"", "\"inf\"", "inf"),
    ] {
        std::fs::write(&index, text.replace(from, to)).unwrap();
        assert!(message().contains(word), "{}", message());
    }
}

struct StopAfter(u64);

impl Observer for StopAfter {
    fn on_step(&mut self, report: &StepReport) -> bool {
        report.step < self.0
    }
}

#[test]
fn training_lowers_the_loss_and_resumes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("data"), true);
    let config = run_config(folder.path(), 150);
    let (once, twice) = (folder.path().join("once"), folder.path().join("twice"));
    let summary = train(&config, &once, Device::Cpu, &mut Silent).unwrap();
    assert!(summary.finished);
    let loss = |name: &str| summary.validation.iter().find(|(n, _)| n == name).unwrap().1;
    // The loss of an untrained model is pi / 2; see the test below.
    assert!(loss("loss") < 1.3, "{:?}", summary.validation);
    assert!(loss("loss") < loss("loss_null"), "{:?}", summary.validation);

    let stopped = train(&config, &twice, Device::Cpu, &mut StopAfter(23)).unwrap();
    assert!(!stopped.finished);
    assert!(!twice.join("model").exists());
    train(&config, &twice, Device::Cpu, &mut Silent).unwrap();
    let bytes = |run: &Path| std::fs::read(run.join("model/model.safetensors")).unwrap();
    assert!(bytes(&once) == bytes(&twice));
    assert_eq!(*Dit::load(once.join("model"), Device::Cpu).unwrap().config(), config.model);

    let other = DiffusionTrainConfig { validation_items: 3, ..config };
    assert!(
        train(&other, &once, Device::Cpu, &mut Silent).is_err(),
        "another configuration in the same folder"
    );
}

/// Notes the reader's error of the last step.
struct Estimate(f64);

impl Observer for Estimate {
    fn on_step(&mut self, report: &StepReport) -> bool {
        let estimate = report.metrics.iter().find(|(name, _)| *name == "estimate");
        self.0 = estimate.map_or(f64::NAN, |(_, value)| *value);
        true
    }
}

#[test]
fn a_reader_learns_what_tokens_mean() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("data"), true);
    let mut config = run_config(folder.path(), 150);
    config.model.reader_blocks = 2;
    let mut estimate = Estimate(f64::NAN);
    let run = folder.path().join("run");
    train(&config, &run, Device::Cpu, &mut estimate).unwrap();
    // Latents follow from the tokens to within 0.1 of about 2; one item in five has lost them, and is off by the whole variance of 1.
    assert!(estimate.0 < 0.6, "{}", estimate.0);
    assert_eq!(Dit::load(run.join("model"), Device::Cpu).unwrap().config().reader_blocks, 2);
}

#[test]
fn the_loss_of_a_fresh_model_is_what_its_input_leaves_open() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("data"), true);
    // The flow's target, without what follows from the input: 1 / ((1 - t)^2 + t^2), which integrates to pi / 2.
    for (objective, expected) in [(Objective::Flow, std::f64::consts::FRAC_PI_2), (Objective::Angle, 1.0)] {
        let mut config = run_config(folder.path(), 10);
        config.model.objective = objective;
        config.times = TimeSampling::Uniform;
        let mut task = DiffusionTask::new(&config, Device::Cpu).unwrap();
        let losses = tch::no_grad(|| task.validate().unwrap());
        let mean = losses[0].1;
        // 16 crops of 20 frames and 6 dims; data and noise have variance 1 in normalised units.
        assert!((mean / expected - 1.0).abs() < 0.15, "{objective:?}: {mean}");
        let at = musicot_core::train::Position { step: 3, micro: 1, accumulate: 2, rng: CounterRng::new(1) };
        let (a, b) = (task.loss(&at).unwrap().loss, task.loss(&at).unwrap().loss);
        assert!(a.equal(&b), "the loss is a function of the position");
        assert!((a.double_value(&[]) / expected - 1.0).abs() < 0.3, "{objective:?}: {a:?}");
    }
}

#[test]
fn data_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("data"), true);
    let mut config = run_config(folder.path(), 10);
    config.model.latent_dim = 7;
    assert!(matches!(DiffusionTask::new(&config, Device::Cpu), Err(Error::Format { .. })));
    config.data = folder.path().join("nowhere");
    assert!(matches!(DiffusionTask::new(&config, Device::Cpu), Err(Error::Io { .. })));
}

/// The recipe of the embedded model, where the test runs in the repository (it is not part of the package).
/// The whole model is taken over, latent statistics too; one of another shape is refused.
#[test]
fn training_goes_on_from_another_model() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("data"), false);
    let mut run = run_config(folder.path(), 1);
    let mut first = Dit::new(run.model.clone(), Device::Cpu, 9).unwrap();
    first
        .set_latent_statistics(&Tensor::from_slice(&[0.5f32; 6]), &Tensor::from_slice(&[3.0f32; 6]))
        .unwrap();
    first.save(folder.path().join("first"), Storage::Native).unwrap();
    run.start_from = Some(folder.path().join("first"));
    let task = DiffusionTask::new(&run, Device::Cpu).unwrap();
    let (own, taken) = (first.params().named(), task.model().params().named());
    assert_eq!(own.len(), taken.len());
    for ((name, expected), (_, tensor)) in own.iter().zip(&taken) {
        assert!(tensor.equal(expected), "{name}");
    }
    run.model.width *= 2;
    let error = DiffusionTask::new(&run, Device::Cpu).err().unwrap().to_string();
    assert!(error.contains("start_from") && error.contains("expected"), "{error}");
}

#[test]
fn the_recipe_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/recipe/diffusion.json");
    if path.is_file() {
        let config: DiffusionTrainConfig = musicot_core::files::read_json(&path).unwrap();
        config.validate().unwrap();
        let count = Dit::new(config.model, Device::Cpu, 0).unwrap().params().count();
        assert!((5_000_000..7_500_000).contains(&count), "{count} parameters");
    }
}

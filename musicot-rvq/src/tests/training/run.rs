//! The trainer.

use std::path::Path;

use musicot_core::Error;
use musicot_core::tch::{Device, Tensor};
use musicot_core::train::{Observer, Silent, StepReport, Summary};

use crate::tests::data::{clustered, config, normal};
use crate::train::{RvqTrainConfig, train};
use crate::{RvqModel, VectorQuantizer, evaluate};

struct StopAt(u64);

impl Observer for StopAt {
    fn on_step(&mut self, report: &StepReport) -> bool {
        report.step != self.0
    }
}

fn settings() -> RvqTrainConfig {
    RvqTrainConfig {
        model: config(8, 3, 16),
        steps: 40,
        batch: 50,
        checkpoint_every: 10,
        log_every: 5,
        validate_every: 20,
        seed: 3,
        ..Default::default()
    }
}

fn data() -> (Tensor, Tensor) {
    let all = clustered(7, 600, 8, 60);
    (all.narrow(0, 0, 500), all.narrow(0, 500, 100))
}

fn run(dir: &Path, observer: &mut dyn Observer) -> Summary {
    let (vectors, heldout) = data();
    train(&settings(), dir, Device::Cpu, &vectors, &heldout, observer).unwrap()
}

fn bytes(dir: &Path, file: &str) -> Vec<u8> {
    std::fs::read(dir.join(file)).unwrap()
}

const FILES: [&str; 2] = ["model/model.safetensors", "checkpoints/step-00000040/params.safetensors"];

#[test]
fn stopped_and_killed_runs_end_with_the_same_bytes() {
    let dirs = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let [whole, again, stopped, killed] = dirs.each_ref().map(tempfile::TempDir::path);
    let summary = run(whole, &mut Silent);
    assert_eq!(run(again, &mut Silent), summary);

    assert!(!run(stopped, &mut StopAt(17)).finished);
    assert!(!stopped.join("model").exists());
    assert_eq!(run(stopped, &mut Silent), summary);

    // A kill loses what came after the last regular checkpoint.
    run(killed, &mut StopAt(17));
    std::fs::remove_dir_all(killed.join("checkpoints/step-00000017")).unwrap();
    assert_eq!(run(killed, &mut Silent), summary);

    for file in FILES {
        for other in [again, stopped, killed] {
            assert!(bytes(whole, file) == bytes(other, file), "{file} of {}", other.display());
        }
    }
    let lines = |dir: &Path| String::from_utf8(bytes(dir, "metrics.jsonl")).unwrap().lines().count();
    assert_eq!((lines(whole), lines(killed)), (8, 8));

    // A finished run repeats its end.
    let model = bytes(whole, FILES[0]);
    assert_eq!(run(whole, &mut Silent).validation, summary.validation);
    assert!(model == bytes(whole, FILES[0]));
}

#[test]
fn training_beats_random_codebooks_and_more_levels_help() {
    let dir = tempfile::tempdir().unwrap();
    let summary = run(dir.path(), &mut Silent);
    let (vectors, heldout) = data();
    let trained = RvqModel::load(dir.path().join("model"), Device::Cpu).unwrap();
    let random = RvqModel::new(&settings().model, Device::Cpu, 0).unwrap();
    let (trained_report, random_report) =
        (evaluate(&trained, &heldout, 100).unwrap(), evaluate(&random, &heldout, 100).unwrap());
    assert!(trained_report.mse[2] < 0.2 * random_report.mse[2], "{trained_report:?} {random_report:?}");
    assert!(trained_report.mse[2] < trained_report.mse[0]);
    assert!(trained_report.cosine[2] > 0.95, "{trained_report:?}");
    let errors = trained.error_per_level(&vectors).unwrap();
    assert!(errors.windows(2).all(|pair| pair[1] <= pair[0]), "{errors:?}");
    let named = |name: &str| summary.validation.iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!(named("cosine_3"), trained_report.cosine[2]);
    assert_eq!(named("mse_1"), trained_report.mse[0]);
    assert_eq!(trained.dim(), 8);
}

#[test]
fn a_run_directory_belongs_to_one_configuration() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &mut StopAt(2));
    let (vectors, heldout) = data();
    let other = RvqTrainConfig { seed: 4, ..settings() };
    let result = train(&other, dir.path(), Device::Cpu, &vectors, &heldout, &mut Silent);
    assert!(matches!(result, Err(Error::Format { .. })));
}

#[test]
fn unusable_vectors_and_settings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let attempt = |config: &RvqTrainConfig, vectors: &Tensor, heldout: &Tensor| {
        train(config, dir.path(), Device::Cpu, vectors, heldout, &mut Silent).unwrap_err().to_string()
    };
    let (vectors, heldout) = data();
    assert!(attempt(&settings(), &normal(1, 5, 7), &heldout).contains("vectors"));
    assert!(attempt(&settings(), &vectors, &normal(1, 0, 8)).contains("heldout"));
    assert!(attempt(&settings(), &(&vectors / 0.0), &heldout).contains("NaN or infinite"));
    assert!(attempt(&RvqTrainConfig { batch: 0, ..settings() }, &vectors, &heldout).contains("`batch`"));
    assert!(!dir.path().join("config.json").exists());
}

/// What the settings are called in files.
#[test]
fn settings_are_read_as_written() {
    let golden = concat!(
        r#"{"model":{"dim":512,"levels":12,"codebook_size":1024,"metric":"euclidean","beam":1},"#,
        r#""learn":{"decay":0.99,"dead_below":0.05,"dropout":0.0,"start_iterations":20,"start_vectors":16384},"#,
        r#""steps":1000,"batch":1024,"refit_iterations":10,"checkpoint_every":200,"validate_every":0,"log_every":50,"#,
        r#""gallery":500,"seed":0,"storage":"native"}"#,
    );
    assert_eq!(serde_json::to_string(&RvqTrainConfig::default()).unwrap(), golden);
    assert_eq!(serde_json::from_str::<RvqTrainConfig>(golden).unwrap(), RvqTrainConfig::default());
    assert!(serde_json::from_str::<RvqTrainConfig>(r#"{"epochs": 3}"#).is_err());
}

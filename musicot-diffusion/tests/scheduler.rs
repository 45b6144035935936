//! Agreement with diffusers' schedulers; the fixtures are made by `tests/reference/solver.py`, which also measures how far the
//! reference in f32 is from itself in f64.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use musicot_core::files::{read_json, write_json};
use musicot_core::{Checkpoint, tensor};
use musicot_diffusion::scheduler::{
    FlowConfig, MultistepConfig, Scheduler, SchedulerOptions, SchedulerRun, TimeMap,
};
use musicot_diffusion::tch::{Device, Kind, Tensor};
use serde_json::{Map, Value, json};

/// Deviations allowed, in units of the reference's own f32 noise.
const NOISES: f64 = 10.0;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn folder(case: &str) -> PathBuf {
    golden().join(format!("solver_{case}"))
}

fn start(folder: &Path) -> SchedulerRun {
    let case: Map<String, Value> = read_json(folder.join("case.json")).unwrap();
    let options = SchedulerOptions {
        steps: case["steps"].as_u64().unwrap() as usize,
        mu: case.get("mu").and_then(Value::as_f64),
        sigmas: case.get("sigmas").map(|list| serde_json::from_value(list.clone()).unwrap()),
    };
    Scheduler::read_published(folder).unwrap().start(&options).unwrap()
}

/// The largest deviation from `out.NAME` in units of `noise.NAME`; 0 where both are.
fn deviation(golden: &Checkpoint, name: &str, actual: &Tensor) -> f64 {
    let expected = golden.tensor(&format!("out.{name}")).unwrap();
    assert_eq!(actual.size(), expected.size(), "{name}");
    let difference = (actual.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max();
    let noise = golden.tensor(&format!("noise.{name}")).unwrap().double_value(&[]);
    let difference = difference.double_value(&[]);
    if difference == 0.0 { 0.0 } else { difference / noise }
}

fn agrees(folder: &Path) {
    let golden = Checkpoint::open(folder.join("golden.safetensors")).unwrap();
    let inputs = Checkpoint::open(folder.join("io.safetensors")).unwrap();
    let input = |name: &str| inputs.tensor(&format!("in.{name}")).unwrap();
    let mut run = start(folder);
    let mut worst = deviation(&golden, "sigmas", &Tensor::from_slice(run.sigmas()));
    worst = worst.max(deviation(&golden, "timesteps", &Tensor::from_slice(run.timesteps())));
    let (mut x, toy_w) = (input("sample"), input("toy_w"));
    let is_matrix = toy_w.dim() == 2 && toy_w.size()[0] == toy_w.size()[1];
    for step in 0..run.timesteps().len() {
        assert_eq!(run.timestep(), Some(run.timesteps()[step]));
        let scaled = run.model_input(&x).unwrap();
        let output = if is_matrix { toy_w.matmul(&scaled) } else { &toy_w * scaled };
        let noise = run.needs_noise().then(|| input(&format!("noise.{step}")));
        x = run.step(&output, &x, noise.as_ref()).unwrap();
        worst = worst.max(deviation(&golden, &format!("sample.{step}"), &x));
    }
    println!("{}: {worst:.2} noises", folder.file_name().unwrap().display());
    assert!(worst <= NOISES, "{}: {worst} noises off", folder.display());
    assert_eq!(run.timestep(), None);
    let message = run.step(&x, &x, Some(&x)).unwrap_err().to_string();
    assert!(message.contains("all"), "{message}");
    assert!(run.model_input(&x).is_err());
}

#[test]
fn every_case_agrees() {
    musicot_diffusion::tch::set_num_threads(1);
    let mut folders: Vec<PathBuf> =
        fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("solver_"));
    folders.sort();
    assert_eq!(folders.len(), 25);
    for folder in folders {
        agrees(&folder);
    }
}

/// Reads the configuration of a case with one key set.
fn read_with(case: &str, key: &str, value: Value) -> musicot_diffusion::Result<Scheduler> {
    let dir = tempfile::tempdir().unwrap();
    let mut config: Map<String, Value> = read_json(folder(case).join("scheduler_config.json")).unwrap();
    config.insert(key.to_owned(), value);
    write_json(dir.path().join("scheduler_config.json"), &config)?;
    Scheduler::read_published(dir.path())
}

#[test]
fn what_a_file_leaves_out_is_as_diffusers_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scheduler_config.json");
    for (class, expected) in [
        ("CosineDPMSolverMultistepScheduler", Scheduler::Multistep(MultistepConfig::cosine())),
        ("EDMDPMSolverMultistepScheduler", Scheduler::Multistep(MultistepConfig::edm())),
        ("FlowMatchEulerDiscreteScheduler", Scheduler::Flow(FlowConfig::default())),
    ] {
        write_json(&path, &json!({"_class_name": class, "_diffusers_version": "0.42.1"})).unwrap();
        assert_eq!(Scheduler::read_published(&path).unwrap(), expected);
    }
    for case in ["cosine", "edm", "flow"] {
        // The files name every key, with the same values.
        let whole = Scheduler::read_published(folder(case)).unwrap();
        let Scheduler::Multistep(config) = whole else { continue };
        let usual = if case == "cosine" { MultistepConfig::cosine() } else { MultistepConfig::edm() };
        assert_eq!(config, usual);
        assert_eq!(config.time_map, if case == "cosine" { TimeMap::Angle } else { TimeMap::Logarithm });
    }
}

#[test]
fn names_that_diffusers_takes_for_others_are_taken_so_too() {
    let edm = Scheduler::Multistep(MultistepConfig::edm());
    assert_eq!(read_with("edm", "algorithm_type", json!("deis")).unwrap(), edm);
    for name in ["logrho", "bh1", "bh2"] {
        assert_eq!(read_with("edm", "solver_type", json!(name)).unwrap(), edm);
    }
}

#[test]
fn what_is_not_supported_is_named() {
    for (case, key, value) in [
        ("cosine", "_class_name", json!("DDIMScheduler")),
        ("cosine", "prediction_type", json!("sample")),
        ("cosine", "solver_order", json!(3)),
        ("cosine", "sigma_schedule", json!("linear")),
        ("cosine", "algorithm_type", json!("dpmsolver++")),
        ("cosine", "sigma_min", json!(0.0)),
        ("cosine", "sigma_max", json!(0.1)),
        ("cosine", "new_key", json!(1)),
        ("edm", "prediction_type", json!("sample")),
        ("edm", "thresholding", json!(true)),
        ("edm", "algorithm_type", json!("dpmsolver")),
        ("edm", "solver_type", json!("rk4")),
        ("edm", "solver_order", json!(4)),
        ("edm_sde", "solver_order", json!(3)),
        ("edm", "final_sigmas_type", json!("one")),
        ("edm", "sigma_data", json!(-1.0)),
        ("edm", "rho", json!(1e300)),
        ("edm", "sigma_max", json!(1e300)),
        ("edm", "sigma_min", json!(1e-300)),
        ("flow", "use_beta_sigmas", json!(true)),
        ("flow_karras", "use_exponential_sigmas", json!(true)),
        ("flow", "time_shift_type", json!("cubic")),
        ("flow", "shift", json!(0.0)),
        ("flow", "shift_terminal", json!(1.5)),
        ("flow", "num_train_timesteps", json!(0)),
        ("flow", "sigma_min", json!(0.1)),
    ] {
        let message = read_with(case, key, value.clone()).unwrap_err().to_string();
        let named = message.contains(key) || message.contains(value.as_str().unwrap_or(key));
        assert!(named, "{case} {key} {value}: {message}");
    }
}

#[test]
fn options_and_tensors_are_checked() {
    let read = |case: &str| Scheduler::read_published(folder(case)).unwrap();
    let options = |steps, mu, sigmas| SchedulerOptions { steps, mu, sigmas };
    for (case, options, culprit) in [
        ("edm", options(0, None, None), "steps"),
        ("edm", options(usize::MAX, None, None), "steps"),
        ("edm", options(2, None, Some(vec![2.0, 1.0])), "sigmas"),
        ("flow_dynamic", options(2, None, None), "mu"),
        ("flow_dynamic", options(2, Some(f64::NAN), None), "mu"),
        ("flow", options(3, None, Some(vec![1.0, 0.5])), "sigmas"),
        ("flow", options(2, None, Some(vec![1.0, f64::NAN])), "sigmas"),
        ("flow_exponential", options(2, None, Some(vec![1.0, 0.0])), "sigmas"),
    ] {
        let message = read(case).start(&options).unwrap_err().to_string();
        assert!(message.contains(culprit), "{case}: {message}");
    }
    let tiny = Scheduler::Multistep(MultistepConfig { rho: 1e-30, ..MultistepConfig::edm() });
    let message = tiny.start(&options(3, None, None)).unwrap_err().to_string();
    assert!(message.contains("rho"), "{message}");
    let mut run = start(&folder("cosine"));
    let x = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
    for (output, sample, noise, culprit) in [
        (&x, &x, None, "noise"),
        (&x.narrow(1, 0, 2), &x, Some(&x), "output"),
        (&x, &x.to_kind(Kind::Int64), Some(&x), "sample"),
    ] {
        let message = run.step(output, sample, noise).unwrap_err().to_string();
        assert!(message.contains(culprit), "{message}");
    }
    // A refused step was not taken.
    assert_eq!(run.timestep(), Some(run.timesteps()[0]));
    assert_eq!(run.step(&x, &x, Some(&x)).unwrap(), x);
    let other = x.narrow(0, 0, 1);
    let message = run.step(&other, &other, Some(&other)).unwrap_err().to_string();
    assert!(message.contains("sample"), "{message}");
}

/// A last step to the level it starts from leaves the noise of rounding, not a number that is none.
#[test]
fn a_step_that_goes_nowhere_stays_finite() {
    for sigma_min in [0.3, 0.35, 0.4, 0.45, 0.5] {
        let config = MultistepConfig {
            sigma_min,
            final_sigmas_type: musicot_diffusion::scheduler::FinalSigma::SigmaMin,
            ..MultistepConfig::cosine()
        };
        let mut run =
            Scheduler::Multistep(config).start(&SchedulerOptions { steps: 5, ..Default::default() }).unwrap();
        let noise = Tensor::from_slice(&[0.5_f32, -1.0]);
        let mut x = &noise * 500.0;
        while run.timestep().is_some() {
            x = run.step(&run.model_input(&x).unwrap(), &x, Some(&noise)).unwrap();
        }
        assert!(tensor::to_vec(&x).unwrap().iter().all(|value| value.is_finite()), "{sigma_min}");
    }
}

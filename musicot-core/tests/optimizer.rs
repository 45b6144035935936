//! The optimiser against a slow one in f64.
#![cfg(feature = "train")]
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::tensor::to_vec;
use musicot_core::train::{AdamW, TrainConfig};
use musicot_core::{CounterRng, Error, Init, ParamStore};

const SHAPES: [(&str, &[i64], bool); 4] =
    [("matrix", &[3, 2], true), ("vector", &[4], false), ("gain", &[3, 1, 1], false), ("scalar", &[], false)];

/// A parameter as the paper updates it.
struct Slow {
    values: Vec<f64>,
    mean: Vec<f64>,
    square: Vec<f64>,
    average: Vec<f64>,
    is_decayed: bool,
}

impl Slow {
    fn new(tensor: &Tensor, is_decayed: bool) -> Self {
        let values: Vec<f64> = to_vec(tensor).unwrap().into_iter().map(f64::from).collect();
        let zeros = vec![0.0; values.len()];
        Self { average: values.clone(), values, mean: zeros.clone(), square: zeros, is_decayed }
    }

    fn step(&mut self, gradient: &[f64], config: &TrainConfig, step: u64) {
        let (rate, count) = (config.learning_rate_at(step), step as i32 + 1);
        let decay = config.ema_decay.min((1.0 + step as f64) / (10.0 + step as f64));
        for (i, g) in gradient.iter().enumerate() {
            self.mean[i] = config.beta1 * self.mean[i] + (1.0 - config.beta1) * g;
            self.square[i] = config.beta2 * self.square[i] + (1.0 - config.beta2) * g * g;
            let mean = self.mean[i] / (1.0 - config.beta1.powi(count));
            let square = self.square[i] / (1.0 - config.beta2.powi(count));
            if self.is_decayed {
                self.values[i] -= rate * config.weight_decay * self.values[i];
            }
            self.values[i] -= rate * mean / (square.sqrt() + 1e-8);
            self.average[i] = decay * self.average[i] + (1.0 - decay) * self.values[i];
        }
    }
}

/// Gradients of `sum(p * c)` are the `c`: any numbers can be tried.
fn coefficients(name: &str, step: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(77).stage(name).normal(step, shape, Device::Cpu).unwrap() * (1.0 + step as f64)
}

#[test]
fn twenty_steps_are_those_of_the_paper() {
    let config = TrainConfig {
        steps: 20,
        accumulate: 2,
        learning_rate: 0.05,
        warmup_steps: 3,
        weight_decay: 0.3,
        clip_norm: 40.0,
        ema_decay: 0.7,
        ..TrainConfig::default()
    };
    let store = ParamStore::new(Device::Cpu, 2);
    let params: Vec<Tensor> = SHAPES
        .iter()
        .map(|(name, shape, _)| store.root().param(name, shape, Init::Normal(1.0)).unwrap())
        .collect();
    let unused = store.root().param("unused", &[2, 2], Init::Normal(1.0)).unwrap();
    let mut slow: Vec<Slow> = params.iter().zip(SHAPES).map(|(p, (_, _, d))| Slow::new(p, d)).collect();
    let mut idle = Slow::new(&unused, true);
    let mut optimizer = AdamW::new(&store, true).unwrap();
    assert_eq!(optimizer.names(), ["matrix", "unused", "gain", "scalar", "vector"]);

    let mut clipped = 0;
    for step in 0..20 {
        optimizer.zero_grad();
        // Two micro-batches whose gradients are averaged: 1.5 c and 0.5 c.
        for share in [1.5, 0.5] {
            let terms = params.iter().zip(SHAPES);
            let loss: Tensor = terms
                .map(|(p, (name, shape, _))| (p * coefficients(name, step, shape)).sum(Kind::Float) * share)
                .sum();
            loss.backward();
        }
        let gradients: Vec<Vec<f64>> = SHAPES
            .iter()
            .map(|(name, shape, _)| {
                to_vec(&coefficients(name, step, shape)).unwrap().into_iter().map(f64::from).collect()
            })
            .collect();
        let norm = gradients.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let scale = (config.clip_norm / norm).min(1.0);
        clipped += usize::from(scale < 1.0);
        let reported = optimizer.step(&config, step).unwrap();
        assert!((reported / norm - 1.0).abs() < 1e-5, "{reported} {norm}");
        for (slow, gradient) in slow.iter_mut().zip(&gradients) {
            let gradient: Vec<f64> = gradient.iter().map(|g| g * scale).collect();
            slow.step(&gradient, &config, step);
        }
        idle.step(&[0.0; 4], &config, step);
    }
    assert!((3..18).contains(&clipped), "the test must clip some steps and not others: {clipped}");

    let compare = |optimized: &Tensor, expected: &[f64]| {
        for (o, e) in to_vec(optimized).unwrap().iter().zip(expected) {
            // Twenty steps of f32 roundings on values around one.
            assert!((f64::from(*o) - e).abs() < 2e-5, "{o} {e}");
        }
    };
    for (param, slow) in params.iter().chain([&unused]).zip(slow.iter().chain([&idle])) {
        compare(param, &slow.values);
    }
    optimizer.swap_ema().unwrap();
    for (param, slow) in params.iter().chain([&unused]).zip(slow.iter().chain([&idle])) {
        compare(param, &slow.average);
    }
    optimizer.swap_ema().unwrap();
    compare(&params[0], &slow[0].values);
}

#[test]
fn parameters_keep_shape_values_and_their_handles() {
    let store = ParamStore::new(Device::Cpu, 2);
    let handles: Vec<Tensor> = SHAPES
        .iter()
        .map(|(name, shape, _)| store.root().param(name, shape, Init::Normal(1.0)).unwrap())
        .collect();
    let empty = store.root().param("empty", &[0, 3], Init::Normal(1.0)).unwrap();
    let before: Vec<Vec<f32>> = handles.iter().map(|h| to_vec(h).unwrap()).collect();
    let mut optimizer = AdamW::new(&store, false).unwrap();
    for ((handle, before), (_, shape, _)) in handles.iter().zip(&before).zip(SHAPES) {
        assert_eq!((handle.size(), &to_vec(handle).unwrap()), (shape.to_vec(), before));
        assert!(handle.is_leaf() && handle.requires_grad());
    }
    assert_eq!(empty.size(), [0, 3]);
    // Without a gradient only the decay changes anything.
    let config =
        TrainConfig { weight_decay: 0.5, learning_rate: 1.0, warmup_steps: 0, ..TrainConfig::default() };
    assert_eq!(optimizer.step(&config, 0).unwrap(), 0.0);
    assert_eq!(to_vec(&handles[1]).unwrap(), before[1]);
    assert_eq!(to_vec(&handles[0]).unwrap(), before[0].iter().map(|v| v * 0.5).collect::<Vec<_>>());
    // Without an average, swapping does nothing.
    optimizer.swap_ema().unwrap();
    assert_eq!(to_vec(&handles[1]).unwrap(), before[1]);
}

#[test]
fn a_model_without_parameters_is_refused() {
    let store = ParamStore::new(Device::Cpu, 2);
    let _ = store.root().param("w", &[2], Init::Const(0.0)).unwrap();
    store.freeze("w");
    assert!(matches!(AdamW::new(&store, true), Err(Error::Input { .. })));
}

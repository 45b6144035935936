//! The optimiser against a slow one in f64.
#![cfg(feature = "train")]
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::tensor::to_vec;
use musicot_core::train::{Method, Optimizer, TrainConfig};
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
    let mut optimizer = Optimizer::new(&store, Method::AdamW, true).unwrap();
    assert_eq!(optimizer.names(), ["matrix", "unused", "gain", "scalar", "vector"]);

    let mut clipped = 0;
    for step in 0..20 {
        // Two micro-batches whose gradients are averaged: 1.5 c and 0.5 c.
        for share in [1.5, 0.5] {
            let terms = params.iter().zip(SHAPES);
            let loss: Tensor = terms
                .map(|(p, (name, shape, _))| (p * coefficients(name, step, shape)).sum(Kind::Float) * share)
                .sum();
            optimizer.backward(&loss).unwrap();
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
    let mut optimizer = Optimizer::new(&store, Method::AdamW, false).unwrap();
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

/// So many values that they are updated in several pieces, and a boundary between what is decayed and what is not within one of them.
#[test]
fn pieces_do_not_show() {
    let store = ParamStore::new(Device::Cpu, 2);
    let matrix = store.root().param("matrix", &[300, 1000], Init::Normal(1.0)).unwrap();
    let vector = store.root().param("vector", &[50_000], Init::Normal(1.0)).unwrap();
    let before = [&matrix, &vector].map(|param| to_vec(param).unwrap());
    let mut optimizer = Optimizer::new(&store, Method::AdamW, false).unwrap();
    let config = TrainConfig {
        weight_decay: 0.5,
        learning_rate: 0.1,
        warmup_steps: 0,
        clip_norm: 1.0,
        ..TrainConfig::default()
    };
    optimizer.backward(&(matrix.sum(Kind::Float) * 2.0 + vector.sum(Kind::Float) * 2.0)).unwrap();
    assert!(optimizer.step(&config, 0).unwrap() > 1000.0);
    for (param, (before, decay)) in [&matrix, &vector].into_iter().zip(before.iter().zip([0.95, 1.0])) {
        for (now, before) in to_vec(param).unwrap().iter().zip(before) {
            // A first step is as long as the rate, whatever the gradient.
            assert!((now - (before * decay - 0.1)).abs() < 1e-5, "{now} of {before}");
        }
    }
}

#[test]
fn losses_that_cannot_be_differentiated_are_refused() {
    let store = ParamStore::new(Device::Cpu, 2);
    let param = store.root().param("w", &[2, 2], Init::Normal(1.0)).unwrap();
    let mut optimizer = Optimizer::new(&store, Method::AdamW, false).unwrap();
    let sum = param.sum(Kind::Float);
    for loss in [sum.detach(), param.sum_dim_intlist([1].as_slice(), false, Kind::Float)] {
        assert!(matches!(optimizer.backward(&loss), Err(Error::Input { .. })));
    }
    optimizer.backward(&sum).unwrap();
}

#[test]
fn a_model_without_parameters_is_refused() {
    let store = ParamStore::new(Device::Cpu, 2);
    let _ = store.root().param("w", &[2], Init::Const(0.0)).unwrap();
    store.freeze("w");
    assert!(matches!(Optimizer::new(&store, Method::AdamW, true), Err(Error::Input { .. })));
}

/// `[rows][columns]` times `[columns][others]`.
fn product(left: &[Vec<f64>], right: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let columns = right.first().map_or(0, Vec::len);
    let cell = |row: &[f64], column: usize| row.iter().zip(right).map(|(l, r)| l * r[column]).sum();
    left.iter().map(|row| (0..columns).map(|column| cell(row, column)).collect()).collect()
}

fn transposed(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..matrix[0].len()).map(|column| matrix.iter().map(|row| row[column]).collect()).collect()
}

fn rows_of(tensor: &Tensor) -> Vec<Vec<f64>> {
    let values: Vec<f64> = to_vec(tensor).unwrap().into_iter().map(f64::from).collect();
    values.chunks(tensor.size()[1] as usize).map(<[f64]>::to_vec).collect()
}

/// Moments of 19 singular values `s` of a matrix: sums of `s^2` and of `s^4`.
fn moments(matrix: &[Vec<f64>]) -> [f64; 2] {
    let gram = product(&transposed(matrix), matrix);
    let trace = |matrix: &[Vec<f64>]| (0..matrix.len()).map(|i| matrix[i][i]).sum();
    [trace(&gram), trace(&product(&gram, &gram))]
}

#[test]
fn muon_moves_matrices_by_all_their_directions_alike() {
    // Tall, wide and twice the same shape; their gradients have singular values that lie far apart.
    let shapes: [(&str, i64, i64); 4] = [("a", 40, 19), ("b", 19, 40), ("c", 19, 40), ("d", 19, 19)];
    let config = TrainConfig {
        learning_rate: 0.01,
        warmup_steps: 0,
        weight_decay: 0.0,
        clip_norm: 0.0,
        optimizer: Method::Muon,
        ..TrainConfig::default()
    };
    let store = ParamStore::new(Device::Cpu, 4);
    let gradient = |name: &str, rows: i64, columns: i64| {
        let draw = |part: &str, shape: &[i64]| {
            CounterRng::new(5).stage(name).stage(part).normal(0, shape, Device::Cpu).unwrap()
        };
        let weak = draw("rest", &[rows, columns]) * 0.3;
        draw("left", &[rows, 1]).matmul(&draw("right", &[1, columns])) + weak
    };
    let params: Vec<Tensor> = shapes
        .iter()
        .map(|(name, rows, columns)| store.root().param(name, &[*rows, *columns], Init::Normal(1.0)).unwrap())
        .collect();
    let table = store.root().table("table", &[19, 40], Init::Normal(1.0)).unwrap();
    let before: Vec<Vec<Vec<f64>>> = params.iter().map(rows_of).collect();
    let table_before = rows_of(&table);
    let mut optimizer = Optimizer::new(&store, Method::Muon, false).unwrap();
    assert_eq!(optimizer.names(), ["d", "b", "c", "a", "table"]);
    let mut loss: Tensor = (&table * gradient("table", 19, 40)).sum(Kind::Float);
    for (param, (name, rows, columns)) in params.iter().zip(shapes) {
        loss += (param * gradient(name, rows, columns)).sum(Kind::Float);
    }
    optimizer.backward(&loss).unwrap();
    optimizer.step(&config, 0).unwrap();

    for ((param, before), (name, rows, columns)) in params.iter().zip(&before).zip(shapes) {
        let scale = 0.01 * 0.2 * (rows.max(columns) as f64).sqrt();
        let step: Vec<Vec<f64>> = rows_of(param)
            .iter()
            .zip(before)
            .map(|(now, before)| now.iter().zip(before).map(|(now, before)| (before - now) / scale).collect())
            .collect();
        // All 19 singular values are near one: so are the means of their second and fourth powers. Of the gradient, scaled to the same second
        // moment, the fourth is above three.
        let [second, fourth] = moments(&step).map(|moment| moment / 19.0);
        assert!((0.6..1.3).contains(&second) && (0.5..1.6).contains(&fourth), "{name}: {second} {fourth}");
        let own = rows_of(&gradient(name, rows, columns));
        let [second, fourth] = moments(&own).map(|moment| moment / 19.0);
        assert!(fourth / (second * second) > 3.0, "{name}: {second} {fourth}");
        // The same singular vectors: the product with the gradient's transpose is symmetric, and its trace, the sum of the gradient's singular values
        // times those of the step, is positive.
        let across = product(&transposed(&own), &step);
        let size = across.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
        for (i, row) in across.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                assert!((value - across[j][i]).abs() < 1e-3 * size, "{name}: {i} {j}");
            }
        }
        assert!((0..across.len()).map(|i| across[i][i]).sum::<f64>() > 0.0);
    }
    // A table is AdamW's: the first step is the learning rate for each value.
    for (now, before) in rows_of(&table).iter().flatten().zip(table_before.iter().flatten()) {
        assert!(((now - before).abs() - 0.01).abs() < 1e-5, "{now} {before}");
    }
}

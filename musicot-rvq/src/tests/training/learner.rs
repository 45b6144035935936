//! Codebooks that follow.

use std::collections::BTreeSet;

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{CounterRng, ParamStore};
use proptest::prelude::*;

use super::at;
use crate::tests::data::{clustered, config, ids, normal, rows};
use crate::train::{LearnConfig, Quantized, RvqLearner};
use crate::{Metric, ResidualVq, RvqConfig, VectorQuantizer};

struct Bench {
    store: ParamStore,
    rvq: ResidualVq,
    learner: RvqLearner,
}

fn bench(config: &RvqConfig, learn: &LearnConfig) -> Bench {
    let store = ParamStore::new(Device::Cpu, 0);
    let rvq = ResidualVq::new(&store.root().sub("model"), config).unwrap();
    let learner = RvqLearner::new(&rvq, &store.root().sub("learner"), learn).unwrap();
    Bench { store, rvq, learner }
}

impl Bench {
    fn step(&mut self, vectors: &Tensor, step: u64) -> (Quantized, usize) {
        let out = self.learner.forward(vectors, &at(step)).unwrap();
        (out, self.learner.update(&at(step)).unwrap())
    }

    fn buffer(&self, name: &str) -> Tensor {
        self.store.named().into_iter().find(|(n, _)| n == name).unwrap().1.copy()
    }

    fn used(&self, vectors: &Tensor) -> usize {
        ids(&self.rvq.encode(vectors).unwrap()).into_iter().collect::<BTreeSet<_>>().len()
    }
}

fn never_grows(errors: &[f64]) -> bool {
    // Means are rounded to f32: one part in a million of the first energy.
    errors.windows(2).all(|pair| pair[1] <= pair[0] + 1e-6 * errors[0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_mean_residual_never_grows_on_the_fitting_data(
        seed in 0_u64..10_000, rows in 1_i64..200, size in 1_usize..24, levels in 1_usize..6,
    ) {
        let vectors = clustered(seed, rows, 5, 7) + 3.0;
        let mut bench = bench(&config(5, levels, size), &LearnConfig::default());
        bench.learner.start(&vectors, CounterRng::new(seed)).unwrap();
        let errors = bench.rvq.error_per_level(&vectors).unwrap();
        prop_assert!(never_grows(&errors), "after the start: {errors:?}");
        for step in 0..5 {
            bench.step(&vectors, step);
        }
        bench.learner.refit(&vectors, 3).unwrap();
        let errors = bench.rvq.error_per_level(&vectors).unwrap();
        prop_assert!(never_grows(&errors), "after the refit: {errors:?}");
    }

    #[test]
    fn starts_are_functions_of_the_seed(seed in 0_u64..10_000) {
        let vectors = normal(seed, 60, 4);
        let start = |seed| {
            let mut bench = bench(&config(4, 2, 8), &LearnConfig::default());
            bench.learner.start(&vectors, CounterRng::new(seed)).unwrap();
            rows(&bench.rvq.codebooks()[1])
        };
        prop_assert_eq!(start(seed), start(seed));
        prop_assert_ne!(start(seed), start(seed + 1));
    }
}

/// k-means++ finds seven far clusters with seven codewords; a start from seven random vectors usually would not.
#[test]
fn the_start_finds_separate_clusters() {
    let vectors = clustered(3, 350, 8, 7) * 10.0;
    let mut bench = bench(&config(8, 1, 7), &LearnConfig::default());
    bench.learner.start(&vectors, CounterRng::new(5)).unwrap();
    let errors = bench.rvq.error_per_level(&vectors).unwrap();
    // Noise of a tenth: a hundredth of the energy, and a little for rounding of the estimate.
    assert!(errors[1] < 1.5 && errors[1] < 0.03 * errors[0], "{errors:?}");
}

/// One step against the definition, in f64 loops.
#[test]
fn an_update_is_the_moving_average() {
    let learn = LearnConfig { decay: 0.9, dead_below: 0.0, ..Default::default() };
    let mut bench = bench(&config(3, 1, 5), &learn);
    bench.step(&normal(1, 40, 3), 0);
    let (share, moment) = (bench.buffer("learner.layers.0.share"), bench.buffer("learner.layers.0.moment"));
    let vectors = normal(2, 30, 3);
    let (out, revived) = bench.step(&vectors, 1);
    assert_eq!(revived, 0);

    let (codes, vectors) = (ids(&out.codes), rows(&vectors));
    let (share, moment) = (rows(&share.unsqueeze(1)), rows(&moment));
    let found_share = rows(&bench.buffer("learner.layers.0.share").unsqueeze(1));
    let found_words = rows(&bench.rvq.codebooks()[0]);
    for code in 0..5 {
        let chosen: Vec<&Vec<f64>> =
            vectors.iter().zip(&codes).filter(|(_, c)| **c == code as i64).map(|(v, _)| v).collect();
        let expected_share = 0.9 * share[code][0] + 0.1 * chosen.len() as f64 / 30.0;
        assert!((found_share[code][0] - expected_share).abs() < 1e-6);
        for axis in 0..3 {
            let sum: f64 = chosen.iter().map(|v| v[axis]).sum();
            let expected = (0.9 * moment[code][axis] + 0.1 * sum / 30.0) / expected_share;
            // f32 averages of values of about 1, divided by shares of at least a hundredth.
            assert!((found_words[code][axis] - expected).abs() < 1e-4, "{code} {axis}");
        }
    }
}

/// Two micro-batches and one update are the same as both at once.
#[test]
fn micro_batches_add_up() {
    let (learn, both) = (LearnConfig { dead_below: 0.0, ..Default::default() }, normal(2, 60, 3));
    let run = |parts: &[Tensor]| {
        let mut bench = bench(&config(3, 2, 6), &learn);
        bench.learner.start(&normal(1, 50, 3), CounterRng::new(0)).unwrap();
        for part in parts {
            bench.learner.forward(part, &at(0)).unwrap();
        }
        bench.learner.update(&at(0)).unwrap();
        bench.rvq.codebooks().iter().map(rows).collect::<Vec<_>>()
    };
    let (whole, split) =
        (run(std::slice::from_ref(&both)), run(&[both.narrow(0, 0, 20), both.narrow(0, 20, 40)]));
    let pairs = whole.iter().flatten().flatten().zip(split.iter().flatten().flatten());
    // Sums in another order.
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
}

/// The data move away; the codewords left behind come back only by revival.
#[test]
fn dead_codewords_are_revived() {
    let (old, new) = (normal(1, 400, 4) * 0.1 - 20.0, clustered(2, 400, 4, 16) + 20.0);
    let used_after = |dead_below| {
        let learn = LearnConfig { decay: 0.9, dead_below, ..Default::default() };
        let mut bench = bench(&config(4, 1, 16), &learn);
        bench.step(&old, 0);
        let revived: usize = (1..100).map(|step| bench.step(&new, step).1).sum();
        (bench.used(&new), revived)
    };
    let (without, revived) = used_after(0.0);
    assert!(without <= 2 && revived == 0, "{without} codewords in use, {revived} revived");
    let (with, revived) = used_after(0.05);
    assert!(with >= 12 && revived >= 12, "{with} codewords in use, {revived} revived");
}

#[test]
fn a_revived_codeword_is_an_input_of_the_step() {
    let learn = LearnConfig { dead_below: 0.9, ..Default::default() };
    let mut bench = bench(&config(2, 1, 4), &learn);
    // Three of four vectors at one place: codewords there share one cluster, and some stay without vectors.
    let vectors = Tensor::from_slice(&[0.0_f32, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 5.0]).reshape([4, 2]);
    let (_, revived) = bench.step(&vectors, 0);
    assert!(revived > 0);
    let inputs = rows(&vectors);
    assert!(rows(&bench.rvq.codebooks()[0]).iter().all(|word| inputs.contains(word)));
}

#[test]
fn gradients_pass_straight_through() {
    let mut bench = bench(&config(3, 2, 4), &LearnConfig::default());
    bench.learner.start(&normal(1, 50, 3), CounterRng::new(0)).unwrap();
    let vectors = normal(2, 6, 3).set_requires_grad(true);
    let weights = normal(3, 6, 3);
    let out = bench.learner.forward(&vectors, &at(0)).unwrap();
    (&out.quantized * &weights).sum(Kind::Float).backward();
    assert!(vectors.grad() == weights);
    let decoded = bench.rvq.decode(&out.codes).unwrap();
    // x + (q - x) is q up to one rounding of each.
    assert!((out.quantized - decoded).abs().max().double_value(&[]) < 1e-6);
}

/// The loss is the mean over levels of mean squares, and each level's residual moves one to one with the input.
#[test]
fn commitment_pulls_towards_the_codewords() {
    let mut bench = bench(&config(3, 2, 4), &LearnConfig::default());
    bench.learner.start(&normal(1, 50, 3), CounterRng::new(0)).unwrap();
    let vectors = normal(2, 6, 3).set_requires_grad(true);
    let out = bench.learner.forward(&vectors, &at(0)).unwrap();
    out.commitment_loss.backward();
    let first = bench.rvq.decode(&out.codes.narrow(1, 0, 1)).unwrap();
    let second = bench.rvq.decode(&out.codes).unwrap();
    let (one, two) = (vectors.detach() - first, vectors.detach() - second);
    let loss = (one.square().mean(Kind::Float) + two.square().mean(Kind::Float)) / 2.0;
    assert!((out.commitment_loss.detach() - loss).abs().double_value(&[]) < 1e-6);
    let expected = (one + two) / 18.0;
    assert!((vectors.grad() - expected).abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn dropout_draws_the_number_of_levels() {
    let depths = |dropout| {
        let mut bench = bench(&config(2, 4, 3), &LearnConfig { dropout, ..Default::default() });
        let vectors = normal(1, 20, 2);
        let mut counts = [0; 4];
        for step in 0..200 {
            let (out, _) = bench.step(&vectors, step);
            counts[out.codes.size()[1] as usize - 1] += 1;
        }
        counts
    };
    assert_eq!(depths(0.0), [0, 0, 0, 200]);
    // 50 expected each, with a standard deviation of 6.
    assert!(depths(1.0).iter().all(|count| (26..=74).contains(count)), "{:?}", depths(1.0));
}

#[test]
fn unsound_batches_leave_the_codebooks_alone() {
    let mut bench = bench(&config(3, 1, 4), &LearnConfig::default());
    let poisoned = Tensor::from_slice(&[0.0_f32, f32::NAN, 1.0, 2.0, 0.0, 1.0]).reshape([2, 3]);
    bench.step(&poisoned, 0);
    assert!(!bench.learner.is_started().unwrap());
    bench.step(&normal(1, 50, 3), 1);
    let before = rows(&bench.rvq.codebooks()[0]);
    bench.step(&poisoned, 2);
    assert_eq!(rows(&bench.rvq.codebooks()[0]), before);
    assert!(bench.learner.start(&poisoned, CounterRng::new(0)).is_err());
    assert!(bench.learner.start(&normal(1, 0, 3), CounterRng::new(0)).is_err());
}

#[test]
fn cosine_codebooks_follow_directions() {
    let metric = Metric::Cosine;
    let mut bench =
        bench(&RvqConfig { metric, ..config(4, 1, 6) }, &LearnConfig { decay: 0.5, ..Default::default() });
    let centres = clustered(4, 120, 4, 6);
    for step in 0..30 {
        // Lengths differ by three orders of magnitude and must not matter.
        let lengths = normal(100 + step, 120, 1).abs() * 1000.0 + 0.1;
        bench.step(&(&centres * lengths), step);
    }
    let words = bench.rvq.codebooks()[0].norm_scalaropt_dim(2.0, [1], false);
    assert!((words - 1.0).abs().max().double_value(&[]) < 1e-5);
    let decoded = bench.rvq.decode(&bench.rvq.encode(&centres).unwrap()).unwrap();
    let cosine = Tensor::cosine_similarity(&decoded, &centres, 1, 1e-12).mean(Kind::Float).double_value(&[]);
    // Noise of a tenth on centres of length about two.
    assert!(cosine > 0.98, "{cosine}");
}

#[test]
fn settings_out_of_range_name_the_field() {
    let message = |learn: LearnConfig| learn.validate().unwrap_err().to_string();
    let base = LearnConfig::default;
    assert!(message(LearnConfig { decay: 1.0, ..base() }).contains("`decay`"));
    assert!(message(LearnConfig { dead_below: -0.1, ..base() }).contains("`dead_below`"));
    assert!(message(LearnConfig { dropout: f64::NAN, ..base() }).contains("`dropout`"));
    assert!(message(LearnConfig { start_vectors: 0, ..base() }).contains("`start_vectors`"));
}

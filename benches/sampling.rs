//! Sampling: guidance and the chain of transforms over a vocabulary of the size of models/mini.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot::core::CounterRng;
use musicot::sampling::{Guidance, Phase, PhasePolicy, Sampler, SamplingConfig};
use musicot::tch::{self, Device};

const VOCABULARY: i64 = 2048;

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let rng = CounterRng::new(1);
    let logits = rng.normal(0, &[2, VOCABULARY], Device::Cpu).unwrap();
    let guidance = Guidance::new(PhasePolicy::paper().get(Phase::Audio).guidance);
    criterion.bench_function("sampling/guidance over 2048/cpu", |b| {
        b.iter(|| guidance.combine_halves(black_box(&logits)).unwrap());
    });
    let guided = guidance.combine_halves(&logits).unwrap();
    let history = [(0..100).collect::<Vec<i64>>()];
    let full = SamplingConfig { top_p: 0.9, min_p: 0.02, repetition_penalty: 1.1, ..SamplingConfig::at(0.8) };
    for (name, config) in [
        ("temperature", SamplingConfig::at(0.8)),
        ("greedy", SamplingConfig::greedy()),
        ("all transforms", full),
    ] {
        let sampler = Sampler::new(&config).unwrap();
        criterion.bench_function(&format!("sampling/{name} over 2048/cpu"), |b| {
            b.iter(|| sampler.sample(black_box(&guided).shallow_clone(), &history, &[rng], 100).unwrap());
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

//! The diffusion transformer of tiny random weights: ten seconds of latents.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot::core::CounterRng;
use musicot::diffusion::{
    DiffusionSession, Dit, Sampler, SamplerConfig, Score, SessionConfig, SolverKind, render,
};
use musicot::tch::{self, Device, Kind, Tensor};

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let root = tempfile::tempdir().unwrap();
    let dit = Dit::load(common::tiny_bundle(root.path()).join("diffusion"), Device::Cpu).unwrap();
    let tokens = Tensor::arange(250, (Kind::Int64, Device::Cpu)).remainder(32).unsqueeze(0);
    for solver in [SolverKind::Euler, SolverKind::Heun, SolverKind::DpmSolver2M] {
        let sampler = Sampler::new(SamplerConfig { solver, steps: 4, ..SamplerConfig::default() }).unwrap();
        criterion.bench_function(&format!("diffusion/10 s in 4 steps, {solver:?}/cpu"), |b| {
            b.iter(|| {
                let score = Score { thoughts: None, text: None, streams: vec![CounterRng::new(1)] };
                let session = DiffusionSession::new(&dit, &sampler, SessionConfig::default(), score).unwrap();
                render(session, black_box(&tokens)).unwrap()
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

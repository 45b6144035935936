//! The whole pipeline of tiny random weights: a plan, and two seconds of music.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot::{Generator, Quiet, tch};

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let root = tempfile::tempdir().unwrap();
    let mut generator = Generator::from_bundle(common::tiny_bundle(root.path())).unwrap();
    let request = generator.request("calm jazz with piano").duration_secs(2.0);
    criterion.bench_function("generator/plan of 2 s/cpu", |b| {
        b.iter(|| generator.plan(black_box(&request), &mut Quiet).unwrap());
    });
    criterion.bench_function("generator/2 s of music/cpu", |b| {
        b.iter(|| generator.generate(black_box(&request), &mut Quiet).unwrap());
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

//! The residual quantiser: vectors to codes, greedily and with a beam, and back.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot::core::CounterRng;
use musicot::rvq::{RvqConfig, RvqModel, VectorQuantizer};
use musicot::tch::{self, Device};

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let root = tempfile::tempdir().unwrap();
    let tiny = RvqModel::load(common::tiny_bundle(root.path()).join("rvq"), Device::Cpu).unwrap();
    let vectors = CounterRng::new(1).normal(0, &[256, tiny.dim() as i64], Device::Cpu).unwrap();
    criterion.bench_function("rvq/encode 256 of 16 dims, 3x8/cpu", |b| {
        b.iter(|| tiny.encode(black_box(&vectors)).unwrap())
    });
    let codes = tiny.encode(&vectors).unwrap();
    criterion.bench_function("rvq/decode 256 of 16 dims, 3x8/cpu", |b| {
        b.iter(|| tiny.decode(black_box(&codes)).unwrap())
    });
    // The sizes of models/mini.
    for beam in [1, 16] {
        let config = RvqConfig { dim: 128, levels: 8, codebook_size: 128, beam, ..RvqConfig::default() };
        let rvq = RvqModel::new(&config, Device::Cpu, 2).unwrap();
        let vectors = CounterRng::new(3).normal(0, &[64, 128], Device::Cpu).unwrap();
        criterion.bench_function(&format!("rvq/encode 64 of 128 dims, 8x128, beam {beam}/cpu"), |b| {
            b.iter(|| rvq.encode(black_box(&vectors)).unwrap());
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);

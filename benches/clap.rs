//! CLAP of tiny random weights: a window of audio, and a batch of texts, to embeddings.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::CounterRng;
use musicot::tch::{self, Device};

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let root = tempfile::tempdir().unwrap();
    let clap = Clap::load(common::tiny_bundle(root.path()).join("clap"), Device::Cpu).unwrap();
    let samples = CounterRng::new(1).normal(0, &[1, clap.window_samples() as i64], Device::Cpu).unwrap();
    criterion.bench_function("clap/audio window of 10 s/cpu", |b| {
        b.iter(|| tch::no_grad(|| clap.embed_audio(black_box(&samples)).unwrap()));
    });
    let texts = ["calm piano"; 8];
    criterion.bench_function("clap/8 texts/cpu", |b| {
        b.iter(|| tch::no_grad(|| clap.embed_text(black_box(&texts)).unwrap()));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

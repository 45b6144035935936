//! The codec and the tokeniser of tiny random weights: a second of audio to latents, to sound, to tokens.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot::codec::{AudioCodec, NoteTokenizer, SemanticTokenizer, SpectralCodec};
use musicot::core::CounterRng;
use musicot::tch::{self, Device};

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let root = tempfile::tempdir().unwrap();
    let bundle = common::tiny_bundle(root.path());
    let codec = SpectralCodec::load(bundle.join("codec"), Device::Cpu).unwrap();
    let waveform = CounterRng::new(1).normal(0, &[1, 1, 48_000], Device::Cpu).unwrap() * 0.1;
    criterion.bench_function("codec/encode 1 s/cpu", |b| {
        b.iter(|| tch::no_grad(|| codec.encode(black_box(&waveform)).unwrap()))
    });
    let latents = tch::no_grad(|| codec.encode(&waveform).unwrap());
    criterion.bench_function("codec/decode 1 s/cpu", |b| {
        b.iter(|| tch::no_grad(|| codec.decode(black_box(&latents)).unwrap()))
    });
    let tokenizer = NoteTokenizer::load(bundle.join("semantic"), Device::Cpu).unwrap();
    let samples = waveform.squeeze_dim(1);
    criterion.bench_function("codec/tokenize 1 s/cpu", |b| {
        b.iter(|| tch::no_grad(|| tokenizer.tokenize(black_box(&samples)).unwrap()));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

//! The language model of tiny random weights: a plan, and a second of audio tokens.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot::lm::{AudioLength, AudioRequest, AudioSong, MusicLm, Plan, PlanRequest, PlanSong};
use musicot::sampling::PhasePolicy;
use musicot::tch::{self, Device};

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let root = tempfile::tempdir().unwrap();
    let lm = MusicLm::load(common::tiny_bundle(root.path()).join("lm"), Device::Cpu).unwrap();
    let policy = PhasePolicy::paper();
    let plan = PlanRequest { songs: vec![PlanSong::default()], windows: 3, seed: 1 };
    criterion.bench_function("lm/plan of 3 windows/cpu", |b| {
        b.iter(|| {
            lm.thoughts(black_box(&plan), &policy.thoughts)
                .unwrap()
                .map(|step| step.unwrap().codes.len())
                .sum::<usize>()
        });
    });
    let codes = ndarray::Array2::zeros((1, lm.vocab().config().levels));
    let song = AudioSong { plan: Some(Plan::new(codes, lm.vocab()).unwrap()), ..AudioSong::default() };
    let audio = AudioRequest { songs: vec![song], length: AudioLength::exact(25), seed: 1 };
    criterion.bench_function("lm/25 audio tokens/cpu", |b| {
        b.iter(|| {
            lm.audio(black_box(&audio), &policy.audio)
                .unwrap()
                .map(|step| step.unwrap().tokens.len())
                .sum::<usize>()
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

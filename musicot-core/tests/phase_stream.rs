//! Streams of samples for magnitudes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::f64::consts::TAU;

use musicot_core::dsp::{GriffinLim, Padding, PhaseStream, Stft};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{CounterRng, Error};

const RATE_HZ: f64 = 16_000.0;
const ROUNDS: GriffinLim = GriffinLim { rounds: 16, momentum: 0.99 };

/// Transforms whose hops divide their windows and such that do not, with much overlap and with none.
const TRANSFORMS: [(i64, i64); 4] = [(256, 64), (300, 52), (256, 128), (64, 64)];

/// Transforms of hardly any sample.
const TINY: [(i64, i64); 5] = [(1, 1), (2, 2), (3, 1), (5, 3), (7, 7)];

fn stft(n_fft: i64, hop: i64) -> Stft {
    Stft::new(n_fft, hop, Padding::Same, Device::Cpu).unwrap()
}

/// Magnitudes `[1, frames, bins]` of a gliding chord.
fn magnitudes(stft: &Stft, frames: i64, seed: u64) -> Tensor {
    let time = Tensor::arange(frames * stft.hop(), (Kind::Float, Device::Cpu)) / RATE_HZ;
    let base = 200.0 + 30.0 * seed as f64;
    let chord: Tensor =
        [1.0, 1.25, 1.5].iter().map(|ratio| ((&time * 20.0 + base * ratio) * &time * TAU).sin()).sum();
    let noise = CounterRng::new(seed).normal(0, &time.size(), Device::Cpu).unwrap() * 0.01;
    stft.forward(&(chord + noise).unsqueeze(0)).unwrap().abs().transpose(1, 2)
}

/// The whole stream's samples, with the magnitudes cut at every `cut` frames.
fn stream(stft: &Stft, magnitudes: &Tensor, cut: i64) -> Tensor {
    let mut stream = PhaseStream::new(stft, ROUNDS, magnitudes.size()[0] as usize).unwrap();
    let mut all: Vec<Tensor> =
        magnitudes.split(cut, 1).iter().map(|part| stream.push(part).unwrap()).collect();
    all.push(stream.finish().unwrap());
    Tensor::cat(&all, 1)
}

#[test]
fn samples_have_nearly_the_magnitudes() {
    for (n_fft, hop) in TRANSFORMS {
        let stft = stft(n_fft, hop);
        for frames in [1, 3, 57, 108, 333] {
            let wanted = magnitudes(&stft, frames, 1);
            let samples = stream(&stft, &wanted, 1000);
            assert_eq!(samples.size(), [1, frames * hop], "{n_fft} {hop}");
            let got = stft.forward(&samples).unwrap().abs().transpose(1, 2);
            let distance = (&got - &wanted).norm().double_value(&[]) / wanted.norm().double_value(&[]);
            // Without overlap any phases would do; with it, random ones miss by 0.5 and more.
            assert!(distance < 0.2, "{n_fft} {hop} {frames}: {distance}");
        }
    }
}

#[test]
fn streamed_is_whole_and_batched_is_single_with_any_threads() {
    for (n_fft, hop) in TRANSFORMS.into_iter().chain(TINY) {
        let stft = stft(n_fft, hop);
        let songs = [1, 2].map(|seed| magnitudes(&stft, 290, seed));
        tch::set_num_threads(1);
        let single = songs.each_ref().map(|song| stream(&stft, song, 1000));
        for threads in [1, 2, 3, 7] {
            tch::set_num_threads(threads);
            let batched = stream(&stft, &Tensor::cat(&songs, 0), 37);
            assert_eq!(batched, Tensor::cat(&single, 0), "{n_fft} {hop}, threads: {threads}");
        }
    }
}

#[test]
fn blocks_join_without_a_seam() {
    let stft = stft(256, 64);
    let time = Tensor::arange(64 * 450, (Kind::Float, Device::Cpu)) / RATE_HZ;
    let tone = (time * (440.0 * TAU)).sin().unsqueeze(0);
    let wanted = stft.forward(&tone).unwrap().abs().transpose(1, 2);
    let samples = stream(&stft, &wanted, 1000);
    // A sine is its own neighbour: x[n + 1] + x[n - 1] = 2 cos(w) x[n], unless a seam breaks it.
    let count = samples.size()[1] - 2;
    let middle = samples.narrow(1, 1, count);
    let around = samples.narrow(1, 0, count) + samples.narrow(1, 2, count);
    let broken = (around - middle * (2.0 * (440.0 * TAU / RATE_HZ).cos())).abs();
    assert!(broken.narrow(1, 256, count - 512).max().double_value(&[]) < 0.02);
}

#[test]
fn a_stream_is_ready_for_another_song() {
    let stft = stft(256, 64);
    let (first, second) = (magnitudes(&stft, 130, 1), magnitudes(&stft, 120, 2));
    let mut used = PhaseStream::new(&stft, ROUNDS, 1).unwrap();
    let _unused = used.push(&first).unwrap();
    let _unused = used.finish().unwrap();
    let parts = [used.push(&second).unwrap(), used.finish().unwrap()];
    assert_eq!(Tensor::cat(&parts, 1), stream(&stft, &second, 1000));
}

#[test]
fn silence_is_silent_and_nothing_is_nothing() {
    let stft = stft(256, 64);
    let silence = Tensor::zeros([2, 120, 129], (Kind::Float, Device::Cpu));
    assert_eq!(stream(&stft, &silence, 50), Tensor::zeros([2, 120 * 64], (Kind::Float, Device::Cpu)));
    let mut empty = PhaseStream::new(&stft, ROUNDS, 2).unwrap();
    assert_eq!(empty.push(&silence.narrow(1, 0, 0)).unwrap().size(), [2, 0]);
    assert_eq!(empty.finish().unwrap().size(), [2, 0]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let centred = Stft::new(256, 64, Padding::Center, Device::Cpu).unwrap();
    assert!(matches!(PhaseStream::new(&centred, ROUNDS, 1), Err(Error::Config { .. })));
    let momentum = GriffinLim { momentum: f64::NAN, ..ROUNDS };
    assert!(matches!(PhaseStream::new(&stft(256, 64), momentum, 1), Err(Error::Config { .. })));
    let mut one = PhaseStream::new(&stft(256, 64), ROUNDS, 1).unwrap();
    for shape in [[2, 5, 129], [1, 5, 128]] {
        let given = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        assert!(matches!(one.push(&given), Err(Error::Shape { .. })), "{shape:?}");
    }
}

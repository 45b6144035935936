//! Agreement with the reference implementation; the fixtures are made by `tests/reference/clap.py`.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use musicot_clap::{AudioTextEncoder, Clap};
use musicot_core::tch::{Device, Tensor, set_num_threads};
use musicot_core::{Checkpoint, tensor};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/clap")
}

fn golden(name: &str) -> Tensor {
    Checkpoint::open(folder().join("golden.safetensors")).unwrap().tensor(name).unwrap()
}

fn model() -> Clap {
    set_num_threads(1);
    Clap::load(folder(), Device::Cpu).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// Unit vectors after a dozen f32 layers whose sums are ordered differently.
const TOLERANCE: f64 = 1e-5;

#[test]
fn audio_embeddings_of_whole_and_stretched_windows() {
    let clap = model();
    for (mel, expected) in [("mel_full", "audio_full"), ("mel_short", "audio_short")] {
        let got = clap.embed_mel(&golden(mel)).unwrap();
        let difference = largest_difference(&got, &golden(expected));
        assert!(difference < TOLERANCE, "{mel}: {difference}");
    }
}

#[test]
fn text_embeddings_with_padding() {
    let texts = ["solo piano", "a calm track with guitar and soft drums", "loud"];
    let difference = largest_difference(&model().embed_text(&texts).unwrap(), &golden("text"));
    assert!(difference < TOLERANCE, "{difference}");
}

/// The reference transforms in f64: near silence, where the rounding of an f32 transform shows, decibels may differ by more.
#[test]
fn log_mel_of_the_published_front_end() {
    let clap = model();
    let samples = tensor::to_vec(&golden("samples")).unwrap();
    let window = musicot_clap::windows::repeat_pad(&samples, clap.window_samples());
    let front_end = musicot_clap::LogMel::new(&clap.config().features, 64, Device::Cpu).unwrap();
    let got = front_end.forward(&Tensor::from_slice(&window).unsqueeze(0)).unwrap().squeeze_dim(0);
    let difference = largest_difference(&got, &golden("log_mel"));
    assert!(difference < 2e-3, "{difference}");
}

#[test]
fn a_saved_model_is_the_same_model() {
    let clap = model();
    let folder = tempfile::tempdir().unwrap();
    clap.save(folder.path(), musicot_core::Storage::Native).unwrap();
    let again = Clap::load(folder.path(), Device::Cpu).unwrap();
    let mel = golden("mel_full");
    assert_eq!(again.embed_mel(&mel).unwrap(), clap.embed_mel(&mel).unwrap());
    assert_eq!(again.embed_text(&["loud"]).unwrap(), clap.embed_text(&["loud"]).unwrap());
}

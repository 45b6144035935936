//! Short real trainings: the loss falls, and a stopped run goes on to the very same weights.
#![cfg(feature = "train")]
// Helpers outside of test functions; what they expect, a test expects.
#![allow(clippy::unwrap_used)]

use std::f32::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};

use musicot_codec::train::{CodecTrainConfig, NoteTokenizerTrainConfig, train_codec, train_semantic};
use musicot_codec::{NoteTokenizerConfig, SpectralCodecConfig, WavOptions, write_wav};
use musicot_core::tch::{self, Device};
use musicot_core::train::{Observer, Silent, StepReport, Summary, TrainConfig};
use musicot_core::{AudioBuffer, CounterRng};

/// Clips of random notes with a decay, and their manifest.
fn corpus(root: &Path) -> PathBuf {
    tch::set_num_threads(1);
    let mut lines = String::new();
    for clip in 0..3 {
        let mut draws = CounterRng::new(4).at(clip);
        let mut samples = vec![0.0_f32; 16_000];
        for note in 0..8 {
            let hz = 110.0 * 2_f32.powf(draws.below(24) as f32 / 12.0);
            for (n, sample) in samples[note * 2000..].iter_mut().take(2000).enumerate() {
                *sample += 0.4 * (-(n as f32) / 800.0).exp() * (TAU * hz * n as f32 / 8000.0).sin();
            }
        }
        let audio = AudioBuffer::mono(samples, 8_000).unwrap();
        write_wav(root.join(format!("{clip}.wav")), &audio, WavOptions::default()).unwrap();
        lines += &format!("{{\"id\": \"{clip}\", \"audio\": \"{clip}.wav\", \"duration_secs\": 2.0}}\n");
    }
    let manifest = root.join("manifest.jsonl");
    fs::write(&manifest, lines).unwrap();
    manifest
}

fn optimisation(steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: 3e-3,
        warmup_steps: 3,
        ema_decay: 0.9,
        checkpoint_every: 7,
        log_every: 1,
        ..TrainConfig::default()
    }
}

/// Stops after some steps, as a kill would.
struct StopAfter(u64);

impl Observer for StopAfter {
    fn on_step(&mut self, report: &StepReport) -> bool {
        report.step < self.0
    }
}

fn losses(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64().unwrap())
        .collect()
}

/// Runs once through and once with a stop, and compares the written models byte for byte.
fn learns_and_resumes(train: impl Fn(&Path, &mut dyn Observer) -> Summary, fall: f64) {
    let root = tempfile::tempdir().unwrap();
    let (whole, parted) = (root.path().join("whole"), root.path().join("parted"));
    assert!(train(&whole, &mut Silent).finished);
    let losses = losses(&whole);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..4]), mean(&losses[losses.len() - 4..]));
    assert!(last < fall * first, "loss went from {first} to {last}");
    assert!(!train(&parted, &mut StopAfter(10)).finished);
    assert!(train(&parted, &mut Silent).finished);
    for file in ["model.safetensors", "config.json"] {
        let read = |run: &Path| fs::read(run.join("model").join(file)).unwrap();
        assert!(read(&whole) == read(&parted), "{file} differs");
    }
}

fn codec_config(manifest: PathBuf) -> CodecTrainConfig {
    CodecTrainConfig {
        model: SpectralCodecConfig {
            sample_rate_hz: 8_000,
            n_fft: 512,
            latent_n_fft: 512,
            frames_per_latent: 2,
            spectral_hop: 120,
            fine_bins: 128,
            band_width: 8,
            latent_dim: 8,
            bands_per_octave: 1.0,
            pitch_hz: 100.0,
            top_hz: 2000.0,
            dim: 24,
            hidden: 32,
            blocks: 1,
            ..SpectralCodecConfig::default()
        },
        train: optimisation(40),
        manifest: manifest.clone(),
        heldout: manifest,
        batch: 2,
        crop_latents: 20,
        ..CodecTrainConfig::default()
    }
}

#[test]
fn codec() {
    let root = tempfile::tempdir().unwrap();
    let config = codec_config(corpus(root.path()));
    learns_and_resumes(|run, observer| train_codec(&config, run, Device::Cpu, observer).unwrap(), 0.7);
}

#[test]
fn a_codec_goes_on_from_another() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (root.path().join("first"), root.path().join("second"));
    let mut config = codec_config(corpus(root.path()));
    train_codec(&config, &first, Device::Cpu, &mut Silent).unwrap();
    config.start_from = Some(first.join("model"));
    train_codec(&config, &second, Device::Cpu, &mut Silent).unwrap();
    // The same crop by the new codec and by the one that has learned.
    assert!(losses(&second)[0] < 0.8 * losses(&first)[0]);
    config.model.dim = 32;
    let error = train_codec(&config, &root.path().join("third"), Device::Cpu, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("start_from"), "{error}");
}

#[test]
fn note_tokeniser() {
    let root = tempfile::tempdir().unwrap();
    let manifest = corpus(root.path());
    let config = NoteTokenizerTrainConfig {
        model: NoteTokenizerConfig {
            sample_rate_hz: 8_000,
            hop: 320,
            pitch_window: 1024,
            semitones: 60,
            rhythm_window: 256,
            rhythm_bands: 8,
            dim: 24,
            hidden: 32,
            blocks: 1,
            code_dim: 8,
            vocabulary_size: 24,
            ..NoteTokenizerConfig::default()
        },
        train: optimisation(40),
        manifest: manifest.clone(),
        heldout: manifest,
        batch: 2,
        crop_tokens: 20,
        free_steps: 5,
        ..NoteTokenizerTrainConfig::default()
    };
    learns_and_resumes(|run, observer| train_semantic(&config, run, Device::Cpu, observer).unwrap(), 0.8);
}

#[test]
fn a_run_directory_keeps_its_configuration() {
    let root = tempfile::tempdir().unwrap();
    let manifest = corpus(root.path());
    let tiny = NoteTokenizerConfig {
        dim: 8,
        hidden: 8,
        blocks: 1,
        code_dim: 4,
        vocabulary_size: 4,
        ..Default::default()
    };
    let mut config = NoteTokenizerTrainConfig {
        model: tiny,
        train: optimisation(2),
        manifest: manifest.clone(),
        heldout: manifest,
        batch: 1,
        crop_tokens: 4,
        ..NoteTokenizerTrainConfig::default()
    };
    let run = root.path().join("run");
    train_semantic(&config, &run, Device::Cpu, &mut Silent).unwrap();
    config.chroma_weight = 2.0;
    let error = train_semantic(&config, &run, Device::Cpu, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("another configuration"), "{error}");
}

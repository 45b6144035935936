//! A short real training run: it learns, and it can be stopped and continued bit for bit.
#![cfg(feature = "train")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use musicot_clap::train::{Augmentation, ClapTrainConfig, TextInit, meaning_loss, train};
use musicot_clap::{AudioTextEncoder, Clap, ClapConfig, similarity};
use musicot_core::tch::{Device, Kind, Tensor, set_num_threads};
use musicot_core::train::{Observer, Silent, StepReport, TrainConfig};
use musicot_core::{AudioBuffer, CounterRng, Error, Result, tensor};
use serde_json::json;

const RATE: u32 = 8000;
const WINDOW: usize = 800;

/// Audio files of this test: raw f32.
fn load_audio(path: &Path) -> Result<AudioBuffer> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    AudioBuffer::mono(
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        RATE,
    )
}

/// A part of one of three plain sounds, which a small model tells apart within a few steps.
fn part(family: &str, seed: u64) -> Vec<f32> {
    let mut draws = CounterRng::new(seed).at(0);
    let pitch = 1.0 + 0.2 * draws.uniform();
    let tone = |hz: f32, i: usize| (std::f32::consts::TAU * hz * i as f32 / RATE as f32).sin();
    (0..4 * WINDOW)
        .map(|i| match family {
            "bass" => 0.3 * tone(150.0 * pitch, i),
            "flute" => 0.3 * tone(2500.0 * pitch, i),
            _ => 0.3 * draws.normal(),
        })
        .collect()
}

fn write(path: &Path, samples: &[f32]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
}

fn corpus(folder: &Path, first_seed: u64, count: u64) {
    let mut lines = Vec::new();
    for id in first_seed..first_seed + count {
        let families = [["bass", "flute"], ["bass", "drums"], ["flute", "drums"]][(id % 3) as usize];
        let parts = families.map(|family| part(family, 10 * id + family.len() as u64));
        for (family, samples) in families.iter().zip(&parts) {
            write(&folder.join(format!("{id}/{family}.f32")), samples);
        }
        let mix: Vec<f32> = parts[0].iter().zip(&parts[1]).map(|(a, b)| a + b).collect();
        write(&folder.join(format!("{id}/mix.f32")), &mix);
        let stems = families.map(|f| json!({"family": f, "program": 1, "audio": format!("{id}/{f}.f32")}));
        let caption = format!("{} with {}, number {id}", families[0], families[1]);
        lines.push(json!({"id": id.to_string(), "audio": format!("{id}/mix.f32"), "duration_secs": 0.4,
            "captions": [caption], "stems": stems,
            "sections": [{"label": "verse", "start_secs": 0.0, "end_secs": 0.2, "caption": format!("verse {id}")}]}).to_string());
    }
    std::fs::write(folder.join("manifest.jsonl"), lines.join("\n")).unwrap();
}

fn config(folder: &Path) -> ClapTrainConfig {
    set_num_threads(1);
    for (split, seed, count) in [("train", 0, 6), ("heldout", 100, 3)] {
        if !folder.join(split).exists() {
            std::fs::create_dir(folder.join(split)).unwrap();
            corpus(&folder.join(split), seed, count);
        }
    }
    let mut model = ClapConfig::mini();
    model.projection_dim = 16;
    model.features.sample_rate_hz = RATE;
    model.features.max_hz = 4000.0;
    model.features.n_fft = 256;
    model.features.hop_samples = 40;
    model.features.window_samples = WINDOW as i64;
    model.audio_config.spec_size = 32;
    model.audio_config.num_mel_bins = 16;
    model.audio_config.window_size = 4;
    model.audio_config.patch_embeds_hidden_size = 16;
    model.audio_config.depths = vec![2, 1];
    model.audio_config.num_attention_heads = vec![2, 2];
    model.audio_config.hidden_size = 32;
    ClapTrainConfig {
        model,
        train: TrainConfig {
            steps: 12,
            learning_rate: 3e-3,
            warmup_steps: 2,
            checkpoint_every: 100,
            log_every: 1,
            ema_decay: 0.5,
            ..TrainConfig::default()
        },
        train_manifest: folder.join("train/manifest.jsonl"),
        heldout_manifest: Some(folder.join("heldout/manifest.jsonl")),
        text_init: Some(TextInit {
            dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert"),
            vocab_size: 75,
            max_tokens: 32,
            ..TextInit::default()
        }),
        batch: 12,
        augmentation: Augmentation { shift_secs: 0.02, gain_db: 3.0, tilt_db: 1.0, ripple_db: 1.0 },
        validation_clips: 12,
        ..ClapTrainConfig::default()
    }
}

fn run(
    config: &ClapTrainConfig,
    dir: &Path,
    observer: &mut dyn Observer,
) -> Result<musicot_core::train::Summary> {
    train(config, dir, Device::Cpu, observer, &load_audio)
}

/// Keeps the losses; stops after some steps.
struct Losses(Vec<f64>, u64);

impl Observer for Losses {
    fn on_step(&mut self, report: &StepReport) -> bool {
        self.0.push(report.loss);
        report.step != self.1
    }
}

#[test]
fn learns_to_name_sounds_it_has_not_heard() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    // Single parts only: which recording a caption numbers takes longer to learn than what sounds in it.
    (config.train.steps, config.train.learning_rate, config.solo_share) = (80, 5e-3, 1.0);
    // The fixture's text tower is random, and frozen it tells its captions apart too poorly.
    config.freeze_text = false;
    let mut losses = Losses(Vec::new(), u64::MAX);
    let summary = run(&config, &folder.path().join("run"), &mut losses).unwrap();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses.0[..5]), mean(&losses.0[75..]));
    assert!(last < 0.7 * first, "{first} -> {last}");
    let figure = |name: &str| summary.validation.iter().find(|(n, _)| n == name).unwrap().1;
    // Three plain sounds: chance is 1/3.
    assert!(figure("family_top1") > 0.8, "{:?}", summary.validation);
    assert!(figure("mean_cosine") < 0.9);
    assert_eq!(figure("recall_pool"), 3.0);

    let clap = Clap::load(folder.path().join("run/model"), Device::Cpu).unwrap();
    let sound = Tensor::from_slice(&part("flute", 999)[..WINDOW]).unsqueeze(0);
    let (audio, text) = (
        clap.embed_audio(&sound).unwrap(),
        clap.embed_text(&["solo bass", "solo flute", "solo drums"]).unwrap(),
    );
    let scores = tensor::to_vec(&similarity::score(&audio, &text).unwrap()).unwrap();
    assert!(scores[1] > scores[0] && scores[1] > scores[2], "{scores:?}");
}

#[test]
fn a_stopped_run_continues_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let weights = |run: &str| std::fs::read(folder.path().join(run).join("model/model.safetensors")).unwrap();
    run(&config, &folder.path().join("whole"), &mut Silent).unwrap();
    let dir = folder.path().join("stopped");
    let stopped = run(&config, &dir, &mut Losses(Vec::new(), 5)).unwrap();
    assert_eq!((stopped.steps_done, stopped.finished), (5, false));
    assert!(!dir.join("model").exists());
    let summary = run(&config, &dir, &mut Silent).unwrap();
    assert!(summary.finished);
    assert!(weights("whole") == weights("stopped"));
    // The frozen text tower is the one the run started from; the audio side is not.
    let (start, end) = (
        Clap::load(dir.join("init"), Device::Cpu).unwrap(),
        Clap::load(dir.join("model"), Device::Cpu).unwrap(),
    );
    let pooled = |clap: &Clap| clap.pooled_text(&["slow drums"]).unwrap();
    assert_eq!(pooled(&start), pooled(&end));
    let silence = Tensor::zeros([1, WINDOW as i64], (Kind::Float, Device::Cpu));
    assert_ne!(start.embed_audio(&silence).unwrap(), end.embed_audio(&silence).unwrap());
}

#[test]
fn text_tower_trains_when_it_is_not_frozen_and_starts_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    (config.text_init, config.freeze_text, config.train.steps, config.heldout_manifest) =
        (None, false, 2, None);
    config.model.text_config.vocab_size = 160;
    config.model.text_config.num_hidden_layers = 1;
    let dir = folder.path().join("run");
    run(&config, &dir, &mut Silent).unwrap();
    let (start, end) = (
        Clap::load(dir.join("init"), Device::Cpu).unwrap(),
        Clap::load(dir.join("model"), Device::Cpu).unwrap(),
    );
    assert_ne!(start.pooled_text(&["slow"]).unwrap(), end.pooled_text(&["slow"]).unwrap());
}

#[test]
fn the_text_side_of_a_trained_model_learns_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.train.steps = 2;
    run(&config, &folder.path().join("first"), &mut Silent).unwrap();
    let first = folder.path().join("first/model");
    (config.start_from, config.freeze_audio, config.meaning_weight) = (Some(first.clone()), true, 30.0);
    config.train.steps = 40;
    config.text_init.as_mut().unwrap().vocab_size = 0;
    let dir = folder.path().join("second");
    run(&config, &dir, &mut Silent).unwrap();
    let (first, second) =
        (Clap::load(first, Device::Cpu).unwrap(), Clap::load(dir.join("model"), Device::Cpu).unwrap());
    let sound = Tensor::from_slice(&part("flute", 999)[..WINDOW]).unsqueeze(0);
    assert_eq!(first.embed_audio(&sound).unwrap(), second.embed_audio(&sound).unwrap());
    assert!(second.tokenizer().vocab_size() > first.tokenizer().vocab_size());
    // Texts are as far apart as the text tower has them, more so than they were.
    let texts = ["calm music", "slow drums", "solo piano", "a loud bass plays"];
    let distortion = |clap: &Clap| {
        let pooled = clap.pooled_text(&texts).unwrap();
        meaning_loss(&clap.embed_text(&texts).unwrap(), &pooled).unwrap().double_value(&[])
    };
    let (before, after) = (distortion(&first), distortion(&second));
    assert!(after < 0.7 * before, "{before} -> {after}");

    config.model.projection_dim = 8;
    let error = run(&config, &folder.path().join("other"), &mut Silent).unwrap_err().to_string();
    assert!(error.contains("start_from"), "{error}");
}

#[test]
fn the_cache_follows_the_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    (config.train.steps, config.heldout_manifest, config.cache) =
        (1, None, Some(folder.path().join("cache")));
    run(&config, &folder.path().join("a"), &mut Silent).unwrap();
    let index = folder.path().join("cache/train/model.safetensors.index.json");
    let made = std::fs::metadata(&index).unwrap().modified().unwrap();
    let again = |name: &str| {
        let count = std::cell::Cell::new(0);
        let counting = |path: &Path| {
            count.set(count.get() + 1);
            load_audio(path)
        };
        train(&config, &folder.path().join(name), Device::Cpu, &mut Silent, &counting).unwrap();
        count.get()
    };
    assert_eq!(again("b"), 0);
    assert_eq!(std::fs::metadata(&index).unwrap().modified().unwrap(), made);
    write(&folder.path().join("train/0/mix.f32"), &part("bass", 7)[..2 * WINDOW]);
    assert_eq!(again("c"), 18);
}

#[test]
fn bad_corpora_and_settings_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let good = config(folder.path());
    let fails = |change: &dyn Fn(&mut ClapTrainConfig)| {
        let mut config = good.clone();
        change(&mut config);
        run(&config, &folder.path().join("bad"), &mut Silent).unwrap_err().to_string()
    };
    assert!(fails(&|c| c.batch = 1).contains("batch"));
    assert!(fails(&|c| c.solo_share = 2.0).contains("solo_share"));
    assert!(fails(&|c| c.augmentation.gain_db = f64::NAN).contains("gain_db"));
    assert!(fails(&|c| c.meaning_weight = f64::NAN).contains("meaning_weight"));
    assert!(fails(&|c| (c.meaning_weight, c.freeze_text) = (1.0, false)).contains("meaning_weight"));
    assert!(fails(&|c| c.freeze_audio = true).contains("freeze_audio"));
    std::fs::remove_dir_all(folder.path().join("bad")).ok();
    assert!(fails(&|c| c.train_manifest = "nothing.jsonl".into()).contains("nothing.jsonl"));
    std::fs::remove_dir_all(folder.path().join("bad")).ok();
    assert!(fails(&|c| c.silence_db = 1000.0).contains("silent"));
    std::fs::remove_dir_all(folder.path().join("bad")).ok();
    assert!(fails(&|c| c.model.features.sample_rate_hz = 8001).contains("8001 Hz"));
    let broken = folder.path().join("train/1/bass.f32");
    write(&broken, &[f32::NAN; 2 * WINDOW]);
    std::fs::remove_dir_all(folder.path().join("bad")).ok();
    assert!(fails(&|_| ()).contains("bass.f32"));
}

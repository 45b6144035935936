//! The trainer on a corpus of a few lines.

use std::path::Path;

use musicot_core::CounterRng;
use musicot_core::tch::{Device, set_num_threads};
use musicot_core::train::{Observer, Precision, Silent, StepReport, TrainConfig};
use ndarray::{Array2, Axis};

use super::{clap, tiny_config};
use crate::train::{
    Given, LmTask, LmTrainConfig, NllConfig, PlanSource, TimedSection, TimedText, TokenDataset, TokenInfo,
    TokenPiece, audio_nll_per_piece, thought_nll_per_piece, train, train_tokenizer,
};
use crate::{AudioToken, MusicLm, MusicLmConfig, PlanMode, Tags};

/// Pieces in which each window's first code says which token is repeated in it: only the plan knows.
fn dataset(pieces: usize, seed: u64) -> TokenDataset {
    let mut draws = CounterRng::new(seed).at(0);
    let mut piece = |number: usize| {
        let windows = 3 + number % 2;
        let thoughts = Array2::from_shape_fn((windows, 3), |_| draws.below(7) as i64);
        let audio = (0..windows * 4).map(|n| AudioToken(thoughts[[n / 4, 0]] as u32)).collect();
        TokenPiece {
            id: format!("piece {number}"),
            audio,
            thoughts,
            audio_clap: clap(number as u64),
            text_clap: Array2::from_shape_fn((2, 5), |(row, column)| clap(100 + row as u64)[column]),
            tags: Tags { tempo_bpm: Some(90.0), key: Some("D minor".parse().unwrap()), ..Default::default() },
            lyrics: vec![TimedText { start_secs: 1.0, text: "la la land".to_owned() }],
            sections: vec![TimedSection { label: "verse".to_owned(), start_secs: 0.0, end_secs: 7.0 }],
        }
    };
    let pieces = (0..pieces).map(&mut piece).collect();
    TokenDataset::new(TokenInfo::of(&tiny_config()), pieces).unwrap()
}

fn config(dir: &Path, steps: u64) -> LmTrainConfig {
    LmTrainConfig {
        model: tiny_config(),
        train: TrainConfig {
            steps,
            learning_rate: 1e-2,
            warmup_steps: 5,
            checkpoint_every: 10,
            log_every: 5,
            ema_decay: 0.9,
            ..Default::default()
        },
        data: dir.join("train"),
        validation: Some(dir.join("valid")),
        batch: 4,
        min_windows: 1,
        max_windows: 3,
        validation_pieces: 6,
        ..Default::default()
    }
}

fn prepared() -> tempfile::TempDir {
    set_num_threads(1);
    let folder = tempfile::tempdir().unwrap();
    dataset(24, 1).write(folder.path().join("train")).unwrap();
    dataset(8, 2).write(folder.path().join("valid")).unwrap();
    folder
}

#[test]
fn training_learns_to_follow_the_plan() {
    learns_to_follow_the_plan(Precision::F32);
}

#[test]
fn training_in_mixed_precision_learns_it_too() {
    learns_to_follow_the_plan(Precision::Bf16);
}

fn learns_to_follow_the_plan(precision: Precision) {
    let folder = prepared();
    let mut config = config(folder.path(), 150);
    config.train.precision = precision;
    let valid = TokenDataset::read(folder.path().join("valid")).unwrap();
    let untrained = MusicLm::new(config.model.clone(), Device::Cpu, 0).unwrap();
    let measure = |model: &MusicLm, plan| {
        let found =
            audio_nll_per_piece(model, &valid, plan, &NllConfig { max_windows: 3, ..Default::default() })
                .unwrap();
        assert_eq!(found.len(), 8);
        found.iter().sum::<f64>() / 8.0
    };
    let before = measure(&untrained, PlanSource::Right);
    let run = folder.path().join("run");
    let summary = train(&config, &run, Device::Cpu, &mut Silent).unwrap();
    assert!(summary.finished);
    let model = MusicLm::load(run.join("model"), Device::Cpu).unwrap();
    let right = measure(&model, PlanSource::Right);
    // 13 tokens: an untrained model knows ln 14, a trained one finds the repeated token in the plan.
    assert!(right < 0.7 * before, "{before} to {right}");
    assert!(right < measure(&model, PlanSource::Other) - 0.2, "another piece's plan is worse");
    assert!(right < measure(&model, PlanSource::None) - 0.2, "no plan is worse");
    assert!(model.tokenizer().is_some(), "the corpus has lyrics");
    assert!(summary.validation.iter().any(|(name, _)| name == "audio_loss_other_plan"));
    let thoughts = thought_nll_per_piece(&model, &valid, &NllConfig::default()).unwrap();
    assert!(thoughts.iter().all(|nll| nll.is_finite()));
}

/// All parameters of the first model are taken over; those that it lacks are new. A model that lacks one of its parameters is refused.
#[test]
fn training_goes_on_from_another_model() {
    let folder = prepared();
    let data = || TokenDataset::read(folder.path().join("train")).unwrap();
    let first = MusicLm::new(tiny_config(), Device::Cpu, 5).unwrap();
    first.save(folder.path().join("first"), musicot_core::Storage::Native).unwrap();
    let mut config = config(folder.path(), 1);
    config.start_from = Some(folder.path().join("first"));
    config.model.end_clock = true;
    let task = LmTask::new(config.clone(), data(), None, None, Device::Cpu).unwrap();
    let taken: std::collections::BTreeMap<_, _> = task.model().params().named().into_iter().collect();
    for (name, tensor) in first.params().named() {
        assert!(taken[&name].equal(&tensor), "{name}");
    }
    assert_eq!(taken.len(), first.params().named().len() + 1);
    task.into_model().save(folder.path().join("first"), musicot_core::Storage::Native).unwrap();
    config.model.end_clock = false;
    let error = LmTask::new(config, data(), None, None, Device::Cpu).err().unwrap().to_string();
    assert!(error.contains("start_from") && error.contains("end_proj"), "{error}");
}

#[test]
fn what_is_not_given_is_not_seen() {
    let data = dataset(4, 6);
    // The same pieces under other descriptions.
    let changed = |change: fn(&mut TokenPiece)| {
        let pieces = data.pieces().iter().cloned().map(|mut piece| {
            change(&mut piece);
            piece
        });
        TokenDataset::new(data.info().clone(), pieces.collect()).unwrap()
    };
    let untagged = changed(|piece| piece.tags = Tags::default());
    let reworded = changed(|piece| piece.text_clap.mapv_inplace(|x| -x));
    let model = MusicLm::new(tiny_config(), Device::Cpu, 3).unwrap();
    let nll = |data: &TokenDataset, given| {
        let config = NllConfig { given, ..NllConfig::default() };
        audio_nll_per_piece(&model, data, PlanSource::Right, &config).unwrap()
    };
    for (given, tags_are_seen, words_are_seen) in
        [(Given::All, true, true), (Given::Embedding, false, true), (Given::Nothing, false, false)]
    {
        assert_eq!(nll(&data, given) != nll(&untagged, given), tags_are_seen, "{given:?}");
        assert_eq!(nll(&data, given) != nll(&reworded, given), words_are_seen, "{given:?}");
    }
}

struct StopAt(u64);

impl Observer for StopAt {
    fn on_step(&mut self, report: &StepReport) -> bool {
        report.step < self.0
    }
}

#[test]
fn a_stopped_run_continues_bit_for_bit() {
    for precision in [Precision::F32, Precision::Bf16] {
        continues_bit_for_bit(precision);
    }
}

fn continues_bit_for_bit(precision: Precision) {
    let folder = prepared();
    let mut config = config(folder.path(), 24);
    config.train.precision = precision;
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    train(&config, &whole, Device::Cpu, &mut Silent).unwrap();
    assert!(!train(&config, &parts, Device::Cpu, &mut StopAt(13)).unwrap().finished);
    assert!(train(&config, &parts, Device::Cpu, &mut Silent).unwrap().finished);
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let read = |run: &Path| std::fs::read(run.join("model").join(file)).unwrap();
        assert!(read(&whole) == read(&parts), "{file} differs");
    }
}

#[test]
fn a_model_without_a_plan_trains_too() {
    let folder = prepared();
    let mut config = config(folder.path(), 30);
    config.model.plan = PlanMode::None;
    let summary = train(&config, &folder.path().join("run"), Device::Cpu, &mut Silent).unwrap();
    assert_eq!(summary.validation.len(), 1);
    let model = MusicLm::load(folder.path().join("run/model"), Device::Cpu).unwrap();
    assert!(audio_nll_per_piece(&model, &dataset(2, 2), PlanSource::Right, &NllConfig::default()).is_err());
    assert!(audio_nll_per_piece(&model, &dataset(2, 2), PlanSource::None, &NllConfig::default()).is_ok());
}

#[test]
fn a_dataset_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut pieces = dataset(3, 5).pieces().to_vec();
    pieces[1].text_clap = Array2::zeros((0, 5));
    pieces[1].tags = Tags::default();
    let data = TokenDataset::new(TokenInfo::of(&tiny_config()), pieces).unwrap();
    data.write(folder.path()).unwrap();
    assert_eq!(TokenDataset::read(folder.path()).unwrap(), data);
}

#[test]
fn bad_datasets_are_refused_by_name() {
    let info = TokenInfo::of(&tiny_config());
    let broken = |change: fn(&mut TokenPiece)| {
        let mut pieces = dataset(2, 5).pieces().to_vec();
        change(&mut pieces[1]);
        TokenDataset::new(info.clone(), pieces).unwrap_err().to_string()
    };
    assert!(broken(|p| p.audio[3] = AudioToken(13)).contains("piece 1"));
    assert!(broken(|p| p.thoughts[[0, 0]] = 7).contains("codes"));
    assert!(broken(|p| p.audio.truncate(2)).contains("windows"));
    assert!(broken(|p| p.audio_clap *= 3.0).contains("unit length"));
    assert!(broken(|p| p.audio_clap[0] = f32::NAN).contains("unit length"));
    assert!(broken(|p| p.thoughts.remove_index(Axis(1), 0)).contains("levels"));
    assert!(broken(|p| p.lyrics[0].start_secs = f64::NAN).contains("finite"));
    assert!(TokenDataset::new(info.clone(), Vec::new()).is_err());

    let folder = tempfile::tempdir().unwrap();
    dataset(2, 5).write(folder.path()).unwrap();
    let (lines, tensors) = (folder.path().join("pieces.jsonl"), folder.path().join("tensors.safetensors"));
    let (good_lines, good_tensors) =
        (std::fs::read_to_string(&lines).unwrap(), std::fs::read(&tensors).unwrap());
    let message = || TokenDataset::read(folder.path()).unwrap_err().to_string();
    std::fs::write(&lines, good_lines.replace("\"tokens\":12", "\"tokens\":18446744073709551615")).unwrap();
    assert!(message().contains("audio"), "{}", message());
    std::fs::write(&lines, good_lines.lines().next().unwrap()).unwrap();
    assert!(message().contains("tensor"), "{}", message());
    std::fs::write(&lines, "{}").unwrap();
    assert!(message().contains("line 1"), "{}", message());
    std::fs::write(&lines, &good_lines).unwrap();
    std::fs::write(&tensors, &good_tensors[..good_tensors.len() / 2]).unwrap();
    assert!(message().contains("tensors.safetensors"), "{}", message());
    std::fs::remove_file(folder.path().join("dataset.json")).unwrap();
    assert!(message().contains("dataset.json"), "{}", message());
}

#[test]
fn data_of_other_sizes_is_refused() {
    let folder = prepared();
    let mut config = config(folder.path(), 3);
    config.model.token_rate_hz = 2.0;
    let message =
        train(&config, &folder.path().join("run"), Device::Cpu, &mut Silent).unwrap_err().to_string();
    assert!(message.contains("window_tokens"), "{message}");
}

#[test]
fn settings_out_of_range_are_named() {
    let broken = |change: fn(&mut LmTrainConfig)| {
        let mut config = config(Path::new("."), 3);
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    assert!(broken(|c| c.batch = 0).contains("batch"));
    assert!(broken(|c| c.max_windows = 5).contains("max_windows"));
    assert!(broken(|c| c.drop.each = 1.5).contains("drop.each"));
    assert!(broken(|c| c.audio_loss = f64::NAN).contains("audio_loss"));
    let text = serde_json::to_string(&LmTrainConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<LmTrainConfig>(&text).unwrap(), LmTrainConfig::default());
}

#[test]
fn lyrics_are_cut_at_whole_words_and_any_text_is_known() {
    let tokenizer = train_tokenizer(["la la land of stars"].into_iter(), 300).unwrap();
    assert!(tokenizer.vocab_size() <= 300);
    let (all, rest) = tokenizer.encode("la la land", 100).unwrap();
    assert!(!all.is_empty() && rest.is_empty());
    let (some, rest) = tokenizer.encode("la la land", all.len() - 1).unwrap();
    assert!(some.len() < all.len() && all.starts_with(&some));
    assert_eq!(rest, "land");
    assert!(!tokenizer.encode("🎵 Größe 漢字", 100).unwrap().0.is_empty());
    let huge = "na".repeat(1_000_000);
    assert_eq!(tokenizer.encode(&huge, 100).unwrap(), (vec![], huge.clone()));
    assert!(train_tokenizer(["x"].into_iter(), 255).is_err());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    tokenizer.save(&path).unwrap();
    let again = crate::LyricTokenizer::load(&path).unwrap();
    assert_eq!(again.encode("la stars", 9).unwrap(), tokenizer.encode("la stars", 9).unwrap());
    let mut model = MusicLm::new(tiny_config(), Device::Cpu, 0).unwrap();
    model.set_tokenizer(again).unwrap();
    let conditions = crate::Conditions { lyrics: "la ".repeat(50), ..Default::default() };
    let report = model.check_conditions(&conditions).unwrap();
    assert!(!report.cut_lyrics.is_empty());
}

#[test]
fn tasks_can_be_sent_and_losses_repeat() {
    fn is_send<T: Send>(_: &T) {}
    set_num_threads(1);
    let small = MusicLmConfig { ..tiny_config() };
    let config = LmTrainConfig { model: small, max_windows: 3, ..Default::default() };
    let mut task = LmTask::new(config, dataset(4, 1), None, None, Device::Cpu).unwrap();
    is_send(&task);
    let at = musicot_core::train::Position { step: 3, micro: 0, accumulate: 1, rng: CounterRng::new(1) };
    let mut loss = || {
        let step = musicot_core::train::Task::loss(&mut task, &at).unwrap();
        step.loss.double_value(&[])
    };
    assert_eq!(loss(), loss());
}

/// The committed recipe is a configuration of this crate.
#[test]
fn the_recipe_is_valid() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    if !models.is_dir() {
        return; // A published package has no models beside it.
    }
    let recipe: LmTrainConfig = musicot_core::files::read_json(models.join("recipe/lm.json")).unwrap();
    recipe.validate().unwrap();
}

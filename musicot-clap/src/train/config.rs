//! Settings of a training run.

use std::path::{Path, PathBuf};

use musicot_core::train::TrainConfig;
use musicot_core::{Error, Result, Storage};
use serde::{Deserialize, Serialize};

use crate::config::{ClapConfig, Pooling};

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClapTrainConfig {
    /// Sizes. With `text_init`, `text_config` comes from there.
    pub model: ClapConfig,
    /// Steps, rates, seed.
    pub train: TrainConfig,
    /// Manifest of the recordings to train on.
    pub train_manifest: PathBuf,
    /// Manifest of recordings to validate on.
    pub heldout_manifest: Option<PathBuf>,
    /// Folder of the log-mel files; within the run directory by default.
    pub cache: Option<PathBuf>,
    /// A published encoder the text tower starts from; random weights and a spelling tokenizer without it.
    pub text_init: Option<TextInit>,
    /// Folder of a trained model of the same sizes that this run goes on from; its text tower gives way to that of `text_init`, where there is one.
    pub start_from: Option<PathBuf>,
    /// Whether the text tower stays as it starts (its projection is trained always).
    pub freeze_text: bool,
    /// Whether the audio tower and its projection stay as they start. Every window is then embedded once, without augmentation, and
    /// thousands of steps of the text's side cost minutes.
    pub freeze_audio: bool,
    /// Weight of [`super::meaning_loss`] on short spans of captions, for a frozen text tower: what it knows of words of which the audio says
    /// little, such as moods, is kept.
    pub meaning_weight: f64,
    /// Pairs in a micro-batch.
    pub batch: usize,
    /// Share of single parts among them.
    pub solo_share: f64,
    /// Windows below this level (decibels of mel power summed over the bands, mean over the window; about 40 above the level of the samples)
    /// count as silent.
    pub silence_db: f64,
    /// Parts this far below the whole recording's window are not named in composed captions.
    pub audible_db: f64,
    /// Random changes of the audio.
    pub augmentation: Augmentation,
    /// Most clips of each kind in a validation.
    pub validation_clips: usize,
    /// Element type of the finished model on disk.
    pub storage: Storage,
}

/// Random changes of the audio, each uniform within plus or minus the given size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Shift of the window's start.
    pub shift_secs: f64,
    /// Gain.
    pub gain_db: f64,
    /// Gain at the highest band against the lowest (twice this apart), linear in between.
    pub tilt_db: f64,
    /// Size of a slow ripple over the bands, up to two periods.
    pub ripple_db: f64,
}

/// Where the text tower starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextInit {
    /// Folder with `config.json`, `model.safetensors` and `tokenizer.json` of a BERT or RoBERTa encoder.
    pub dir: PathBuf,
    /// Words kept of its vocabulary (WordPiece only); 0 keeps all.
    pub vocab_size: usize,
    /// Further texts whose words are kept.
    pub keep_texts: Vec<String>,
    /// Tokens of a text that are read; also the positions kept.
    pub max_tokens: i64,
    /// How its tokens become one vector.
    pub pooling: Pooling,
}

impl Default for ClapTrainConfig {
    fn default() -> Self {
        Self {
            model: ClapConfig::mini(),
            train: TrainConfig::default(),
            train_manifest: "data/train/manifest.jsonl".into(),
            heldout_manifest: None,
            cache: None,
            text_init: None,
            start_from: None,
            freeze_text: true,
            freeze_audio: false,
            meaning_weight: 0.0,
            batch: 48,
            solo_share: 0.5,
            silence_db: -8.0,
            audible_db: -25.0,
            augmentation: Augmentation::default(),
            validation_clips: 240,
            storage: Storage::Native,
        }
    }
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { shift_secs: 2.0, gain_db: 6.0, tilt_db: 3.0, ripple_db: 3.0 }
    }
}

impl Default for TextInit {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            vocab_size: 5000,
            keep_texts: Vec::new(),
            max_tokens: 128,
            pooling: Pooling::Mean,
        }
    }
}

impl ClapTrainConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.train.validate()?;
        if self.batch < 2 {
            return Err(Error::config(
                "batch",
                format!("contrast needs at least 2 pairs, got {}", self.batch),
            ));
        }
        if !(0.0..=1.0).contains(&self.solo_share) {
            return Err(Error::config("solo_share", format!("expected 0..=1, got {}", self.solo_share)));
        }
        let a = &self.augmentation;
        for (field, value) in [
            ("augmentation.shift_secs", a.shift_secs),
            ("augmentation.gain_db", a.gain_db),
            ("augmentation.tilt_db", a.tilt_db),
            ("augmentation.ripple_db", a.ripple_db),
        ] {
            if !(0.0..=1000.0).contains(&value) {
                return Err(Error::config(field, format!("expected 0..=1000, got {value}")));
            }
        }
        for (field, value) in [("silence_db", self.silence_db), ("audible_db", self.audible_db)] {
            if !value.is_finite() {
                return Err(Error::config(field, format!("expected a number, got {value}")));
            }
        }
        if !(0.0..=1e6).contains(&self.meaning_weight) {
            let reason = format!("expected 0..=1e6, got {}", self.meaning_weight);
            return Err(Error::config("meaning_weight", reason));
        }
        if self.meaning_weight > 0.0 && !self.freeze_text {
            return Err(Error::config(
                "meaning_weight",
                "needs `freeze_text`: it keeps what the tower knows",
            ));
        }
        if self.freeze_audio && self.start_from.is_none() {
            return Err(Error::config("freeze_audio", "needs `start_from`: random towers teach nothing"));
        }
        if self.validation_clips < 2 {
            return Err(Error::config(
                "validation_clips",
                format!("expected at least 2, got {}", self.validation_clips),
            ));
        }
        Ok(())
    }

    pub(super) fn cache_dir(&self, run_dir: &Path, split: &str) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| run_dir.join("cache")).join(split)
    }
}

//! Settings of a training run.

use std::path::PathBuf;

use musicot_core::Storage;
use musicot_core::train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{Error, MusicLmConfig, Result};

/// How often the model trains without something, so that it can do without it and guidance has a null branch. All are our choice
/// but the 0.1 of each condition, which is customary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DropConfig {
    /// Each condition (CLAP, tags, sections, lyrics, the distance of the end) by itself.
    pub each: f64,
    /// All conditions together: the null branch.
    pub all: f64,
    /// The plan.
    pub plan: f64,
    /// The plan, where all conditions are dropped.
    pub plan_with_all: f64,
    /// Tags are thinned, each tag with one half: users name some, not all.
    pub thin_tags: f64,
}

impl Default for DropConfig {
    fn default() -> Self {
        Self { each: 0.1, all: 0.1, plan: 0.05, plan_with_all: 0.5, thin_tags: 0.5 }
    }
}

/// Everything about a training run of a [`crate::MusicLm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LmTrainConfig {
    /// The model.
    pub model: MusicLmConfig,
    /// Optimiser and schedule.
    pub train: TrainConfig,
    /// Stage directory of a trained model to go on from; parameters that it lacks start fresh. From random weights when absent.
    pub start_from: Option<PathBuf>,
    /// Directory of the training data, see [`super::TokenDataset`].
    pub data: PathBuf,
    /// Directory of the validation data.
    pub validation: Option<PathBuf>,
    /// Tokenizer of lyrics; made from the training data when absent.
    pub tokenizer: Option<PathBuf>,
    /// Crops in a micro-batch.
    pub batch: usize,
    /// Fewest plan windows of a crop.
    pub min_windows: usize,
    /// Most plan windows of a crop.
    pub max_windows: usize,
    /// Share of examples whose CLAP embedding is that of a caption, not of the recording.
    pub text_clap_share: f64,
    /// How often what is dropped.
    pub drop: DropConfig,
    /// Weight of the mean loss of the plan's codes.
    pub thought_loss: f64,
    /// Weight of the mean loss of audio tokens.
    pub audio_loss: f64,
    /// Pieces looked at in a validation.
    pub validation_pieces: usize,
    /// Element type of the trained weights on disk.
    pub storage: Storage,
}

impl Default for LmTrainConfig {
    fn default() -> Self {
        Self {
            model: MusicLmConfig::default(),
            train: TrainConfig::default(),
            start_from: None,
            data: PathBuf::from("data/tokens/train"),
            validation: None,
            tokenizer: None,
            batch: 4,
            min_windows: 2,
            max_windows: 4,
            text_clap_share: 0.5,
            drop: DropConfig::default(),
            thought_loss: 0.5,
            audio_loss: 1.0,
            validation_pieces: 32,
            storage: Storage::Native,
        }
    }
}

impl LmTrainConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`musicot_core::Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.train.validate()?;
        if self.batch == 0 || self.batch > 1 << 16 {
            return Err(Error::config("batch", format!("expected 1 to 65536, got {}", self.batch)));
        }
        let longest = self.model.reach_tokens() / self.model.window_tokens();
        if self.min_windows == 0 || self.min_windows > self.max_windows || self.max_windows > longest {
            let (min, max) = (self.min_windows, self.max_windows);
            let reason = format!(
                "expected 1 <= min_windows <= max_windows <= {longest} (the model's reach), got {min} and {max}"
            );
            return Err(Error::config("max_windows", reason));
        }
        for (field, share) in [
            ("text_clap_share", self.text_clap_share),
            ("drop.each", self.drop.each),
            ("drop.all", self.drop.all),
            ("drop.plan", self.drop.plan),
            ("drop.plan_with_all", self.drop.plan_with_all),
            ("drop.thin_tags", self.drop.thin_tags),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::config(field, format!("expected 0 to 1, got {share}")));
            }
        }
        for (field, weight) in [("thought_loss", self.thought_loss), ("audio_loss", self.audio_loss)] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::config(
                    field,
                    format!("expected a finite number of at least 0, got {weight}"),
                ));
            }
        }
        Ok(())
    }
}

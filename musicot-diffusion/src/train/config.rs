//! Settings of a training run.

use std::path::PathBuf;

use musicot_core::Storage;
use musicot_core::train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{DitConfig, Error, Result};

/// How times are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeSampling {
    /// Uniform in `[0, 1]`; as MeLoDy draws its angles.
    Uniform,
    /// The logistic of a normal variable (Esser et al., 2024): most draws in the middle.
    LogitNormal {
        /// Mean of the normal; above 0 prefers the noise.
        mean: f64,
        /// Standard deviation of the normal.
        deviation: f64,
    },
}

/// Probabilities with which an item loses conditions. `all` is what trains the null branch of the guidance; the others
/// let a caller leave conditions out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dropout {
    /// Semantic tokens alone.
    pub semantic: f64,
    /// Thoughts alone.
    pub thoughts: f64,
    /// Text alone.
    pub text: f64,
    /// All at once.
    pub all: f64,
}

impl Default for Dropout {
    fn default() -> Self {
        Self { semantic: 0.1, thoughts: 0.1, text: 0.1, all: 0.1 }
    }
}

/// How crops are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Crops {
    /// Lengths to draw from, in frames; one per batch.
    pub frames: Vec<usize>,
    /// Frames of a batch in all, so that every batch costs about the same: `batch_frames / length` items.
    pub batch_frames: usize,
    /// Probability that the start of a crop (up to half of it) is given clean.
    pub prefix: f64,
    /// Probability that both ends (up to a quarter each) are given clean.
    pub hole: f64,
}

impl Default for Crops {
    fn default() -> Self {
        Self { frames: vec![50, 100, 200, 350, 500], batch_frames: 3200, prefix: 0.35, hole: 0.1 }
    }
}

/// A training run of the diffusion transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionTrainConfig {
    /// Sizes of the model.
    pub model: DitConfig,
    /// Optimiser, schedule, checkpoints.
    pub train: TrainConfig,
    /// Stage directory of a trained model of the same shape to go on from, its latent statistics included. From random weights when absent.
    pub start_from: Option<PathBuf>,
    /// Folder of the [`crate::train::LatentDataset`] to train on.
    pub data: PathBuf,
    /// Folder of the one to validate on.
    pub heldout: Option<PathBuf>,
    /// Crops.
    pub crops: Crops,
    /// Times.
    pub times: TimeSampling,
    /// Condition dropout.
    pub dropout: Dropout,
    /// Weight of the squared error of the reader's estimate of the latents, where the model has a reader.
    pub estimate_loss: f64,
    /// Crops that are validated on.
    pub validation_items: usize,
    /// Frames of each.
    pub validation_frames: usize,
    /// Element type of the finished model's file.
    pub storage: Storage,
}

impl Default for DiffusionTrainConfig {
    fn default() -> Self {
        Self {
            model: DitConfig::default(),
            train: TrainConfig { ema_decay: 0.999, ..TrainConfig::default() },
            start_from: None,
            data: PathBuf::from("data/latents/train"),
            heldout: None,
            crops: Crops::default(),
            times: TimeSampling::LogitNormal { mean: 0.0, deviation: 1.0 },
            dropout: Dropout::default(),
            estimate_loss: 0.5,
            validation_items: 16,
            validation_frames: 200,
            storage: Storage::Native,
        }
    }
}

impl DiffusionTrainConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.train.validate()?;
        let (d, c) = (&self.dropout, &self.crops);
        for (field, value) in [
            ("dropout.semantic", d.semantic),
            ("dropout.thoughts", d.thoughts),
            ("dropout.text", d.text),
            ("dropout.all", d.all),
            ("crops.prefix", c.prefix),
            ("crops.hole", c.hole),
            ("crops.prefix + crops.hole", c.prefix + c.hole),
        ] {
            require(field, (0.0..=1.0).contains(&value), format!("expected a probability, got {value}"))?;
        }
        let in_range = |frames: usize| (1..=self.model.max_frames).contains(&frames);
        let lengths = format!("expected lengths in 1..={}, got {:?}", self.model.max_frames, c.frames);
        require("crops.frames", !c.frames.is_empty() && c.frames.iter().all(|f| in_range(*f)), lengths)?;
        require("crops.batch_frames", c.batch_frames > 0, "expected a positive number".to_owned())?;
        let weight = self.estimate_loss;
        require(
            "estimate_loss",
            weight.is_finite() && weight >= 0.0,
            format!("expected a finite number of at least 0, got {weight}"),
        )?;
        require("validation_items", self.validation_items > 0, "expected a positive number".to_owned())?;
        let length = format!("expected 1..={}, got {}", self.model.max_frames, self.validation_frames);
        require("validation_frames", in_range(self.validation_frames), length)?;
        if let TimeSampling::LogitNormal { mean, deviation } = self.times {
            let ok = mean.is_finite() && deviation.is_finite() && deviation > 0.0;
            require(
                "times",
                ok,
                format!("expected a finite mean and a positive deviation, got {mean}, {deviation}"),
            )?;
        }
        Ok(())
    }
}

fn require(field: &str, ok: bool, reason: String) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::config(field, reason)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trip_and_ranges() {
        let config = DiffusionTrainConfig::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<DiffusionTrainConfig>(&text).unwrap(), config);
        let bad = |change: fn(&mut DiffusionTrainConfig)| {
            let mut config = DiffusionTrainConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(bad(|c| c.dropout.text = 1.5).contains("dropout.text"));
        assert!(bad(|c| c.estimate_loss = -1.0).contains("estimate_loss"));
        assert!(bad(|c| c.model.reader_blocks = -1).contains("reader_blocks"));
        assert!(bad(|c| c.crops.frames.clear()).contains("crops.frames"));
        assert!(bad(|c| c.crops.frames.push(501)).contains("crops.frames"));
        assert!(bad(|c| c.crops.prefix = 0.95).contains("crops.prefix + crops.hole"));
        assert!(bad(|c| c.times = TimeSampling::LogitNormal { mean: 0.0, deviation: 0.0 }).contains("times"));
    }
}

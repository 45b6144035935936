//! Settings of learning.

use musicot_core::{Error, Result, Storage};
use serde::{Deserialize, Serialize};

use crate::RvqConfig;

/// How codebooks follow the vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearnConfig {
    /// Decay per step of the moving averages, in `0..1`.
    pub decay: f64,
    /// A codeword is dead, and replaced by a random vector of the step, when its share of the vectors falls below this fraction of an
    /// even share, in `0..1`; 0 never replaces one. (Our choice, where others count vectors: it does not depend on the batch.)
    pub dead_below: f64,
    /// Probability that a training step uses a random number of levels instead of all, in `0..=1`
    /// (quantiser dropout: the first levels learn to stand alone).
    pub dropout: f64,
    /// Rounds of Lloyd's algorithm after the k-means++ start.
    pub start_iterations: usize,
    /// Vectors used for the start at most.
    pub start_vectors: usize,
}

impl Default for LearnConfig {
    fn default() -> Self {
        Self { decay: 0.99, dead_below: 0.05, dropout: 0.0, start_iterations: 20, start_vectors: 16_384 }
    }
}

impl LearnConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("decay", self.decay), ("dead_below", self.dead_below)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::config(field, format!("expected 0 <= value < 1, got {value}")));
            }
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            return Err(Error::config("dropout", format!("expected 0 <= value <= 1, got {}", self.dropout)));
        }
        if self.start_vectors == 0 {
            return Err(Error::config("start_vectors", "expected at least 1, got 0"));
        }
        Ok(())
    }
}

/// How [`super::train()`] fits a quantiser to vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RvqTrainConfig {
    /// Sizes of the quantiser.
    pub model: RvqConfig,
    /// How codebooks follow the vectors.
    pub learn: LearnConfig,
    /// Steps of moving averages in all; 0 leaves it at the k-means start and the refit.
    pub steps: u64,
    /// Vectors per step.
    pub batch: usize,
    /// Rounds of Lloyd's algorithm over all vectors at the end, level by level: codewords become the exact means of what chooses them.
    pub refit_iterations: usize,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between validations; 0 validates at the end only.
    pub validate_every: u64,
    /// Steps between lines in `metrics.jsonl`.
    pub log_every: u64,
    /// Held-out vectors among which a decoded one must find its own original.
    pub gallery: usize,
    /// Seed of the start, the order of vectors and revivals.
    pub seed: u64,
    /// Element type of the codebooks on disk.
    pub storage: Storage,
}

impl Default for RvqTrainConfig {
    fn default() -> Self {
        Self {
            model: RvqConfig::default(),
            learn: LearnConfig::default(),
            steps: 1000,
            batch: 1024,
            refit_iterations: 10,
            checkpoint_every: 200,
            validate_every: 0,
            log_every: 50,
            gallery: 500,
            seed: 0,
            storage: Storage::Native,
        }
    }
}

impl RvqTrainConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.learn.validate()?;
        for (field, is_zero) in [
            ("batch", self.batch == 0),
            ("checkpoint_every", self.checkpoint_every == 0),
            ("log_every", self.log_every == 0),
            ("gallery", self.gallery == 0),
        ] {
            if is_zero {
                return Err(Error::config(field, "expected at least 1, got 0"));
            }
        }
        Ok(())
    }
}

//! Settings of a training run.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Arithmetic of the forward and backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// libtorch's autocast to bfloat16; CUDA only.
    Bf16,
}

/// How a model is trained: AdamW, linear warm-up, cosine decay, clipping, accumulation, EMA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Optimiser steps in all.
    pub steps: u64,
    /// Micro-batches whose gradients are averaged for one step.
    pub accumulate: u32,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Learning rate at the last step as a fraction of the peak (cosine decay).
    pub final_learning_rate: f64,
    /// Decoupled weight decay on matrices (not on vectors).
    pub weight_decay: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Largest norm of the gradient; 0 turns clipping off.
    pub clip_norm: f64,
    /// Decay of the exponential moving average of the weights; 0 turns it off.
    pub ema_decay: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between validations; 0 validates at the end only.
    pub validate_every: u64,
    /// Steps between lines in `metrics.jsonl`.
    pub log_every: u64,
    /// Seed of initial weights, data order and noise.
    pub seed: u64,
    /// Arithmetic.
    pub precision: Precision,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            accumulate: 1,
            learning_rate: 1e-3,
            warmup_steps: 50,
            final_learning_rate: 0.05,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.95,
            clip_norm: 1.0,
            ema_decay: 0.0,
            checkpoint_every: 100,
            validate_every: 0,
            log_every: 10,
            seed: 0,
            precision: Precision::F32,
        }
    }
}

impl TrainConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        let unit = |field: &str, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::config(field, format!("expected 0 <= value < 1, got {value}"))),
        };
        let positive = |field: &str, ok: bool| match ok {
            true => Ok(()),
            false => Err(Error::config(field, "expected a positive number")),
        };
        positive("steps", self.steps > 0)?;
        positive("accumulate", self.accumulate > 0)?;
        positive("checkpoint_every", self.checkpoint_every > 0)?;
        positive("log_every", self.log_every > 0)?;
        positive("learning_rate", self.learning_rate > 0.0 && self.learning_rate.is_finite())?;
        unit("beta1", self.beta1)?;
        unit("beta2", self.beta2)?;
        unit("ema_decay", self.ema_decay)?;
        for (field, value) in [
            ("weight_decay", self.weight_decay),
            ("clip_norm", self.clip_norm),
            ("final_learning_rate", self.final_learning_rate),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::config(field, format!("expected a finite number of at least 0, got {value}")));
            }
        }
        Ok(())
    }

    /// Learning rate of a step (0-based): linear warm-up, then a cosine down to the final rate.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let span = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / span).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.learning_rate * (self.final_learning_rate + (1.0 - self.final_learning_rate) * cosine)
    }
}

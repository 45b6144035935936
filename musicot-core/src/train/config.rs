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
    /// Products of matrices in bfloat16, weights and all else in f32: libtorch's autocast on CUDA, [`crate::nn::mixed_precision`] on a CPU, where it
    /// pays with instructions for bfloat16 only.
    Bf16,
}

/// How gradients become steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// AdamW for all parameters.
    #[default]
    AdamW,
    /// Muon for matrices, AdamW for vectors, convolutions and tables: more is learned per step, at the same learning rate.
    Muon,
}

/// How a model is trained: AdamW or Muon, linear warm-up, cosine decay, clipping, accumulation, EMA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Optimiser steps in all.
    pub steps: u64,
    /// Micro-batches whose gradients are averaged for one step.
    pub accumulate: u32,
    /// How gradients become steps.
    pub optimizer: Method,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Learning rate at the last step as a fraction of the peak (cosine decay).
    pub final_learning_rate: f64,
    /// Decoupled weight decay on matrices, that is, parameters with more than one value per row (not on vectors and gains).
    pub weight_decay: f64,
    /// Decay of AdamW's mean of gradients.
    pub beta1: f64,
    /// Decay of AdamW's mean of squared gradients.
    pub beta2: f64,
    /// Largest norm of the gradient of all parameters together; 0 turns clipping off.
    pub clip_norm: f64,
    /// Decay of the exponential moving average of the weights; 0 turns it off. It starts lower: at step t (from 0) it is
    /// `(1 + t) / (10 + t)` at most.
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
            optimizer: Method::AdamW,
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
                return Err(Error::config(
                    field,
                    format!("expected a finite number of at least 0, got {value}"),
                ));
            }
        }
        Ok(())
    }

    /// Learning rate of a step (0-based): linear warm-up, then a cosine down to the final rate.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        // The last step is `steps - 1`.
        let span = self.steps.saturating_sub(self.warmup_steps + 1).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / span).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.learning_rate * (self.final_learning_rate + (1.0 - self.final_learning_rate) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_the_peak_and_falls_to_its_end() {
        let config = TrainConfig {
            steps: 100,
            warmup_steps: 10,
            learning_rate: 2.0,
            final_learning_rate: 0.1,
            ..TrainConfig::default()
        };
        let rates: Vec<f64> = (0..100).map(|step| config.learning_rate_at(step)).collect();
        assert!((rates[0] - 0.2).abs() < 1e-12 && (rates[9] - 2.0).abs() < 1e-12);
        assert_eq!(rates[10], 2.0);
        assert!((rates[99] - 0.2).abs() < 1e-12, "{}", rates[99]);
        assert!(rates[..10].windows(2).all(|pair| pair[0] < pair[1]));
        assert!(rates[10..].windows(2).all(|pair| pair[0] > pair[1]));
        // Half way down the cosine is the mean of its ends.
        let halves = TrainConfig { steps: 11, warmup_steps: 0, ..config };
        assert!((halves.learning_rate_at(5) - 1.1).abs() < 1e-12);
    }

    #[test]
    fn short_runs_have_finite_rates() {
        for (steps, warmup_steps) in [(1, 0), (1, 1), (2, 1), (3, 50)] {
            let config = TrainConfig { steps, warmup_steps, ..TrainConfig::default() };
            for step in 0..steps + 5 {
                let rate = config.learning_rate_at(step);
                assert!(rate > 0.0 && rate <= config.learning_rate, "{steps} {warmup_steps} {step}: {rate}");
            }
        }
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let good = TrainConfig::default();
        let bad = [
            ("steps", TrainConfig { steps: 0, ..good.clone() }),
            ("accumulate", TrainConfig { accumulate: 0, ..good.clone() }),
            ("checkpoint_every", TrainConfig { checkpoint_every: 0, ..good.clone() }),
            ("log_every", TrainConfig { log_every: 0, ..good.clone() }),
            ("learning_rate", TrainConfig { learning_rate: f64::NAN, ..good.clone() }),
            ("beta1", TrainConfig { beta1: 1.0, ..good.clone() }),
            ("beta2", TrainConfig { beta2: -0.1, ..good.clone() }),
            ("ema_decay", TrainConfig { ema_decay: 1.5, ..good.clone() }),
            ("weight_decay", TrainConfig { weight_decay: -1.0, ..good.clone() }),
            ("clip_norm", TrainConfig { clip_norm: f64::INFINITY, ..good.clone() }),
            ("final_learning_rate", TrainConfig { final_learning_rate: f64::NAN, ..good.clone() }),
        ];
        assert!(good.validate().is_ok());
        for (field, config) in bad {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(&format!("`{field}`")), "{error}");
        }
        assert!(serde_json::from_str::<TrainConfig>(r#"{"stepz": 3}"#).is_err());
    }
}

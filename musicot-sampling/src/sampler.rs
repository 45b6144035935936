//! Settings and the chain that they make.

use musicot_core::tch::Tensor;
use musicot_core::{CounterRng, Error as CoreError};
use serde::{Deserialize, Serialize};

use crate::{LogitsTransform, MinP, RepetitionPenalty, Result, Temperature, TopK, TopP, draw, greedy};

/// How a token is chosen from logits. A missing field is off, so that the default draws from the model's own distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Temperature, at least 0; 0 takes the likeliest token, whatever the other settings but the repetition penalty.
    pub temperature: f64,
    /// Keep the k likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Keep the likeliest tokens up to this total probability, in `0..=1`; 1 is off.
    pub top_p: f64,
    /// Drop tokens below this fraction of the likeliest token's probability, in `0..=1`; 0 is off.
    pub min_p: f64,
    /// Penalty on tokens of the history, above 0; 1 is off.
    pub repetition_penalty: f64,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

impl SamplingConfig {
    /// The likeliest token, always.
    pub fn greedy() -> Self {
        Self::at(0.0)
    }

    /// A temperature and nothing else.
    pub fn at(temperature: f64) -> Self {
        Self { temperature, ..Self::default() }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`CoreError::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            let reason = format!("expected a finite number of at least 0, got {}", self.temperature);
            return Err(CoreError::config("temperature", reason).into());
        }
        TopP::new(self.top_p)?;
        MinP::new(self.min_p)?;
        RepetitionPenalty::new(self.repetition_penalty)?;
        Ok(())
    }
}

/// A chain of transforms and the choice at its end.
///
/// The order is that of Hugging Face transformers: repetition penalty, temperature, top-k, top-p, min-p. Settings that are off add
/// no link.
///
/// ```
/// use musicot_sampling::{Sampler, SamplingConfig, core::{CounterRng, tch::Tensor}};
/// let sampler = Sampler::new(&SamplingConfig { temperature: 0.8, top_k: 2, ..Default::default() })?;
/// let logits = Tensor::from_slice(&[0.1_f32, 3.0, 2.9]).unsqueeze(0);
/// let tokens = sampler.sample(logits, &[vec![]], &[CounterRng::new(1).stage("plan")], 0)?;
/// assert!(tokens[0] == 1 || tokens[0] == 2);
/// # Ok::<(), musicot_sampling::Error>(())
/// ```
pub struct Sampler {
    chain: Vec<Box<dyn LogitsTransform>>,
    is_greedy: bool,
}

impl Sampler {
    /// The chain of a configuration.
    ///
    /// # Errors
    /// See [`SamplingConfig::validate`].
    pub fn new(config: &SamplingConfig) -> Result<Self> {
        config.validate()?;
        let is_greedy = config.temperature == 0.0;
        let mut chain: Vec<Box<dyn LogitsTransform>> = Vec::new();
        if config.repetition_penalty != 1.0 {
            chain.push(Box::new(RepetitionPenalty::new(config.repetition_penalty)?));
        }
        if is_greedy {
            return Ok(Self { chain, is_greedy });
        }
        if config.temperature != 1.0 {
            chain.push(Box::new(Temperature::new(config.temperature)?));
        }
        if config.top_k > 0 {
            chain.push(Box::new(TopK::new(config.top_k)?));
        }
        if config.top_p < 1.0 {
            chain.push(Box::new(TopP::new(config.top_p)?));
        }
        if config.min_p > 0.0 {
            chain.push(Box::new(MinP::new(config.min_p)?));
        }
        Ok(Self { chain, is_greedy })
    }

    /// Puts a transform before all others.
    #[must_use]
    pub fn with_first(mut self, transform: Box<dyn LogitsTransform>) -> Self {
        self.chain.insert(0, transform);
        self
    }

    /// Puts a transform after all others.
    #[must_use]
    pub fn with_last(mut self, transform: Box<dyn LogitsTransform>) -> Self {
        self.chain.push(transform);
        self
    }

    /// Logits `[batch, vocab]` (f32) after all transforms.
    ///
    /// # Errors
    /// What a transform refuses.
    pub fn transform(&self, logits: Tensor, history: &[Vec<i64>]) -> Result<Tensor> {
        self.chain.iter().try_fold(logits, |logits, link| link.apply(logits, history))
    }

    /// Chooses one token per row of logits `[batch, vocab]` (f32). `history` holds the tokens of each row so far, `rngs` the
    /// stream of each row's song, and `position` counts the tokens of this stream.
    ///
    /// # Errors
    /// What a transform or [`draw`] refuses.
    pub fn sample(
        &self,
        logits: Tensor,
        history: &[Vec<i64>],
        rngs: &[CounterRng],
        position: u64,
    ) -> Result<Vec<i64>> {
        let logits = self.transform(logits, history)?;
        if self.is_greedy { greedy(&logits) } else { draw(&logits, rngs, position) }
    }
}

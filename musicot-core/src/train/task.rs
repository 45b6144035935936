//! What a stage provides to be trained.

use tch::Tensor;

use crate::{CounterRng, ParamStore, Result};

/// Which micro-batch is asked for. Data order, crops, noise and dropout must depend on nothing else, so that a resumed
/// run continues exactly.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Optimiser step, from 0.
    pub step: u64,
    /// Micro-batch within the step, from 0.
    pub micro: u32,
    /// Micro-batches per step.
    pub accumulate: u32,
    /// The stream of the run's seed; use `rng.stage("what").item(..)` for each purpose.
    pub rng: CounterRng,
}

impl Position {
    /// Number of this micro-batch since the start of the run.
    pub fn index(&self) -> u64 {
        self.step * u64::from(self.accumulate) + u64::from(self.micro)
    }

    /// The indices of this micro-batch's items in `0..len`: each epoch is another permutation, no item repeats within one.
    pub fn items(&self, batch: usize, len: usize) -> Vec<usize> {
        let first = self.index() * batch as u64;
        let mut epoch = u64::MAX;
        let mut order = Vec::new();
        (first..first + batch as u64)
            .map(|draw| {
                let now = draw / len.max(1) as u64;
                if now != epoch {
                    epoch = now;
                    order = self.rng.stage("order").permutation(epoch, len);
                }
                order.get((draw % len.max(1) as u64) as usize).copied().unwrap_or(0)
            })
            .collect()
    }
}

/// The loss of a micro-batch and what to log about it.
#[derive(Debug)]
pub struct StepLoss {
    /// Scalar that is differentiated.
    pub loss: Tensor,
    /// Further figures by name.
    pub metrics: Vec<(&'static str, f64)>,
}

impl From<Tensor> for StepLoss {
    fn from(loss: Tensor) -> Self {
        Self { loss, metrics: Vec::new() }
    }
}

/// A model with its data and loss.
pub trait Task {
    /// The parameters and buffers; all are saved, the trainable ones are optimised.
    fn params(&self) -> &ParamStore;

    /// The loss of one micro-batch.
    ///
    /// # Errors
    /// Whatever the model or the data raise; training stops with it.
    fn loss(&mut self, at: &Position) -> Result<StepLoss>;

    /// Called after each optimiser step, for updates without gradients (EMA codebooks).
    ///
    /// # Errors
    /// Whatever the update raises; training stops with it.
    fn after_step(&mut self, _at: &Position) -> Result<()> {
        Ok(())
    }

    /// Figures on held-out data, run without gradients.
    ///
    /// # Errors
    /// Whatever the model or the data raise; training stops with it.
    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        Ok(Vec::new())
    }
}

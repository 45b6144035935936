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
    /// Empty where `len` is 0.
    pub fn items(&self, batch: usize, len: usize) -> Vec<usize> {
        if len == 0 {
            return Vec::new();
        }
        let len = len as u64;
        let first = self.index() * batch as u64;
        let mut epoch = None;
        let mut order = Vec::new();
        (first..first + batch as u64)
            .filter_map(|draw| {
                if epoch != Some(draw / len) {
                    epoch = Some(draw / len);
                    order = self.rng.stage("order").permutation(draw / len, len as usize);
                }
                order.get((draw % len) as usize).copied()
            })
            .collect()
    }
}

/// The loss of a micro-batch and what to log about it.
#[derive(Debug)]
pub struct StepLoss {
    /// Scalar that is differentiated.
    pub loss: Tensor,
    /// Further figures by name; means over a step's micro-batches are logged.
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

    /// Called after each optimiser step (not where the gradient was not finite and the step left out), for updates without gradients (EMA codebooks).
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_epoch_is_another_permutation(
            batch in 1_usize..7, len in 1_usize..40, accumulate in 1_u32..4, seed in 0_u64..100,
        ) {
            let rng = CounterRng::new(seed).stage("train");
            let micros = (3 * len).div_ceil(batch) as u64;
            let mut draws = Vec::new();
            for index in 0..micros {
                let micro = (index % u64::from(accumulate)) as u32;
                let at = Position { step: index / u64::from(accumulate), micro, accumulate, rng };
                prop_assert_eq!(at.index(), index);
                draws.extend(at.items(batch, len));
            }
            for epoch in draws.chunks_exact(len) {
                let mut sorted = epoch.to_vec();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..len).collect::<Vec<_>>());
            }
            // Twenty items come in the same order twice with a probability below 1e-18.
            prop_assert!(len < 20 || draws[..len] != draws[len..2 * len]);
        }
    }

    #[test]
    fn no_items_of_nothing() {
        let at = Position { step: 3, micro: 0, accumulate: 1, rng: CounterRng::new(0) };
        assert!(at.items(4, 0).is_empty());
        assert!(at.items(0, 4).is_empty());
    }
}

//! From what the network predicts to samples, block by block.

use musicot_core::dsp::{GriffinLim, PhaseStream};
use musicot_core::tch::Tensor;

use super::Magnitudes;
use crate::Result;

pub(super) struct BlockSynthesis<'a> {
    transform: &'a Magnitudes,
    phases: PhaseStream,
}

impl<'a> BlockSynthesis<'a> {
    pub fn new(transform: &'a Magnitudes, rounds: usize, batch: usize) -> Result<Self> {
        let rounds = GriffinLim { rounds, ..GriffinLim::default() };
        Ok(Self { transform, phases: PhaseStream::new(transform.stft(), rounds, batch)? })
    }

    /// Takes normalised log-magnitudes `[batch, bands, any]`, returns the samples `[batch, any]` that are final.
    pub fn push(&mut self, normalised: &Tensor) -> Result<Tensor> {
        let magnitudes = self.transform.expand(normalised)?;
        Ok(self.phases.push(&magnitudes)?)
    }

    /// Returns the rest `[batch, any]` and is ready for another song.
    pub fn finish(&mut self) -> Result<Tensor> {
        Ok(self.phases.finish()?)
    }
}

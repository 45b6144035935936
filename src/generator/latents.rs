//! Semantic tokens to latents, window by window, as they are written.

use musicot_core::tch::{Device, Tensor};
use musicot_core::{CounterRng, tensor};
use musicot_diffusion::{Denoiser, DiffusionSession, Sampler, Score};

use crate::alignment::Alignment;
use crate::{MusicPlan, Result, Settings};

/// Renders the latents of a song.
pub(super) struct Latents<'a> {
    session: DiffusionSession<'a>,
    alignment: Alignment,
    tokens: Vec<i64>,
    /// Frames whose tokens were handed to the session.
    handed: usize,
}

impl<'a> Latents<'a> {
    pub fn new(
        denoiser: &'a dyn Denoiser,
        sampler: &'a Sampler,
        plan: &MusicPlan,
        settings: &Settings,
        tokens_per_thought: f64,
        device: Device,
    ) -> Result<Self> {
        let thoughts = tensor::from_array(plan.embeddings.view(), device)?.f_unsqueeze(0)?;
        let text = match &plan.condition {
            Some(values) => Some(Tensor::f_from_slice(values)?.f_unsqueeze(0)?.f_to_device(device)?),
            None => None,
        };
        let streams = vec![CounterRng::new(settings.seeds.diffusion).stage("diffusion")];
        let score = Score { thoughts: Some(thoughts), text, streams };
        // Both are per thought, which is the same stretch of time for either stage.
        let alignment = Alignment::new(denoiser.frames_per_thought(), tokens_per_thought)?;
        let session = DiffusionSession::new(denoiser, sampler, settings.windows.clone(), score)?;
        Ok(Self { session, alignment, tokens: Vec::new(), handed: 0 })
    }

    /// Takes the next tokens.
    pub fn push(&mut self, tokens: &[i64]) -> Result<()> {
        self.tokens.extend_from_slice(tokens);
        self.hand(self.alignment.settled(self.tokens.len()))
    }

    /// Says that no more tokens come.
    pub fn finish(&mut self) -> Result<()> {
        self.hand(self.alignment.frames(self.tokens.len()))?;
        self.session.finish();
        Ok(())
    }

    /// The next latents `[1, latent_dim, frames]`; `None` when more tokens are needed, or at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Tensor>> {
        Ok(self.session.next_chunk()?)
    }

    /// The tokens so far.
    pub fn tokens(&self) -> &[i64] {
        &self.tokens
    }

    /// Frames rendered, and frames that the tokens so far make.
    pub fn progress(&self) -> (usize, usize) {
        (self.session.frames(), self.alignment.frames(self.tokens.len()))
    }

    fn hand(&mut self, frames: usize) -> Result<()> {
        if frames > self.handed {
            let ids = self.alignment.spread(&self.tokens, self.handed..frames)?;
            self.session.push(&Tensor::f_from_slice(&ids)?.f_unsqueeze(0)?)?;
            self.handed = frames;
        }
        Ok(())
    }
}

//! Diffusion and codec, given what is true of a piece.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::codec::{AudioCodec, NoteTokenizer, SemanticTokenizer, SpectralCodec, resample};
use musicot::core::tch::Tensor;
use musicot::core::train::Record;
use musicot::core::{AudioBuffer, tensor};
use musicot::diffusion::{DiffusionSession, Dit, Sampler, Score, SessionConfig, render};
use musicot::rvq::{RvqModel, VectorQuantizer};

use crate::Context;
use crate::common::Outcome;
use crate::compare::{as_long_as, rng};
use crate::corpus::{caption, tokens, unit};

pub struct Renderer {
    pub clap: Clap,
    pub codec: SpectralCodec,
    pub windows: SessionConfig,
    rvq: RvqModel,
    semantic: NoteTokenizer,
    denoiser: Dit,
    sampler: Sampler,
}

/// What is known of a recording.
pub struct Truth {
    pub tokens: Vec<i64>,
    /// Codes of its windows `[windows, levels]`.
    pub codes: Tensor,
    /// Thoughts `[windows, dim]` as a plan would hold them: quantised, of unit length.
    pub thoughts: Tensor,
    /// Its caption's embedding `[1, dim]`.
    pub text: Tensor,
}

/// What the diffusion is told beside the tokens.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    pub thoughts: bool,
    pub text: bool,
}

impl Given {
    pub const ALL: Self = Self { thoughts: true, text: true };
}

impl Renderer {
    pub fn load(context: &Context) -> Outcome<Self> {
        let stages = &context.stages;
        let (_, sampler, windows) = stages.settings();
        let (codec, semantic) = (stages.codec()?, stages.semantic()?);
        if codec.sample_rate_hz() != semantic.sample_rate_hz() || codec.hop_frames() != semantic.hop_frames()
        {
            return Err("codec and semantic tokeniser do not have the same rates".into());
        }
        Ok(Self {
            clap: stages.clap()?,
            rvq: stages.rvq()?,
            semantic,
            denoiser: stages.diffusion()?,
            codec,
            sampler: Sampler::new(sampler)?,
            windows,
        })
    }

    /// Tokens, thoughts and caption of a piece, or of the part of it that `original` is.
    pub fn truth(&self, original: &AudioBuffer, record: &Record) -> Outcome<Truth> {
        let at_clap = resample(original, self.clap.sample_rate_hz())?;
        let codes = self.rvq.encode(&self.clap.embed_windows(&at_clap, self.clap.window_samples())?)?;
        Ok(Truth {
            tokens: tokens(&self.semantic, original)?,
            thoughts: unit(&self.rvq.decode(&codes)?)?,
            codes,
            text: self.clap.embed_text(&[caption(record)?])?,
        })
    }

    /// A recording made again from what is true of it; `number` chooses the noise.
    pub fn render(
        &self,
        original: &AudioBuffer,
        truth: &Truth,
        given: Given,
        number: usize,
    ) -> Outcome<AudioBuffer> {
        let score = Score {
            thoughts: if given.thoughts { Some(truth.thoughts.f_unsqueeze(0)?) } else { None },
            text: if given.text { Some(tensor::copy(&truth.text)?) } else { None },
            streams: vec![rng().stage("diffusion").item(number as u64)],
        };
        let session = DiffusionSession::new(&self.denoiser, &self.sampler, self.windows.clone(), score)?;
        let latents = render(session, &Tensor::f_from_slice(&truth.tokens)?.f_unsqueeze(0)?)?;
        as_long_as(original, &self.codec.decode(&latents)?)
    }
}

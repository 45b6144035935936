//! From a plan to a waveform, stage after stage.

use std::time::Instant;

use musicot_core::AudioBuffer;
use musicot_core::tch::{self, Tensor};
use musicot_diffusion::Sampler;
use musicot_lm::{
    AudioLength, AudioRequest, AudioSong, AudioStep, AudioTokens, ConditionReport, MusicLm, Plan,
};

use super::Generator;
use super::latents::Latents;
use super::planning::conditions;
use super::waveform::Waveform;
use crate::manifest::LIBTORCH;
use crate::progress::report;
use crate::{Manifest, MusicPlan, Progress, Result, Settings, Song, Step, Timing};

/// The second phase of the language model, begun.
pub(super) struct Writing<'a> {
    pub steps: AudioTokens<'a>,
    /// Tokens of the whole song.
    pub count: usize,
    pub tokens_per_thought: f64,
    pub not_given: ConditionReport,
}

/// What the second phase of the language model wrote.
struct Written {
    tokens: Vec<i64>,
    tokens_per_thought: f64,
    not_given: ConditionReport,
}

impl<'a> Writing<'a> {
    pub fn start(lm: &'a MusicLm, plan: &MusicPlan, settings: &Settings) -> Result<Self> {
        let conditions = conditions(lm, &plan.brief, plan.condition.as_deref());
        let not_given = lm.check_conditions(&conditions)?;
        let count = lm.config().tokens_for(plan.brief.duration_secs)?;
        let song =
            AudioSong { conditions, number: 0, plan: Some(Plan::new(plan.codes.clone(), lm.vocab())?) };
        let length = AudioLength::exact(count);
        let asked = AudioRequest { songs: vec![song], length, seed: settings.seeds.tokens };
        let steps = lm.audio(&asked, &settings.policy.audio)?;
        Ok(Self { steps, count, tokens_per_thought: lm.config().window_tokens() as f64, not_given })
    }
}

/// The token of the only song.
pub(super) fn token(step: AudioStep) -> Option<i64> {
    step.tokens.first().copied().flatten().map(|token| i64::from(token.0))
}

impl Generator {
    pub(super) fn perform_timed(
        &mut self,
        plan: &MusicPlan,
        settings: &Settings,
        mut timings: Vec<Timing>,
        progress: &mut dyn Progress,
    ) -> Result<Song> {
        settings.policy.validate()?;
        let mut timed = |step: Step, started: Instant| {
            timings.push(Timing { step, secs: started.elapsed().as_secs_f64() })
        };
        let started = Instant::now();
        let written = self.write_tokens(plan, settings, progress)?;
        timed(Step::Tokens, started);
        let started = Instant::now();
        let latents = self.render_latents(plan, &written, settings, progress)?;
        timed(Step::Latents, started);
        let started = Instant::now();
        let (audio, gain_db) = self.decode_audio(&latents, progress)?;
        timed(Step::Waveform, started);
        let Written { tokens, not_given, .. } = written;
        let manifest = Manifest { tokens, gain_db, timings, ..self.manifest(plan, settings, not_given) };
        Ok(Song { audio, plan: plan.clone(), manifest })
    }

    /// Runs the second phase of the language model.
    fn write_tokens(
        &mut self,
        plan: &MusicPlan,
        settings: &Settings,
        progress: &mut dyn Progress,
    ) -> Result<Written> {
        self.parts.lm.with(self.memory, |lm| {
            let Writing { steps, count, tokens_per_thought, not_given } = Writing::start(lm, plan, settings)?;
            let mut tokens = Vec::with_capacity(count);
            for step in steps {
                tokens.extend(token(step?));
                report(progress, Step::Tokens, tokens.len(), count)?;
            }
            Ok(Written { tokens, tokens_per_thought, not_given })
        })
    }

    /// Semantic tokens to latents `[1, latent_dim, frames]`.
    fn render_latents(
        &mut self,
        plan: &MusicPlan,
        written: &Written,
        settings: &Settings,
        progress: &mut dyn Progress,
    ) -> Result<Tensor> {
        let sampler = Sampler::new(settings.diffusion.clone())?;
        let device = self.device;
        self.parts.denoiser.with(self.memory, |denoiser| {
            let mut latents =
                Latents::new(denoiser, &sampler, plan, settings, written.tokens_per_thought, device)?;
            latents.push(&written.tokens)?;
            latents.finish()?;
            let mut chunks = Vec::new();
            let mut tell = |(done, total)| report(progress, Step::Latents, done, total);
            tell(latents.progress())?;
            while let Some(chunk) = latents.next_chunk()? {
                chunks.push(chunk);
                tell(latents.progress())?;
            }
            Ok(Tensor::f_cat(&chunks, 2)?)
        })
    }

    /// Latents `[1, latent_dim, frames]` to a waveform, and the lowest gain of the limiter, dB.
    fn decode_audio(&mut self, latents: &Tensor, progress: &mut dyn Progress) -> Result<(AudioBuffer, f64)> {
        let frames = latents.size3()?.2 as usize;
        self.parts.codec.with(self.memory, |codec| {
            let mut waveform = Waveform::new(codec)?;
            report(progress, Step::Waveform, 0, frames)?;
            let tell = |done| report(progress, Step::Waveform, done, frames);
            let mut pieces = waveform.push(latents, tell)?;
            pieces.extend(waveform.finish()?);
            Ok((waveform.joined(&pieces)?, waveform.gain_db()))
        })
    }

    /// The record of a song of which nothing is made yet.
    pub(super) fn manifest(
        &self,
        plan: &MusicPlan,
        settings: &Settings,
        not_given: ConditionReport,
    ) -> Manifest {
        Manifest {
            musicot: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: LIBTORCH.to_owned(),
            bundle: self.name.clone(),
            sha256: self.sha256.clone(),
            device: self.device_name(),
            threads: tch::get_num_threads(),
            brief: plan.brief.clone(),
            settings: settings.clone(),
            codes: plan.codes.rows().into_iter().map(|row| row.to_vec()).collect(),
            tokens: Vec::new(),
            not_given,
            gain_db: 0.0,
            timings: Vec::new(),
        }
    }
}

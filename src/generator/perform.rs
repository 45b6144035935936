//! From a plan to a waveform.

use std::time::Instant;

use musicot_core::tch::{self, Tensor};
use musicot_core::{AudioBuffer, CounterRng, tensor};
use musicot_diffusion::{DiffusionSession, Sampler, Score};
use musicot_lm::{AudioLength, AudioRequest, AudioSong, ConditionReport, Plan};

use super::Generator;
use super::planning::conditions;
use crate::alignment::Alignment;
use crate::manifest::LIBTORCH;
use crate::progress::report;
use crate::{Error, Manifest, MusicPlan, Progress, Result, Settings, Song, Step, Timing};

/// Latent frames decoded between two progress reports.
const DECODE_PIECE: i64 = 50;

/// No sample of a song is beyond this (-1 dB): phases are rebuilt on decoding, so that peaks come out higher than those of the recordings
/// that the codec learned from, and a file would cut them off.
const CEILING: f32 = 0.891;

/// What the second phase of the language model wrote.
struct Written {
    tokens: Vec<i64>,
    tokens_per_thought: f64,
    not_given: ConditionReport,
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
        let Written { tokens, tokens_per_thought, not_given } =
            self.write_tokens(plan, settings, progress)?;
        timed(Step::Tokens, started);
        let started = Instant::now();
        let latents = self.render_latents(plan, &tokens, tokens_per_thought, settings, progress)?;
        timed(Step::Latents, started);
        let started = Instant::now();
        let (audio, gain_db) = self.decode_audio(&latents, progress)?.limit_peak(CEILING)?;
        timed(Step::Waveform, started);
        let manifest = self.manifest(plan, settings, tokens, not_given, gain_db, timings);
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
            let conditions = conditions(lm, &plan.brief, plan.condition.as_deref());
            let not_given = lm.check_conditions(&conditions)?;
            let count = lm.config().tokens_for(plan.brief.duration_secs)?;
            let song =
                AudioSong { conditions, number: 0, plan: Some(Plan::new(plan.codes.clone(), lm.vocab())?) };
            let length = AudioLength::exact(count);
            let asked = AudioRequest { songs: vec![song], length, seed: settings.seeds.tokens };
            let mut tokens = Vec::with_capacity(count);
            for step in lm.audio(&asked, &settings.policy.audio)? {
                tokens.extend(step?.tokens.first().copied().flatten().map(|token| i64::from(token.0)));
                report(progress, Step::Tokens, tokens.len(), count)?;
            }
            Ok(Written { tokens, tokens_per_thought: lm.config().window_tokens() as f64, not_given })
        })
    }

    /// Semantic tokens to latents `[1, latent_dim, frames]`.
    fn render_latents(
        &mut self,
        plan: &MusicPlan,
        tokens: &[i64],
        tokens_per_thought: f64,
        settings: &Settings,
        progress: &mut dyn Progress,
    ) -> Result<Tensor> {
        let sampler = Sampler::new(settings.diffusion.clone())?;
        let thoughts = tensor::from_array(plan.embeddings.view(), self.device)?.f_unsqueeze(0)?;
        let text = match &plan.condition {
            Some(values) => Some(Tensor::f_from_slice(values)?.f_unsqueeze(0)?.f_to_device(self.device)?),
            None => None,
        };
        let streams = vec![CounterRng::new(settings.seeds.diffusion).stage("diffusion")];
        let score = Score { thoughts: Some(thoughts), text, streams };
        self.parts.denoiser.with(self.memory, |denoiser| {
            // Both are per thought, which is the same stretch of time for either stage.
            let alignment = Alignment::new(denoiser.frames_per_thought(), tokens_per_thought)?;
            let frames = alignment.spread(tokens, alignment.frames(tokens.len()))?;
            let mut session = DiffusionSession::new(denoiser, &sampler, settings.windows.clone(), score)?;
            session.push(&Tensor::f_from_slice(&frames)?.f_unsqueeze(0)?)?;
            session.finish();
            let mut chunks = Vec::new();
            report(progress, Step::Latents, 0, frames.len())?;
            while let Some(chunk) = session.next_chunk()? {
                chunks.push(chunk);
                report(progress, Step::Latents, session.frames(), frames.len())?;
            }
            Ok(Tensor::f_cat(&chunks, 2)?)
        })
    }

    /// Latents `[1, latent_dim, frames]` to a waveform.
    fn decode_audio(&mut self, latents: &Tensor, progress: &mut dyn Progress) -> Result<AudioBuffer> {
        let frames = latents.size()[2];
        self.parts.codec.with(self.memory, |codec| {
            let mut session = codec.decode_session(1)?;
            let mut pieces = Vec::new();
            for start in (0..frames).step_by(DECODE_PIECE as usize) {
                report(progress, Step::Waveform, start as usize, frames as usize)?;
                pieces.push(session.push(&latents.f_narrow(
                    2,
                    start,
                    DECODE_PIECE.min(frames - start),
                )?)?);
            }
            pieces.push(session.finish()?);
            report(progress, Step::Waveform, frames as usize, frames as usize)?;
            let samples = tensor::to_array(&Tensor::f_cat(&pieces, -1)?.f_squeeze_dim(0)?)?;
            let samples =
                samples.into_dimensionality().map_err(|e| Error::input("codec output", e.to_string()))?;
            Ok(AudioBuffer::new(samples, codec.sample_rate_hz())?)
        })
    }

    fn manifest(
        &self,
        plan: &MusicPlan,
        settings: &Settings,
        tokens: Vec<i64>,
        not_given: ConditionReport,
        gain_db: f64,
        timings: Vec<Timing>,
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
            tokens,
            not_given,
            gain_db,
            timings,
        }
    }
}

//! From prompts to audio in batches: plans and tokens by any language model, latents, waveforms.

use std::time::Instant;

use musicot::clap::Clap;
use musicot::codec::{AudioCodec, SpectralCodec};
use musicot::core::tch::Tensor;
use musicot::core::{AudioBuffer, Limiter, tensor};
use musicot::diffusion::{DiffusionSession, Dit, Sampler, SamplerConfig, Score, SessionConfig, render};
use musicot::lm::{AudioLength, AudioRequest, AudioSong, MusicLm, Plan, PlanMode, PlanRequest, PlanSong};
use musicot::rvq::{RvqModel, VectorQuantizer};
use musicot::sampling::PhasePolicy;
use musicot_eval::embeddings::cosine_scores;
use ndarray::{Array2, Axis};

use crate::asks::Ask;
use crate::common::{Outcome, note};
use crate::corpus::{rows, unit};
use crate::{Context, rng};

/// Songs that are written at once.
const WRITTEN: usize = 32;

/// Songs that are rendered at once.
const RENDERED: usize = 4;

/// The highest sample of a clip: the generator's own ceiling.
const CEILING: f32 = 0.891;

/// Every stage but the language model, which is what the arms of an experiment differ in.
pub struct Studio {
    pub clap: Clap,
    pub rvq: RvqModel,
    pub codec: SpectralCodec,
    /// How the bundle asks for tokens to be drawn.
    pub policy: PhasePolicy,
    denoiser: Dit,
    sampler: Sampler,
    windows: SessionConfig,
}

/// What a language model wrote, song by song.
pub struct Written {
    /// Empty for a model without plans.
    pub plans: Vec<Plan>,
    pub tokens: Vec<Vec<i64>>,
    /// Seconds of work.
    pub secs: f64,
}

impl Studio {
    pub fn open(context: &Context) -> Outcome<Self> {
        let stages = &context.stages;
        let (policy, sampler, windows) = stages.settings();
        Ok(Self {
            clap: stages.clap()?,
            rvq: stages.rvq()?,
            codec: stages.codec()?,
            policy,
            denoiser: stages.diffusion()?,
            sampler: Sampler::new(sampler)?,
            windows,
        })
    }

    /// How latents are sampled.
    pub fn sampler(&self) -> &SamplerConfig {
        self.sampler.config()
    }

    pub fn set_sampler(&mut self, config: SamplerConfig) -> Outcome {
        self.sampler = Sampler::new(config)?;
        Ok(())
    }

    /// The unit embeddings `[windows, dim]` that a plan's codes stand for; a plan may have fewer levels than the quantiser.
    pub fn thoughts(&self, plan: &Plan) -> Outcome<Array2<f32>> {
        let codes: Vec<i64> = plan.codes().iter().copied().collect();
        let (windows, levels) = plan.codes().dim();
        let codes = Tensor::f_from_slice(&codes)?.f_reshape([windows as i64, levels as i64])?;
        rows(&unit(&self.rvq.decode(&codes)?)?)
    }

    /// Mean cosine of a plan's thoughts with the caption.
    pub fn fit(&self, ask: &Ask, plan: &Plan) -> Outcome<f64> {
        let scores = cosine_scores(self.thoughts(plan)?.view(), ask.text.view().insert_axis(Axis(0)))?;
        Ok(scores.sum() / scores.len() as f64)
    }

    /// Audio of tokens; the diffusion is told the captions, and the thoughts where there are any.
    pub fn render(
        &self,
        asks: &[Ask],
        tokens: &[Vec<i64>],
        thoughts: Option<&[Array2<f32>]>,
        mut hear: impl FnMut(usize, AudioBuffer) -> Outcome,
    ) -> Outcome {
        for start in (0..tokens.len()).step_by(RENDERED) {
            let group = start..tokens.len().min(start + RENDERED);
            let texts: Vec<_> = asks[group.clone()].iter().map(|ask| ask.text.view()).collect();
            let score = Score {
                thoughts: thoughts.map(|all| stacked(&all[group.clone()])).transpose()?,
                text: Some(matrix(&ndarray::stack(Axis(0), &texts)?)?),
                streams: group.clone().map(|song| rng().stage("diffusion").item(asks[song].number)).collect(),
            };
            let session = DiffusionSession::new(&self.denoiser, &self.sampler, self.windows.clone(), score)?;
            let ids: Vec<i64> = tokens[group.clone()].iter().flatten().copied().collect();
            let latents = render(session, &Tensor::f_from_slice(&ids)?.f_reshape([group.len() as i64, -1])?)?;
            for (place, song) in group.enumerate() {
                let waveform = self.codec.decode(&latents.f_narrow(0, place as i64, 1)?)?;
                let audio = AudioBuffer::mono(tensor::to_vec(&waveform)?, self.codec.sample_rate_hz())?;
                hear(song, Limiter::apply(&audio, CEILING)?.0)?;
            }
            note(format_args!("{} of {} clips", tokens.len().min(start + RENDERED), tokens.len()));
        }
        Ok(())
    }

    /// Fails where the rates of the stages differ, which batches here do not bridge.
    pub fn expect(&self, lm: &MusicLm) -> Outcome {
        let (tokens, frames) = (lm.config().token_rate_hz, self.codec.frame_rate_hz());
        match (tokens - frames).abs() < 1e-9 {
            true => Ok(()),
            false => Err(format!("tokens at {tokens} Hz do not go with latents at {frames} Hz here").into()),
        }
    }
}

/// Plans and tokens for songs of `secs` seconds. Given plans are followed in place of the model's own.
pub fn write(
    lm: &MusicLm,
    asks: &[Ask],
    secs: f64,
    policy: &PhasePolicy,
    given: Option<&[Plan]>,
) -> Outcome<Written> {
    let started = Instant::now();
    let count = lm.config().tokens_for(secs)?;
    let (mut plans, mut tokens) = (Vec::new(), Vec::new());
    for (index, group) in asks.chunks(WRITTEN).enumerate() {
        let own = match (lm.config().plan, given) {
            (PlanMode::None, _) => Vec::new(),
            (PlanMode::Thoughts, Some(given)) => given[index * WRITTEN..][..group.len()].to_vec(),
            (PlanMode::Thoughts, None) => think(lm, group, lm.config().windows_for(count), policy)?,
        };
        tokens.extend(speak(lm, group, &own, count, policy)?);
        plans.extend(own);
    }
    Ok(Written { plans, tokens, secs: started.elapsed().as_secs_f64() })
}

/// Plans of the model's own.
pub fn think(lm: &MusicLm, asks: &[Ask], windows: usize, policy: &PhasePolicy) -> Outcome<Vec<Plan>> {
    let song = |ask: &Ask| -> Outcome<PlanSong> {
        Ok(PlanSong { conditions: ask.conditions(lm)?, number: ask.number, ..PlanSong::default() })
    };
    let songs = asks.iter().map(song).collect::<Outcome<Vec<_>>>()?;
    Ok(lm.thoughts(&PlanRequest { songs, windows, seed: 0 }, &policy.thoughts)?.finish()?)
}

fn speak(
    lm: &MusicLm,
    asks: &[Ask],
    plans: &[Plan],
    count: usize,
    policy: &PhasePolicy,
) -> Outcome<Vec<Vec<i64>>> {
    let song = |(index, ask): (usize, &Ask)| -> Outcome<AudioSong> {
        let plan = plans.get(index).cloned();
        Ok(AudioSong { conditions: ask.conditions(lm)?, number: ask.number, plan })
    };
    let songs = asks.iter().enumerate().map(song).collect::<Outcome<Vec<_>>>()?;
    let mut tokens = vec![Vec::with_capacity(count); songs.len()];
    let request = AudioRequest { songs, length: AudioLength::exact(count), seed: 0 };
    for step in lm.audio(&request, &policy.audio)? {
        for (own, token) in tokens.iter_mut().zip(step?.tokens) {
            own.extend(token.map(|token| i64::from(token.0)));
        }
    }
    Ok(tokens)
}

/// Thoughts `[songs, windows, dim]`.
fn stacked(thoughts: &[Array2<f32>]) -> Outcome<Tensor> {
    let parts = thoughts.iter().map(matrix).collect::<Outcome<Vec<_>>>()?;
    Ok(Tensor::f_stack(&parts, 0)?)
}

pub fn matrix(rows: &Array2<f32>) -> Outcome<Tensor> {
    Ok(tensor::from_array(rows.view(), musicot::core::tch::Device::Cpu)?)
}

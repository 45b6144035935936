//! A song that is heard while it is being written.

use std::time::Instant;

use musicot_core::AudioBuffer;
use musicot_diffusion::Sampler;
use musicot_lm::{AudioTokens, ConditionReport};

use super::Generator;
use super::latents::Latents;
use super::perform::{Writing, token};
use super::waveform::Waveform;
use crate::{Error, Manifest, MemoryMode, MusicPlan, Result, Settings, Step, Timing};

/// The pieces of a song, in order: an iterator over audio, see [`Generator::perform_stream`].
///
/// One after another, the pieces are the waveform of [`Generator::perform`]. After an error there are no more.
pub struct SongStream<'a> {
    steps: AudioTokens<'a>,
    latents: Latents<'a>,
    waveform: Waveform<'a>,
    phase: Phase,
    /// Without what only the end knows.
    record: Manifest,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Tokens are being written.
    Writing,
    /// All tokens are there.
    Rendering,
    /// Everything was given back, or something failed.
    Over,
}

impl Generator {
    pub(super) fn stream(
        &mut self,
        plan: &MusicPlan,
        settings: &Settings,
        mut timings: Vec<Timing>,
    ) -> Result<SongStream<'_>> {
        settings.policy.validate()?;
        if self.memory == MemoryMode::OneStage {
            let reason = "a stream needs three stages at once, which `OneStage` rules out";
            return Err(Error::input("memory mode", reason));
        }
        let record = self.manifest(plan, settings, ConditionReport::default());
        let sampler = self.sampler.insert(Sampler::new(settings.diffusion.clone())?);
        let parts = &mut self.parts;
        let mut started = Instant::now();
        let mut timed = |step| {
            timings.push(Timing { step, secs: started.elapsed().as_secs_f64() });
            started = Instant::now();
        };
        let Writing { steps, tokens_per_thought, not_given, .. } =
            Writing::start(parts.lm.loaded()?, plan, settings)?;
        timed(Step::Tokens);
        let denoiser = parts.denoiser.loaded()?;
        let latents = Latents::new(denoiser, sampler, plan, settings, tokens_per_thought, self.device)?;
        timed(Step::Latents);
        let waveform = Waveform::new(parts.codec.loaded()?)?;
        timed(Step::Waveform);
        let record = Manifest { not_given, timings, ..record };
        Ok(SongStream { steps, latents, waveform, phase: Phase::Writing, record })
    }
}

impl SongStream<'_> {
    /// Samples per second and channel.
    pub fn sample_rate_hz(&self) -> u32 {
        self.waveform.sample_rate_hz()
    }

    /// The record of what was made so far: of the whole song once the stream is at its end.
    pub fn manifest(&self) -> Manifest {
        let (tokens, gain_db) = (self.latents.tokens().to_vec(), self.waveform.gain_db());
        Manifest { tokens, gain_db, ..self.record.clone() }
    }

    /// The next samples; `None` at the end.
    fn advance(&mut self) -> Result<Option<AudioBuffer>> {
        while self.phase != Phase::Over {
            if let Some(chunk) = self.timed(Step::Latents, |song| song.latents.next_chunk())? {
                let pieces = self.timed(Step::Waveform, |song| song.waveform.push(&chunk, |_| Ok(())))?;
                let audio = self.waveform.joined(&pieces)?;
                // A codec may need more than a short first chunk before a sample is settled.
                if audio.frames() > 0 {
                    return Ok(Some(audio));
                }
                continue;
            }
            if self.phase == Phase::Rendering {
                self.phase = Phase::Over;
                let pieces = self.timed(Step::Waveform, |song| song.waveform.finish())?;
                return Ok(Some(self.waveform.joined(&pieces)?));
            }
            self.timed(Step::Tokens, Self::write)?;
        }
        Ok(None)
    }

    /// Writes a token.
    fn write(&mut self) -> Result<()> {
        match self.steps.next() {
            Some(step) => self.latents.push(token(step?).as_slice()),
            None => {
                self.phase = Phase::Rendering;
                self.latents.finish()
            }
        }
    }

    fn timed<T>(&mut self, step: Step, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let outcome = work(self);
        for timing in self.record.timings.iter_mut().filter(|timing| timing.step == step) {
            timing.secs += started.elapsed().as_secs_f64();
        }
        outcome
    }
}

impl Iterator for SongStream<'_> {
    type Item = Result<AudioBuffer>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().inspect_err(|_| self.phase = Phase::Over).transpose()
    }
}

//! The arms of an experiment: the same prompts, made in different ways.

use musicot::codec::AudioCodec;
use musicot::core::AudioBuffer;
use musicot::lm::{MusicLm, Plan};
use musicot::sampling::PhasePolicy;
use ndarray::Array2;

use crate::Context;
use crate::asks::Ask;
use crate::common::{Outcome, note};
use crate::heard::{Heard, beginning};
use crate::studio::{Studio, write};

/// Clips of one kind, one per prompt.
pub struct Arm {
    pub name: String,
    pub heard: Vec<Heard>,
    /// The thoughts that the clips were written under; empty where there are none to compare with.
    pub thoughts: Vec<Array2<f32>>,
    /// Empty for recordings.
    pub tokens: Vec<Vec<i64>>,
}

/// How an arm is made.
pub struct Way<'a> {
    pub lm: &'a MusicLm,
    pub policy: PhasePolicy,
    pub secs: f64,
    /// Plans in place of the model's own.
    pub given: Option<&'a [Plan]>,
    /// Whether the plan's codes are thoughts, which can be compared with audio.
    pub has_thoughts: bool,
    /// Whether the diffusion is told the thoughts.
    pub tells_diffusion: bool,
}

impl Arm {
    /// Makes a clip of each prompt and hears it; `keep` is given every waveform.
    pub fn make(
        studio: &Studio,
        name: &str,
        asks: &[Ask],
        way: &Way<'_>,
        mut keep: impl FnMut(usize, &AudioBuffer) -> Outcome,
    ) -> Outcome<Self> {
        note(format_args!("{name}: {} clips of {} s", asks.len(), way.secs));
        studio.expect(way.lm)?;
        let written = write(way.lm, asks, way.secs, &way.policy, way.given)?;
        let thoughts = match way.has_thoughts {
            true => written.plans.iter().map(|plan| studio.thoughts(plan)).collect::<Outcome<Vec<_>>>()?,
            false => Vec::new(),
        };
        let told = (way.tells_diffusion && !thoughts.is_empty()).then_some(thoughts.as_slice());
        let mut heard = Vec::new();
        studio.render(asks, &written.tokens, told, |song, audio| {
            keep(song, &audio)?;
            heard.push(Heard::of(&studio.clap, &audio)?);
            Ok(())
        })?;
        Ok(Self { name: name.to_owned(), heard, thoughts, tokens: written.tokens })
    }

    /// The pieces that the prompts are from: what the measures say of real music.
    pub fn of_pieces(context: &Context, studio: &Studio, asks: &[Ask], secs: f64) -> Outcome<Self> {
        let hear = |ask: &Ask| {
            let clip = beginning(&context.heldout, &ask.record, studio.codec.sample_rate_hz(), secs)?;
            Heard::of(&studio.clap, &clip)
        };
        let heard = asks.iter().map(hear).collect::<Outcome<Vec<_>>>()?;
        Ok(Self { name: "the held-out pieces".to_owned(), heard, thoughts: Vec::new(), tokens: Vec::new() })
    }
}

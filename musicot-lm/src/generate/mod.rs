//! Generation in two phases: thoughts, then audio tokens.
//!
//! Each phase is an iterator that runs the model once per item asked for. All songs of a request share the batch, and where guidance
//! is on, their other branches do too. The audio phase
//! starts anew from a plan, so that a plan may come from anywhere or be edited in between; reading it again costs one pass over a
//! hundred or so positions at once.

mod audio;
mod branches;
mod rows;
#[cfg(test)]
mod tests;
mod thoughts;
mod told;

use musicot_core::CounterRng;
use musicot_core::tch::Tensor;
use musicot_sampling::{PhaseConfig, Sampler};

pub use audio::{AudioLength, AudioRequest, AudioSong, AudioStep, AudioTokens};
pub use thoughts::{PlanRequest, PlanSong, ThoughtStep, Thoughts};

use branches::Branches;

use crate::conditions::Conditions;
use crate::{Error, Result};

/// The streams of a phase's songs: a draw is a function of the seed, the phase, the song's number and the position in it.
fn song_streams(seed: u64, phase: &str, songs: impl Iterator<Item = u64>) -> Vec<CounterRng> {
    let root = CounterRng::new(seed).stage("lm").stage(phase);
    songs.map(|song| root.item(song)).collect()
}

/// From the logits of all rows to one choice per song.
struct Chooser {
    sampler: Sampler,
    branches: Branches,
    streams: Vec<CounterRng>,
}

impl Chooser {
    fn new(policy: &PhaseConfig, songs: &[&Conditions], streams: Vec<CounterRng>) -> Result<Self> {
        let branches = Branches::new(policy, songs);
        Ok(Self { sampler: Sampler::new(&policy.sampling)?, branches, streams })
    }

    /// From the logits of the songs; `history` holds each song's earlier choices.
    fn choose(&self, guided: Tensor, history: &[Vec<i64>], position: u64) -> Result<Vec<i64>> {
        Ok(self.sampler.sample(guided, history, &self.streams, position)?)
    }
}

fn expect_songs(count: usize) -> Result<()> {
    match count {
        1..=4096 => Ok(()),
        _ => Err(Error::input("request", format!("expected 1 to 4096 songs, got {count}"))),
    }
}

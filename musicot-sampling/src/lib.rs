//! Logits transforms, guidance and phase policies for autoregressive sampling.
#![doc = include_str!("../README.md")]

mod draw;
mod error;
mod guidance;
mod input;
mod phase;
mod sampler;
#[cfg(test)]
mod tests;
mod transform;

pub use draw::{draw, greedy};
pub use error::{Error, Result};
pub use guidance::{Guidance, nested_guidance};
pub use musicot_core as core;
pub use musicot_core::{CounterRng, GuidanceScale, tch};
pub use phase::{Phase, PhaseConfig, PhasePolicy, TagGuidance};
pub use sampler::{Sampler, SamplingConfig};
pub use transform::{Allow, LogitsTransform, MinP, RepetitionPenalty, Temperature, TopK, TopP, allow};

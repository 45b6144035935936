//! LLaMA decoder with a typed music vocabulary and two-phase generation.
#![doc = include_str!("../README.md")]

mod causal;
mod clock;
mod conditions;
mod config;
mod error;
mod generate;
mod inputs;
mod llama;
pub mod lyrics;
mod mask;
mod model;
mod plan;
mod sequence;
pub mod tags;
#[cfg(test)]
mod tests;
#[cfg(feature = "train")]
pub mod train;
mod vocab;

pub use causal::{CausalLm, LmSession, SessionShape};
pub use conditions::{ConditionReport, Conditions, SectionSpan};
pub use config::{MusicLmConfig, NullBranch, PlanMode};
pub use error::{Error, Result};
pub use generate::{
    AudioLength, AudioRequest, AudioSong, AudioStep, AudioTokens, PlanRequest, PlanSong, ThoughtStep,
    Thoughts,
};
pub use llama::{FastLlama, GreedyOptions, GreedyTokens, Llama, LlamaConfig, RopeScaling};
pub use lyrics::LyricTokenizer;
pub use model::MusicLm;
pub use musicot_core as core;
pub use musicot_core::tch;
pub use musicot_kernels as kernels;
pub use musicot_kernels::WeightKind;
pub use musicot_sampling as sampling;
pub use plan::{FixedThoughts, Plan, ThoughtOrder};
pub use sequence::{Score, Song};
pub use tags::Tags;
pub use vocab::{AudioToken, Emission, Meaning, MusicVocab, ThoughtCode, TokenId, VocabConfig};

#![doc = include_str!("../README.md")]

mod condition;
mod config;
mod denoiser;
mod dit;
mod guidance;
mod noise;
mod objective;
mod sampler;
mod schedule;
pub mod scheduler;
mod session;
pub mod solver;
pub mod stable_audio;
#[cfg(feature = "train")]
pub mod train;

pub use condition::{Condition, Keep, Thoughts, frame_windows};
pub use config::DitConfig;
pub use denoiser::{Denoiser, KnownForm};
pub use dit::Dit;
pub use guidance::NullBranch;
pub use musicot_core as core;
pub use musicot_core::{CounterRng, Error, GuidanceScale, Result, Storage, tch};
pub use noise::frame_noise;
pub use objective::Objective;
pub use sampler::{Known, Request, Sampler, SamplerConfig};
pub use schedule::{MAX_STEPS, Schedule};
pub use session::{DiffusionSession, Score, SessionConfig, render};
pub use solver::{Solver, SolverKind};

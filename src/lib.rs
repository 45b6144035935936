//! Analyzable chain-of-musical-thought music generation.
#![doc = include_str!("../README.md")]

mod alignment;
pub mod analysis;
pub mod bundle;
mod error;
mod generator;
mod manifest;
mod parts;
mod plan;
#[cfg(feature = "train")]
pub mod prepare;
mod progress;
mod reference;
mod request;
mod song;
#[cfg(feature = "train")]
pub mod training;

pub use analysis::Curves;
pub use bundle::{Bundle, BundleConfig, Stage};
pub use error::{Error, ErrorKind, Result};
pub use generator::{Generator, SongStream};
pub use manifest::{Manifest, Timing};
pub use parts::{MemoryMode, Part, Parts};
pub use plan::MusicPlan;
pub use progress::{Event, Progress, Quiet, Step};
pub use reference::{Recording, Reference};
pub use request::{Brief, Request, Seeds, Settings};
pub use song::Song;

pub use musicot_clap as clap;
pub use musicot_codec as codec;
pub use musicot_core as core;
pub use musicot_core::tch;
pub use musicot_diffusion as diffusion;
pub use musicot_lm as lm;
pub use musicot_rvq as rvq;
pub use musicot_sampling as sampling;

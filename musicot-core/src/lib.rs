#![doc = include_str!("../README.md")]

pub mod audio;
pub mod checkpoint;
pub mod device;
pub mod dsp;
mod error;
pub mod files;
pub mod guidance;
#[cfg(feature = "hub")]
pub mod hub;
mod limiter;
pub mod nn;
pub mod params;
#[cfg(feature = "plot")]
pub mod plot;
pub mod published;
pub mod rng;
pub mod shape;
pub mod tensor;
#[cfg(feature = "train")]
pub mod train;

pub use audio::AudioBuffer;
pub use checkpoint::{Checkpoint, CheckpointReport, KeyMap, LoadOptions, Loading, Storage};
pub use error::{Error, Result};
pub use guidance::GuidanceScale;
pub use limiter::Limiter;
pub use params::{Init, ParamStore, Scope};
pub use rng::CounterRng;
pub use tch;

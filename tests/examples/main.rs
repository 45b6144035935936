//! The examples as a user runs them: as programs, on a bundle of tiny random weights.
#![allow(clippy::unwrap_used, clippy::panic)] // also in the helpers of these tests

mod bad_input;
#[path = "../common/mod.rs"]
mod common;
mod conformance;
#[cfg(feature = "train")]
mod evaluate;
#[cfg(all(feature = "train", feature = "plot"))]
mod experiments;
mod generate;
mod inputs;
mod long_audio;
mod mini;
mod others;
#[cfg(feature = "train")]
mod prepare;
mod program;
#[cfg(feature = "train")]
mod train;

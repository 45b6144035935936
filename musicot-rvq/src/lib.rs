//! Residual vector quantisation over libtorch.
#![doc = include_str!("../README.md")]

mod beam;
mod config;
mod evaluation;
mod model;
mod order;
mod published;
mod quantizer;
mod search;
#[cfg(test)]
mod tests;
#[cfg(feature = "train")]
pub mod train;

pub use config::{Metric, RvqConfig};
pub use evaluation::{Evaluation, evaluate};
pub use model::RvqModel;
pub use musicot_core as core;
pub use musicot_core::{Error, Result, tch};
pub use order::Order;
pub use published::PublishedRvq;
pub use quantizer::{ResidualVq, VectorQuantizer};

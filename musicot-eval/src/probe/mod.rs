//! Linear probes: what can be read from features, learned from labelled recordings.
//!
//! [`Classifier`] says which of several instruments sounds, [`Regressor`] how loud one is in a mix; on the features of [`crate::timbre`]
//! they are a second opinion that shares nothing with an embedding such as CLAP. Both standardise their inputs, have an L2 penalty, are
//! fitted on all data at once without any random draw, and are saved and restored by serde. Judge them on pieces that they have
//! not seen.

mod lbfgs;
mod logistic;
mod ridge;
mod scaling;

pub use logistic::Classifier;
pub use ridge::{Regressor, r2};

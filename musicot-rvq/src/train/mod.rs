//! Learning codebooks: k-means start, moving averages, revival of dead codewords.
//!
//! [`RvqLearner`] learns inside the training of another model (a tokenizer's vocabulary); [`train()`] fits a quantiser to given
//! vectors. There are no gradients: codewords follow the vectors that choose them.

mod config;
mod kmeans;
mod learner;
mod run;

pub use config::{LearnConfig, RvqTrainConfig};
pub use learner::{Quantized, RvqLearner};
pub use run::train;

//! The trainer: data, batches, loss, and the measures that say whether the plan helps.

mod batch;
mod config;
mod dataset;
mod measure;
mod task;
mod tokenizer;

pub use config::{DropConfig, LmTrainConfig};
pub use dataset::{TimedSection, TimedText, TokenDataset, TokenInfo, TokenPiece};
pub use measure::{Given, NllConfig, PlanSource, audio_nll_per_piece, thought_nll_per_piece};
pub use task::{LmTask, train};
pub use tokenizer::train_tokenizer;

//! The files of published directories.

mod config;
mod preprocessor;
mod tokenizer;

pub(crate) use preprocessor::{features, has_features};
pub(crate) use tokenizer::{token_limit, tokenizer};

//! Agreement with transformers' `ClapModel`, `ClapFeatureExtractor` and `RobertaTokenizer`, and with `laion_clap`, on directories in their
//! layouts; the cases are made by `tests/reference/clap_published.py`, which also measures how far the reference in f32 is from itself in f64.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

mod agreement;
mod case;
mod copy;
mod laion;
mod refused;
mod tokenizer;

//! Products of stored weights with a few rows of activations, the rest of a decoder layer at one position, and the nearest of many codewords.
#![doc = include_str!("../README.md")]
#![deny(unsafe_op_in_unsafe_fn)]

mod activations;
mod attention;
mod avx2;
mod avx512;
mod cache;
mod codebook;
mod error;
mod gate;
mod isa;
mod kind;
mod lanes;
mod matrix;
mod norm;
mod pack;
mod portable;
mod product;
mod rotary;
#[cfg(test)]
mod tests;
mod threads;

pub use attention::Scratch;
pub use cache::{CacheShape, KvCache};
pub use codebook::Codebook;
pub use error::{Error, Result};
pub use gate::silu_times;
pub use isa::Isa;
pub use kind::{INT4_GROUP, WeightKind};
pub use matrix::Matrix;
pub use norm::rms_norm;
pub use rotary::Turn;
pub use threads::{Threads, at_once};

//! What the tests of several crates share: checkpoints of published sizes, made of random weights on the spot, and the memory of this
//! process.
#![cfg(target_os = "linux")]
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

mod memory;
mod weights;

pub use memory::{within_bytes, within_memory};
pub use weights::{Layout, write_weights};

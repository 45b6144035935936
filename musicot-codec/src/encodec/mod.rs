//! EnCodec (Défossez et al., "High fidelity neural audio compression", 2022), as transformers and the `encodec` package publish it.

mod chunks;
mod config;
mod conv;
mod layers;
mod load;
mod model;

pub use chunks::EncodecChunk;
pub use config::{EncodecConfig, EncodecNorm, EncodecPadding};
pub use model::Encodec;

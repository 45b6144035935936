//! The Descript Audio Codec (Kumar et al., "High-fidelity audio compression with improved RVQGAN", 2023), as Descript and transformers
//! publish it.

mod config;
mod model;
mod original;
mod quantizer;

pub use config::DacConfig;
pub use model::Dac;

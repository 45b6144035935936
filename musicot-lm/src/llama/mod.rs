//! The LLaMA decoder (Touvron et al., 2023): RMS norms, rotary positions, SwiGLU, grouped-query attention.

mod attention;
mod config;
mod model;
mod session;

pub use config::LlamaConfig;
pub use model::Llama;

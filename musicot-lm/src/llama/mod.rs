//! The LLaMA decoder (Touvron et al., 2023): RMS norms, rotary positions, SwiGLU, grouped-query attention.
//!
//! Published directories are read as Hugging Face's `LlamaForCausalLM` reads them; `tests/reference/llama.py` makes the golden files that
//! both have to agree on.

mod attention;
mod config;
mod fast;
mod greedy;
mod load;
mod model;
mod places;
mod published;
mod rotary;
mod session;

pub use config::LlamaConfig;
pub use fast::FastLlama;
pub use greedy::{GreedyOptions, GreedyTokens};
pub use model::Llama;
pub use rotary::RopeScaling;

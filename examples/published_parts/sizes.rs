//! How large the parts are.

use musicot::clap::{AudioConfig, ClapConfig, TextConfig};
use musicot::codec::OobleckConfig;
use musicot::diffusion::DitConfig;
use musicot::lm::LlamaConfig;

use crate::common::Outcome;

/// Configurations of every part that is made here.
pub struct Sizes {
    pub clap: ClapConfig,
    pub vae: OobleckConfig,
    pub llama: LlamaConfig,
    pub dit: DitConfig,
    pub levels: usize,
    pub codebook_size: usize,
    pub audio_tokens: usize,
}

impl Sizes {
    pub fn named(name: &str) -> Outcome<Self> {
        match name {
            "full" => Ok(Self::full()),
            "small" => Ok(Self::small()),
            _ => Err(format!("expected full or small, got {name}").into()),
        }
    }

    /// The larger music CLAP, Stable Audio Open's autoencoder, and about a billion parameters each in language model and diffusion.
    fn full() -> Self {
        Self {
            clap: ClapConfig::htsat_base(),
            vae: OobleckConfig::stable_audio_open(),
            llama: LlamaConfig::tiny_llama_1_1b(),
            dit: DitConfig::full(),
            levels: 12,
            codebook_size: 1024,
            audio_tokens: 2048,
        }
    }

    /// The same layouts in a second or two.
    fn small() -> Self {
        let audio_config = AudioConfig {
            patch_embeds_hidden_size: 8,
            depths: vec![1, 1],
            num_attention_heads: vec![1, 2],
            hidden_size: 16,
            ..AudioConfig::default()
        };
        let text_config = TextConfig {
            vocab_size: 200,
            hidden_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            intermediate_size: 32,
            ..TextConfig::default()
        };
        Self {
            clap: ClapConfig { projection_dim: 16, audio_config, text_config, ..ClapConfig::default() },
            vae: OobleckConfig {
                encoder_hidden_size: 16,
                posterior_channels: 16,
                decoder_channels: 4,
                decoder_input_channels: 8,
                channel_multiples: vec![1, 1, 1, 1, 2],
                ..OobleckConfig::stable_audio_open()
            },
            llama: LlamaConfig {
                hidden_size: 32,
                intermediate_size: 64,
                num_hidden_layers: 1,
                num_attention_heads: 4,
                ..LlamaConfig::default()
            },
            dit: DitConfig { width: 32, depth: 1, heads: 2, semantic_dim: 16, ..DitConfig::default() },
            levels: 3,
            codebook_size: 16,
            audio_tokens: 64,
        }
    }
}

//! Sizes of a LLaMA decoder, in the words of Hugging Face's `config.json`.

use serde::{Deserialize, Serialize};

use super::RopeScaling;
use crate::{Error, Result};

/// Configuration of a [`super::Llama`]. The default is the size of the embedded mini model, which is our choice; the paper's system is
/// LLaMA 1B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LlamaConfig {
    /// Number of token ids.
    pub vocab_size: i64,
    /// Width.
    pub hidden_size: i64,
    /// Width inside the feed-forward networks.
    pub intermediate_size: i64,
    /// Layers.
    pub num_hidden_layers: i64,
    /// Query heads.
    pub num_attention_heads: i64,
    /// Key/value heads; divides the query heads.
    pub num_key_value_heads: i64,
    /// Width of a head (even); `hidden_size / num_attention_heads` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<i64>,
    /// Added to the mean square in the norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How they are changed for long sequences.
    #[serde(skip_serializing_if = "RopeScaling::is_default")]
    pub rope_scaling: RopeScaling,
    /// Positions of the first training: beyond them [`RopeScaling::Dynamic`] changes the frequencies. Nothing else depends on it.
    pub max_position_embeddings: i64,
    /// Whether the four projections of attention have biases.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub attention_bias: bool,
    /// Whether the three matrices of the feed-forward networks have biases.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mlp_bias: bool,
    /// Whether the output matrix is the embedding table.
    pub tie_word_embeddings: bool,
}

impl Default for LlamaConfig {
    fn default() -> Self {
        Self {
            vocab_size: 4096,
            hidden_size: 256,
            intermediate_size: 704,
            num_hidden_layers: 8,
            num_attention_heads: 8,
            num_key_value_heads: 2,
            head_dim: None,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::Default,
            max_position_embeddings: 2048,
            attention_bias: false,
            mlp_bias: false,
            tie_word_embeddings: false,
        }
    }
}

impl LlamaConfig {
    /// The sizes of TinyLlama 1.1B (Zhang et al., 2024), those of the class of decoder that the paper's system has.
    pub fn tiny_llama_1_1b() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 2048,
            intermediate_size: 5632,
            num_hidden_layers: 22,
            num_attention_heads: 32,
            num_key_value_heads: 4,
            ..Self::default()
        }
    }

    /// Width of a head.
    pub fn head_size(&self) -> i64 {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Checks every size.
    ///
    /// # Errors
    /// [`musicot_core::Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if !(1..=1 << 24).contains(&value) {
                return Err(Error::config(field, format!("expected 1 to 2^24, got {value}")));
            }
        }
        if self.num_attention_heads % self.num_key_value_heads != 0 {
            let reason = format!(
                "expected a divisor of {}, got {}",
                self.num_attention_heads, self.num_key_value_heads
            );
            return Err(Error::config("num_key_value_heads", reason));
        }
        if self.head_dim.is_none() && self.hidden_size % self.num_attention_heads != 0 {
            let reason = format!(
                "expected a multiple of {} heads, got {}",
                self.num_attention_heads, self.hidden_size
            );
            return Err(Error::config("hidden_size", reason));
        }
        let head = self.head_size();
        if head <= 0 || head % 2 != 0 || head > 1 << 16 {
            return Err(Error::config("head_dim", format!("expected a positive even number, got {head}")));
        }
        for (field, value) in [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::config(field, format!("expected a positive number, got {value}")));
            }
        }
        self.rope_scaling.validate(head)
    }

    /// Refuses a scaling that depends on absolute positions, which a sequence that rolls on without end cannot have.
    pub(crate) fn expect_unbounded(&self) -> Result<()> {
        if self.rope_scaling.is_dynamic() {
            let reason =
                "dynamic depends on the length of the sequence: expected another scaling where songs roll on";
            return Err(Error::config("rope_scaling", reason));
        }
        Ok(())
    }
}

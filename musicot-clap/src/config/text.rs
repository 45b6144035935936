//! Sizes of the text tower.

use musicot_core::Result;
use serde::{Deserialize, Serialize};

use super::check;
use crate::activation::Activation;

/// How the text tower's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// `tanh(dense(first token))`, as BERT's and RoBERTa's pooler.
    ClsDenseTanh,
    /// The mean over the text's tokens, as in sentence encoders.
    Mean,
}

/// The text tower: a BERT or RoBERTa encoder (post-norm).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// Rows of the word table.
    pub vocab_size: i64,
    /// Width.
    pub hidden_size: i64,
    /// Layers.
    pub num_hidden_layers: i64,
    /// Attention heads.
    pub num_attention_heads: i64,
    /// Width of a layer's inner part.
    pub intermediate_size: i64,
    /// Rows of the position table.
    pub max_position_embeddings: i64,
    /// Rows of the token-type table (row 0 is used).
    pub type_vocab_size: i64,
    /// Epsilon of the layer norms: 1e-12 in the published CLAP files and BERT, 1e-5 in RoBERTa.
    pub layer_norm_eps: f64,
    /// Id that fills up shorter texts of a batch.
    pub pad_token_id: i64,
    /// Row of the position table for the first token: 0 in BERT, `pad_token_id + 1` in RoBERTa, where padding tokens do not count.
    pub position_offset: i64,
    /// How tokens become one vector.
    pub pooling: Pooling,
    /// Tokens of a text that are read, special ones included; the rest is cut and reported.
    pub max_tokens: i64,
    /// Activation within the layers.
    pub hidden_act: Activation,
}

impl Default for TextConfig {
    /// RoBERTa-base as in the published CLAP models, which were trained on 77 tokens.
    fn default() -> Self {
        Self {
            vocab_size: 50_265,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 514,
            type_vocab_size: 1,
            layer_norm_eps: 1e-12,
            pad_token_id: 1,
            position_offset: 2,
            pooling: Pooling::ClsDenseTanh,
            max_tokens: 77,
            hidden_act: Activation::Gelu,
        }
    }
}

impl TextConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let name = |field: &str| format!("text_config.{field}");
        for (field, value, most) in [
            ("vocab_size", self.vocab_size, 10_000_000),
            ("hidden_size", self.hidden_size, 65_536),
            ("num_hidden_layers", self.num_hidden_layers, 1024),
            ("num_attention_heads", self.num_attention_heads, 1024),
            ("intermediate_size", self.intermediate_size, 1_048_576),
            ("max_position_embeddings", self.max_position_embeddings, 1_048_576),
            ("type_vocab_size", self.type_vocab_size, 1024),
        ] {
            check(&name(field), (1..=most).contains(&value), &format!("expected 1..={most}"), value)?;
        }
        let divides = self.hidden_size % self.num_attention_heads == 0;
        check(
            &name("num_attention_heads"),
            divides,
            "expected a divisor of hidden_size",
            self.num_attention_heads,
        )?;
        check(
            &name("layer_norm_eps"),
            self.layer_norm_eps > 0.0,
            "expected a positive number",
            self.layer_norm_eps,
        )?;
        let known = (0..self.vocab_size).contains(&self.pad_token_id);
        check(&name("pad_token_id"), known, "expected an id of the vocabulary", self.pad_token_id)?;
        let (offset, rows) = (self.position_offset, self.max_position_embeddings);
        check(&name("position_offset"), (0..rows).contains(&offset), &format!("expected 0..{rows}"), offset)?;
        // Below this a truncated text would be special tokens only.
        let room = (4..=rows - offset).contains(&self.max_tokens);
        check(
            &name("max_tokens"),
            room,
            &format!("expected 4..={} (the positions)", rows - offset),
            self.max_tokens,
        )
    }
}

//! Sizes of a LLaMA decoder, in the words of Hugging Face's `config.json`.

use std::path::Path;

use musicot_core::Error as CoreError;
use musicot_core::files::read_json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
            tie_word_embeddings: false,
        }
    }
}

/// Keys of published files that do not change what a forward pass computes.
const HARMLESS: [&str; 24] = [
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dtype",
    "eos_token_id",
    "id2label",
    "initializer_range",
    "is_encoder_decoder",
    "label2id",
    "max_position_embeddings",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "return_dict",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "use_cache",
    "use_return_dict",
];

impl LlamaConfig {
    /// Width of a head.
    pub fn head_size(&self) -> i64 {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Checks every size.
    ///
    /// # Errors
    /// [`CoreError::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
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
        Ok(())
    }

    /// Reads a published `config.json`: keys that change nothing are passed over, values that would change the result are refused.
    ///
    /// # Errors
    /// [`CoreError::Format`] names the key.
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let published: Map<String, Value> = read_json(path)?;
        let config = Self::from_published(published).map_err(|reason| CoreError::format(path, reason))?;
        config.validate()?;
        Ok(config)
    }

    fn from_published(published: Map<String, Value>) -> Result<Self, String> {
        let mut own = Map::new();
        for (key, value) in published {
            match key.as_str() {
                "rope_parameters" | "rope_scaling" => read_rope(&key, value, &mut own)?,
                "model_type" => expect_value(&key, &value, &Value::from("llama"))?,
                "hidden_act" => expect_value(&key, &value, &Value::from("silu"))?,
                "attention_bias" | "mlp_bias" => expect_value(&key, &value, &Value::from(false))?,
                name if HARMLESS.contains(&name) => {}
                // A null stands for an absent key in published files.
                _ if value.is_null() => {}
                _ => drop(own.insert(key, value)),
            }
        }
        // Files of multi-head models before grouping leave the key out.
        if let (false, Some(heads)) =
            (own.contains_key("num_key_value_heads"), own.get("num_attention_heads").cloned())
        {
            own.insert("num_key_value_heads".to_owned(), heads);
        }
        for key in
            ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
        {
            if !own.contains_key(key) {
                return Err(format!("key `{key}` is missing"));
            }
        }
        serde_json::from_value(Value::Object(own)).map_err(|e| e.to_string())
    }
}

fn expect_value(key: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("key `{key}`: expected {expected}, got {found}")) }
}

/// `rope_scaling` (older files) and `rope_parameters` (transformers 5): only unscaled rotary embeddings are known here.
fn read_rope(key: &str, value: Value, own: &mut Map<String, Value>) -> Result<(), String> {
    let Value::Object(fields) = value else {
        return if value.is_null() {
            Ok(())
        } else {
            Err(format!("key `{key}`: expected an object, got {value}"))
        };
    };
    // The type first: it explains the other fields.
    for name in ["rope_type", "type"] {
        if let Some(found) = fields.get(name) {
            expect_value(&format!("{key}.{name}"), found, &Value::from("default"))?;
        }
    }
    for (name, value) in fields {
        match name.as_str() {
            "rope_type" | "type" => {}
            "rope_theta" => drop(own.insert(name, value)),
            _ => return Err(format!("key `{key}.{name}` is not supported")),
        }
    }
    Ok(())
}

//! Reading a published `config.json`, in the spelling of transformers 4 or 5.

use std::path::Path;

use musicot_core::Error as CoreError;
use musicot_core::files::read_json;
use musicot_core::tch::Kind;
use serde_json::{Map, Value};

use super::LlamaConfig;
use crate::Result;

/// Keys of published files that do not change what a forward pass computes.
const HARMLESS: [&str; 24] = [
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "eos_token_id",
    "id2label",
    "initializer_range",
    "is_encoder_decoder",
    "label2id",
    "max_sequence_length",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "return_dict",
    "tokenizer_class",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "unsloth_version",
    "use_cache",
    "use_return_dict",
];

/// Keys without which there is no model.
const NEEDED: [&str; 5] =
    ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"];

/// What transformers takes where a file lacks the key.
const USUAL_POSITIONS: i64 = 2048;
const USUAL_EPS: f64 = 1e-6;

/// The scalings of [`super::RopeScaling`], as files call them.
const SCALINGS: [&str; 4] = ["default", "linear", "dynamic", "llama3"];

impl LlamaConfig {
    /// Reads a published `config.json`, of transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`): keys that change nothing
    /// are passed over, absent ones have transformers' values, values that would change the result in a way not known here are refused.
    ///
    /// # Errors
    /// [`CoreError::Format`] names the key; see also [`LlamaConfig::validate`].
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let published: Map<String, Value> = read_json(path)?;
        let config = from_published(published).map_err(|reason| CoreError::format(path, reason))?;
        config.validate()?;
        Ok(config)
    }

    /// The element type that a published `config.json` names (`dtype`, or `torch_dtype` before transformers 5): what
    /// [`super::Llama::load_as`] needs to run a checkpoint in the type it was saved in. `None` where it names none.
    ///
    /// # Errors
    /// [`CoreError::Format`] for another value than `float32`, `float64`, `bfloat16` or `float16`.
    pub fn published_kind(path: impl AsRef<Path>) -> Result<Option<Kind>> {
        let path = path.as_ref();
        let published: Map<String, Value> = read_json(path)?;
        let mut kinds = ["dtype", "torch_dtype"].into_iter().filter_map(|key| {
            let value = published.get(key).filter(|value| !value.is_null())?;
            Some(read_kind(key, value))
        });
        Ok(kinds.next().transpose().map_err(|reason| CoreError::format(path, reason))?)
    }
}

fn read_kind(key: &str, value: &Value) -> Result<Kind, String> {
    match value.as_str().map(|name| name.trim_start_matches("torch.")) {
        Some("float32") => Ok(Kind::Float),
        Some("float64") => Ok(Kind::Double),
        Some("bfloat16") => Ok(Kind::BFloat16),
        Some("float16") => Ok(Kind::Half),
        _ => Err(format!("key `{key}`: expected float32, float64, bfloat16 or float16, got {value}")),
    }
}

fn from_published(published: Map<String, Value>) -> Result<LlamaConfig, String> {
    let mut own = Map::new();
    let (mut scaling, mut parameters) = (None, None);
    for (key, value) in published {
        match key.as_str() {
            // A null stands for an absent key in published files.
            _ if value.is_null() => {}
            "rope_scaling" => scaling = rope_fields(&key, value)?,
            "rope_parameters" => parameters = rope_fields(&key, value)?,
            "dtype" | "torch_dtype" => drop(read_kind(&key, &value)?),
            "model_type" => expect_value(&key, &value, &Value::from("llama"))?,
            "hidden_act" => expect_value(&key, &value, &Value::from("silu"))?,
            // A mark in some files.
            "is_llama_config" => expect_value(&key, &value, &Value::from(true))?,
            "rope_interleaved" => expect_value(&key, &value, &Value::from(false))?,
            "partial_rotary_factor" => expect_whole(&key, &value)?,
            name if HARMLESS.contains(&name) => {}
            _ => drop(own.insert(key, value)),
        }
    }
    if let Some(key) = NEEDED.iter().find(|key| !own.contains_key(**key)) {
        return Err(format!("key `{key}` is missing"));
    }
    // Files of multi-head models before grouping leave the key out.
    let heads = own.get("num_attention_heads").cloned().unwrap_or_default();
    own.entry("num_key_value_heads").or_insert(heads);
    own.entry("max_position_embeddings").or_insert(USUAL_POSITIONS.into());
    own.entry("rms_norm_eps").or_insert(USUAL_EPS.into());
    add_rope(scaling, parameters, &mut own)?;
    serde_json::from_value(Value::Object(own)).map_err(|e| e.to_string())
}

fn expect_value(key: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("key `{key}`: expected {expected}, got {found}")) }
}

/// Whole heads are turned, never a part of them.
fn expect_whole(key: &str, found: &Value) -> Result<(), String> {
    if found.as_f64() == Some(1.0) { Ok(()) } else { Err(format!("key `{key}`: expected 1, got {found}")) }
}

/// The fields of a rope object without nulls, under the name of its key; `None` where it is empty.
fn rope_fields(key: &str, value: Value) -> Result<Option<Map<String, Value>>, String> {
    let Value::Object(mut fields) = value else {
        return Err(format!("key `{key}`: expected an object, got {value}"));
    };
    fields.retain(|_, value| !value.is_null());
    Ok(if fields.is_empty() { None } else { Some(fields) })
}

/// The one rope object of a file as the `rope_scaling` and `rope_theta` of [`LlamaConfig`].
fn add_rope(
    scaling: Option<Map<String, Value>>,
    parameters: Option<Map<String, Value>>,
    own: &mut Map<String, Value>,
) -> Result<(), String> {
    let (key, mut fields) = match (scaling, parameters) {
        (None, None) => return Ok(()),
        (Some(fields), None) => ("rope_scaling", fields),
        (None, Some(fields)) => ("rope_parameters", fields),
        (Some(fields), Some(same)) if fields == same => ("rope_parameters", fields),
        (Some(_), Some(_)) => {
            return Err("keys `rope_scaling` and `rope_parameters` contradict one another".to_owned());
        }
    };
    // The older name, which the newer one overrides.
    let older = fields.remove("type");
    let name = fields.remove("rope_type").or(older).unwrap_or_else(|| "default".into());
    let Some(name) = name.as_str().filter(|name| SCALINGS.contains(name)).map(str::to_owned) else {
        return Err(format!("key `{key}`: rope type {name} is not supported, only {}", SCALINGS.join(", ")));
    };
    if let Some(theta) = fields.remove("rope_theta") {
        own.insert("rope_theta".to_owned(), theta);
    }
    if let Some(part) = fields.remove("partial_rotary_factor") {
        expect_whole(&format!("{key}.partial_rotary_factor"), &part)?;
    }
    // The tag of an unscaled rope would let other fields pass.
    if let (Some(other), "default") = (fields.keys().next(), name.as_str()) {
        return Err(format!("key `{key}.{other}` is not known for the rope type default"));
    }
    if let ("llama3", Some(positions)) = (name.as_str(), own.get("max_position_embeddings")) {
        fields.entry("original_max_position_embeddings").or_insert(positions.clone());
    }
    fields.insert("rope_type".to_owned(), name.into());
    // Read by itself first, for an error that says where it is.
    serde_json::from_value::<super::RopeScaling>(Value::Object(fields.clone()))
        .map_err(|e| format!("key `{key}`: {e}"))?;
    own.insert("rope_scaling".to_owned(), Value::Object(fields));
    Ok(())
}

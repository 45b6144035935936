//! Reading a published `config.json`, in the spelling of transformers 4 or 5.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use musicot_core::tch::Kind;

use super::LlamaConfig;
use crate::Result;

/// Keys that only Llama's files have and that do not change what a forward pass computes.
const HARMLESS: [&str; 4] = ["max_sequence_length", "pretraining_tp", "unsloth_version", "use_cache"];

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
    /// [`musicot_core::Error::Format`] names the key; see also [`LlamaConfig::validate`].
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let config = from_published(PublishedConfig::read(path)?)?;
        config.validate()?;
        Ok(config)
    }

    /// The element type that a published `config.json` names (`dtype`, or `torch_dtype` before transformers 5): what
    /// [`super::Llama::load_as`] needs to run a checkpoint in the type it was saved in. `None` where it names none.
    ///
    /// # Errors
    /// [`musicot_core::Error::Format`] for another value than `float32`, `float64`, `bfloat16` or `float16`.
    pub fn published_kind(path: impl AsRef<Path>) -> Result<Option<Kind>> {
        Ok(PublishedConfig::read(path)?.kind()?)
    }
}

fn from_published(mut published: PublishedConfig) -> Result<LlamaConfig> {
    published.kind()?;
    published.expect("model_type", "llama")?;
    published.expect("hidden_act", "silu")?;
    // A mark in some files.
    published.expect("is_llama_config", true)?;
    published.expect("rope_interleaved", false)?;
    // Whole heads are turned, never a part of them.
    published.expect("partial_rotary_factor", 1)?;
    add_rope(&mut published)?;
    let mut own = published.ignore_usual().ignore(&HARMLESS);
    for key in NEEDED {
        own.require(key)?;
    }
    // Files of multi-head models before grouping leave the key out.
    if let Some(heads) = own.get("num_attention_heads").cloned() {
        own.set_default("num_key_value_heads", heads);
    }
    own.set_default("max_position_embeddings", USUAL_POSITIONS);
    own.set_default("rms_norm_eps", USUAL_EPS);
    Ok(own.parse()?)
}

/// Turns the one rope object of a file into the `rope_scaling` and `rope_theta` of [`LlamaConfig`].
fn add_rope(published: &mut PublishedConfig) -> Result<()> {
    let is_filled = |fields: &PublishedConfig| fields.keys().next().is_some();
    let scaling = published.take_object("rope_scaling")?.filter(is_filled);
    let parameters = published.take_object("rope_parameters")?.filter(is_filled);
    let mut rope = match (scaling, parameters) {
        (None, None) => return Ok(()),
        (Some(rope), None) | (None, Some(rope)) => rope,
        (Some(rope), Some(same)) if rope.holds_what(&same) => rope,
        (Some(_), Some(_)) => {
            return Err(published.wrong("rope_scaling", "contradicts `rope_parameters`").into());
        }
    };
    // The older name, which the newer one overrides.
    let older = rope.take("type");
    let name = rope.take("rope_type").or(older).unwrap_or_else(|| "default".into());
    if !name.as_str().is_some_and(|name| SCALINGS.contains(&name)) {
        let reason = format!("{name} is not supported, only {}", SCALINGS.join(", "));
        return Err(rope.wrong("rope_type", reason).into());
    }
    if let Some(theta) = rope.take("rope_theta") {
        published.set("rope_theta", theta);
    }
    rope.expect("partial_rotary_factor", 1)?;
    // The tag of an unscaled rope would let other fields pass.
    if let (Some(other), true) = (rope.keys().next(), name == "default") {
        return Err(rope.wrong(other, "is not known for the rope type default").into());
    }
    if let (Some(positions), true) = (published.get("max_position_embeddings"), name == "llama3") {
        rope.set_default("original_max_position_embeddings", positions.clone());
    }
    rope.set("rope_type", name);
    // Read by itself first, for an error that says where it is.
    rope.clone().parse::<super::RopeScaling>()?;
    published.set("rope_scaling", rope);
    Ok(())
}

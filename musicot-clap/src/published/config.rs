//! `config.json` of transformers' `ClapModel`, versions 4 and 5.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use musicot_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{features, token_limit};
use crate::activation::Activation;
use crate::config::{AudioConfig, ClapConfig, TextConfig};

/// What the outer object repeats of its towers.
const OF_TOWERS: [&str; 2] = ["hidden_size", "num_hidden_layers"];

/// What the towers' objects repeat of the outer one, which counts.
const OF_OUTER: [&str; 2] = ["projection_dim", "projection_hidden_act"];

/// What any of the objects may hold and no result depends on: dropout, the heads of other tasks, and the settings of text generation that
/// transformers 4 wrote everywhere.
const HARMLESS: [&str; 42] = [
    "attention_probs_dropout_prob",
    "bad_words_ids",
    "begin_suppress_tokens",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "drop_path_rate",
    "early_stopping",
    "enable_patch_fusion",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "fusion_hidden_size",
    "fusion_num_hidden_layers",
    "hidden_dropout_prob",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_classes",
    "num_return_sequences",
    "output_scores",
    "prefix",
    "projection_hidden_size",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tie_word_embeddings",
    "top_k",
    "top_p",
    "typical_p",
    "use_cache",
    "classifier_dropout",
];

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Outer {
    projection_dim: i64,
    logit_scale_init_value: f64,
}

impl Default for Outer {
    fn default() -> Self {
        let ClapConfig { projection_dim, logit_scale_init_value, .. } = ClapConfig::default();
        Self { projection_dim, logit_scale_init_value }
    }
}

impl ClapConfig {
    /// Reads the `config.json` and `preprocessor_config.json` (or `processor_config.json`) of a published directory, as versions 4 and 5 of
    /// transformers write them. Keys that change nothing are passed over, absent ones have transformers' values, and values that would change
    /// the result in a way not known here are refused. A text may have as many tokens as its positions and `tokenizer_config.json` allow.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] names the file and the key.
    pub fn read_published(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let path = dir.join("config.json");
        let mut all = PublishedConfig::read(&path)?;
        all.expect("model_type", "clap")?;
        let audio_config =
            all.take_object("audio_config")?.map_or_else(|| Ok(AudioConfig::default()), audio)?;
        let mut text_config =
            all.take_object("text_config")?.map_or_else(|| Ok(TextConfig::default()), text)?;
        let room = text_config.max_position_embeddings.saturating_sub(text_config.position_offset);
        text_config.max_tokens = token_limit(dir)?.map_or(room, |limit| limit.min(room));
        let projection_hidden_act = all.take_as("projection_hidden_act")?.unwrap_or(Activation::Relu);
        let outer: Outer = all.ignore_usual().ignore(&HARMLESS).ignore(&OF_TOWERS).parse()?;
        let config = Self {
            projection_dim: outer.projection_dim,
            projection_hidden_act,
            logit_scale_init_value: outer.logit_scale_init_value,
            features: features(dir, audio_config.num_mel_bins)?,
            audio_config,
            text_config,
        };
        config.validate().map_err(|e| Error::format(&path, e.to_string()))?;
        Ok(config)
    }
}

fn audio(mut object: PublishedConfig) -> Result<AudioConfig> {
    object.expect("model_type", "clap_audio_model")?;
    // Without, transformers cannot run the model.
    object.expect("flatten_patch_embeds", true)?;
    object.expect("add_cross_attention", false)?;
    let act = object.take_as("hidden_act")?.unwrap_or(Activation::Gelu);
    let is_fused = object.take_as("enable_fusion")?.unwrap_or(false);
    let kind: Option<String> = object.take_as("fusion_type")?;
    if let (true, Some(kind)) = (is_fused, kind.filter(|kind| kind != "aff_2d")) {
        return Err(object.wrong("fusion_type", format!("expected null or \"aff_2d\", got \"{kind}\"")));
    }
    if let Some([rows, columns]) = take_pair(&mut object, "patch_size")? {
        if rows != columns {
            return Err(object.wrong("patch_size", format!("expected a square, got {rows} and {columns}")));
        }
        object.set("patch_size", rows);
    }
    if let Some(stride) = take_pair(&mut object, "patch_stride")? {
        object.set("patch_stride", stride.to_vec());
    }
    // The number of stages, which `depths` says.
    let config: AudioConfig =
        object.ignore_usual().ignore(&HARMLESS).ignore(&OF_OUTER).ignore(&["num_hidden_layers"]).parse()?;
    Ok(AudioConfig { hidden_act: act, enable_fusion: is_fused, ..config })
}

/// One number for both axes, or one for each.
fn take_pair(object: &mut PublishedConfig, key: &str) -> Result<Option<[i64; 2]>> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number or two of them")]
    enum Pair {
        One(i64),
        Two([i64; 2]),
    }
    Ok(object.take_as(key)?.map(|pair| match pair {
        Pair::One(size) => [size, size],
        Pair::Two(sizes) => sizes,
    }))
}

fn text(mut object: PublishedConfig) -> Result<TextConfig> {
    object.expect("model_type", "clap_text_model")?;
    object.expect("position_embedding_type", "absolute")?;
    object.expect("add_cross_attention", false)?;
    object.expect("is_decoder", false)?;
    let act = object.take_as("hidden_act")?.unwrap_or(Activation::Gelu);
    let usual = TextConfig::default();
    let pad_token_id = object.take_as("pad_token_id")?.unwrap_or(usual.pad_token_id);
    for own in ["position_offset", "pooling", "max_tokens"] {
        object.expect(own, Value::Null)?;
    }
    let config: TextConfig = object.ignore_usual().ignore(&HARMLESS).ignore(&OF_OUTER).parse()?;
    Ok(TextConfig {
        hidden_act: act,
        pad_token_id,
        position_offset: pad_token_id.saturating_add(1),
        ..config
    })
}

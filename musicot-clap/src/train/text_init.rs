//! Starting the text tower from a published BERT or RoBERTa encoder.

use std::collections::BTreeMap;
use std::path::Path;

use musicot_core::checkpoint::CheckpointReport;
use musicot_core::files::read_json;
use musicot_core::tch::{self, Tensor};
use musicot_core::{Checkpoint, Error, KeyMap, ParamStore, Result};
use serde::Deserialize;

use super::config::TextInit;
use super::prune::{Pruned, prune_vocabulary};
use crate::activation::Activation;
use crate::config::TextConfig;
use crate::text::TextTokenizer;

/// A published encoder with its vocabulary pruned.
pub(super) struct TextStart {
    pub config: TextConfig,
    json: String,
    kept: Vec<i64>,
    checkpoint: Checkpoint,
}

/// The part of a published `config.json` that matters.
#[derive(Deserialize)]
struct Published {
    model_type: String,
    hidden_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    intermediate_size: i64,
    hidden_act: String,
    layer_norm_eps: f64,
    type_vocab_size: i64,
    #[serde(default)]
    pad_token_id: i64,
}

impl TextStart {
    /// Reads the encoder and prunes its vocabulary to what `texts` need.
    pub(super) fn open(init: &TextInit, texts: &[&str]) -> Result<Self> {
        let path = init.dir.join("config.json");
        let published: Published = read_json(&path)?;
        let position_offset = check(&published, &path)?;
        let path = init.dir.join("tokenizer.json");
        let json = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let texts: Vec<&str> =
            texts.iter().copied().chain(init.keep_texts.iter().map(String::as_str)).collect();
        let Pruned { json, kept } = match init.vocab_size {
            0 => whole(json, init, &published)?,
            size => prune_vocabulary(&json, &texts, size).map_err(|e| Error::format(&path, e.to_string()))?,
        };
        let old_pad = published.pad_token_id;
        let pad_token_id = kept.iter().position(|old| *old == old_pad).ok_or_else(|| {
            Error::format(&path, format!("padding id {old_pad} of config.json is not a special token"))
        })? as i64;
        let config = TextConfig {
            vocab_size: kept.len() as i64,
            hidden_size: published.hidden_size,
            num_hidden_layers: published.num_hidden_layers,
            num_attention_heads: published.num_attention_heads,
            intermediate_size: published.intermediate_size,
            max_position_embeddings: init.max_tokens + position_offset,
            type_vocab_size: published.type_vocab_size,
            layer_norm_eps: published.layer_norm_eps,
            pad_token_id,
            position_offset,
            pooling: init.pooling,
            max_tokens: init.max_tokens,
            hidden_act: Activation::Gelu,
        };
        Ok(Self { config, json, kept, checkpoint: Checkpoint::open(&init.dir)? })
    }

    /// The pruned tokenizer.
    pub(super) fn tokenizer(&self) -> Result<TextTokenizer> {
        TextTokenizer::from_json(self.json.clone(), self.config.max_tokens, self.config.pad_token_id)
    }

    /// Copies the encoder's weights into the parameters below `text_model`.
    pub(super) fn fill(&self, params: &ParamStore) -> Result<()> {
        let map = KeyMap::default().strip_prefix("bert.").strip_prefix("roberta.");
        let map =
            map.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias");
        let renamed = |name: String| map.rename(&name).into_iter().next().map(|own| (own, name));
        let sources: BTreeMap<String, String> =
            self.checkpoint.names().into_iter().filter_map(renamed).collect();
        let mut report = CheckpointReport::default();
        for (name, target) in params.named() {
            let Some(own) = name.strip_prefix("text_model.") else { continue };
            let Some(source) = sources.get(own) else {
                report.missing.push(own.to_owned());
                continue;
            };
            let value = self.select(own, self.checkpoint.tensor(source)?, &target)?;
            if value.size() == target.size() {
                tch::no_grad(|| target.shallow_clone().f_copy_(&value))?;
            } else {
                report.shape_mismatch.push((own.to_owned(), target.size(), value.size()));
            }
        }
        match report.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::Checkpoint { path: self.checkpoint.path().to_owned(), report: Box::new(report) })
            }
        }
    }

    /// The rows of a table that are kept.
    fn select(&self, name: &str, value: Tensor, target: &Tensor) -> Result<Tensor> {
        match name {
            "embeddings.word_embeddings.weight" => {
                Ok(value.f_index_select(0, &Tensor::f_from_slice(&self.kept)?)?)
            }
            "embeddings.position_embeddings.weight" if value.size()[0] > target.size()[0] => {
                Ok(value.f_narrow(0, 0, target.size()[0])?)
            }
            _ => Ok(value),
        }
    }
}

/// A vocabulary that is not pruned, of any kind of tokenizer: as many rows as the file's table has.
fn whole(json: String, init: &TextInit, published: &Published) -> Result<Pruned> {
    let size = TextTokenizer::from_json(json.clone(), init.max_tokens, published.pad_token_id)?.vocab_size();
    Ok(Pruned { json, kept: (0..size as i64).collect() })
}

/// Refuses encoders that compute something else; returns the row of the first position.
fn check(published: &Published, path: &Path) -> Result<i64> {
    if published.hidden_act != "gelu" {
        return Err(Error::format(
            path,
            format!("expected hidden_act `gelu`, got `{}`", published.hidden_act),
        ));
    }
    match published.model_type.as_str() {
        "bert" => Ok(0),
        "roberta" | "xlm-roberta" | "clap_text_model" => Ok(published.pad_token_id + 1),
        other => Err(Error::format(path, format!("expected model_type `bert` or `roberta`, got `{other}`"))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use musicot_core::tch::{Device, set_num_threads};

    use super::*;
    use crate::config::ClapConfig;
    use crate::model::Clap;

    /// A tiny encoder with the reference's mean-pooled outputs; see `tests/reference/clap.py`.
    fn dir() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert")
    }

    const TEXTS: [&str; 3] = ["Solo piano", "a calm violin plays slow music", "drumming pads"];

    fn started(vocab_size: usize, texts: &[&str]) -> Clap {
        set_num_threads(1);
        let init = TextInit { dir: dir(), vocab_size, max_tokens: 32, ..TextInit::default() };
        let start = TextStart::open(&init, texts).unwrap();
        let config = ClapConfig { text_config: start.config.clone(), ..ClapConfig::mini() };
        let model = Clap::with_tokenizer(config, start.tokenizer().unwrap(), Device::Cpu, 0).unwrap();
        start.fill(model.params()).unwrap();
        model
    }

    #[test]
    fn whole_and_pruned_encoders_give_the_reference_outputs() {
        let expected = Checkpoint::open(dir().join("golden.safetensors")).unwrap().tensor("mean").unwrap();
        let whole = started(0, &[]);
        let pruned = started(70, &TEXTS);
        assert!(pruned.config().text_config.vocab_size < whole.config().text_config.vocab_size);
        for model in [&whole, &pruned] {
            let got = tch::no_grad(|| model.pooled_text(&TEXTS)).unwrap();
            let difference = (got - &expected).abs().max().double_value(&[]);
            // Values around 1 after two f32 layers whose sums are ordered differently.
            assert!(difference < 1e-5, "{difference}");
        }
    }

    #[test]
    fn other_encoders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["tokenizer.json", "model.safetensors"] {
            std::fs::copy(dir().join(file), folder.path().join(file)).unwrap();
        }
        let config = std::fs::read_to_string(dir().join("config.json")).unwrap();
        let init = TextInit { dir: folder.path().to_owned(), max_tokens: 32, ..TextInit::default() };
        for (from, to, why) in [
            ("\"gelu\"", "\"relu\"", "hidden_act"),
            ("\"bert\"", "\"t5\"", "model_type"),
            ("hidden_size", "hidden", "hidden_size"),
        ] {
            std::fs::write(folder.path().join("config.json"), config.replace(from, to)).unwrap();
            let error = TextStart::open(&init, &[]).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
        }
        std::fs::write(
            folder.path().join("config.json"),
            config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
        )
        .unwrap();
        let start = TextStart::open(&init, &[]).unwrap();
        let sizes = ClapConfig { text_config: start.config.clone(), ..ClapConfig::mini() };
        let model = Clap::with_tokenizer(sizes, start.tokenizer().unwrap(), Device::Cpu, 0).unwrap();
        assert!(start.fill(model.params()).unwrap_err().to_string().contains("encoder.layer.2"));
    }
}

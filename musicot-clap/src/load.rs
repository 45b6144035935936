//! Reading and writing directories: our own, and published ones.

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, Error, KeyMap, LoadOptions, ParamStore, Result, Storage};
use serde_json::{Map, Value};

use crate::config::ClapConfig;
use crate::model::Clap;
use crate::published;
use crate::text::TextTokenizer;

impl Clap {
    /// Reads a directory, ours or a published one; the key `features` in its `config.json` says that it is ours.
    ///
    /// - Ours: `config.json`, `tokenizer.json` and `model.safetensors`, as [`Clap::save`] writes them.
    /// - Published (transformers' `ClapModel`): `config.json`, `preprocessor_config.json` (or `processor_config.json`), the weights as
    ///   [`Checkpoint::open`] finds them (safetensors or `pytorch_model.bin`, whole or in shards), and `tokenizer.json` or RoBERTa's
    ///   `vocab.json` and `merges.txt`.
    ///
    /// The weights are held in f32, whatever their type in the file.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Format`] name the file, and the key whose value is not known here; [`Error::Checkpoint`] lists missing, extra
    /// and mis-shaped tensors.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`Clap::load`], with weights and activations in another floating-point type. The front end stays in f64, the norms over mel bands
    /// and the embeddings in f32. In bfloat16 the embeddings of small random models kept a cosine of at least 0.9998 to those in f32, in half precision 0.99999.
    ///
    /// # Errors
    /// [`Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`Clap::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        Self::read(dir.as_ref(), store_for(device, kind)?)
    }

    /// Like [`Clap::load`], ready to be trained further.
    ///
    /// # Errors
    /// See [`Clap::load`].
    pub fn load_trainable(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::read(dir.as_ref(), ParamStore::new(device, 0))
    }

    /// Writes `config.json`, `tokenizer.json` and `model.safetensors`, each atomically, the weights last.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn save(&self, dir: impl AsRef<Path>, storage: Storage) -> Result<()> {
        let dir = dir.as_ref();
        write_json(dir.join("config.json"), self.config())?;
        self.tokenizer().save(dir.join("tokenizer.json"))?;
        self.params().save(dir.join("model.safetensors"), storage)
    }

    fn read(dir: &Path, params: ParamStore) -> Result<Self> {
        let (config, tokenizer) = match is_ours(dir)? {
            true => ours(dir)?,
            false => {
                let config = ClapConfig::read_published(dir)?;
                let tokenizer = published::tokenizer(dir, &config.text_config)?;
                (config, tokenizer)
            }
        };
        let model = Self::build(config, tokenizer, params)?;
        let checkpoint = Checkpoint::open(dir)?;
        let rename = without(&checkpoint, KeyMap::default(), is_constant);
        model.params().load(&checkpoint, &LoadOptions { rename, ..LoadOptions::default() })?;
        Ok(model)
    }
}

/// A store to be filled, of a type a model can have.
pub(crate) fn store_for(device: Device, kind: Kind) -> Result<ParamStore> {
    match kind {
        Kind::Float | Kind::Double | Kind::BFloat16 | Kind::Half => Ok(ParamStore::for_loading(device, kind)),
        _ => Err(Error::input("element type", format!("expected a floating-point one, got {kind:?}"))),
    }
}

/// Adds to a map that the tensors of a file which `is_extra` are ignored, and no others.
pub(crate) fn without(checkpoint: &Checkpoint, map: KeyMap, is_extra: impl Fn(&str) -> bool) -> KeyMap {
    let names = checkpoint.names();
    names.iter().filter(|name| is_extra(name)).fold(map, |map, name| map.drop_exact(name))
}

/// Buffers of constants that published files store along with the weights.
fn is_constant(name: &str) -> bool {
    let buffer = name.strip_prefix("text_model.embeddings.");
    matches!(buffer, Some("position_ids" | "token_type_ids"))
        || (name.starts_with("audio_model.audio_encoder.layers.")
            && name.ends_with(".attention.self.relative_position_index"))
}

fn is_ours(dir: &Path) -> Result<bool> {
    let config: Map<String, Value> = read_json(dir.join("config.json"))?;
    Ok(config.contains_key("features"))
}

fn ours(dir: &Path) -> Result<(ClapConfig, TextTokenizer)> {
    let path = dir.join("config.json");
    let config: ClapConfig = read_json(&path)?;
    config.validate().map_err(|e| Error::format(&path, e.to_string()))?;
    let text = &config.text_config;
    let tokenizer = TextTokenizer::load(dir.join("tokenizer.json"), text.max_tokens, text.pad_token_id)?;
    Ok((config, tokenizer))
}

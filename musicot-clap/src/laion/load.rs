//! Loading an original checkpoint.

use std::path::{Path, PathBuf};

use musicot_core::published::PublishedConfig;
use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, Error, KeyMap, LoadOptions, Result};

use super::shapes::{PREFIX, Shapes};
use super::sizes;
use crate::config::{ClapConfig, TextConfig};
use crate::features::bank;
use crate::load::{store_for, without};
use crate::model::Clap;
use crate::published;

/// The mel bank that every original file carries along (and that models with fusion do not use).
const BANK: &str = "audio_branch.logmel_extractor.melW";

impl ClapConfig {
    /// Finds the sizes of an original checkpoint (a file, or a directory; see [`Clap::load_laion`]) in its tensors' shapes.
    ///
    /// What shapes cannot tell is what the original code has fixed (see [`crate::FeatureConfig::default`]; text heads of width 64, texts of 77
    /// tokens), unless the directory says otherwise: a `preprocessor_config.json` about the front end, a `config.json` of a RoBERTa, or of a
    /// `ClapModel` in its `text_config`, about the text tower's `num_attention_heads`, `layer_norm_eps` and `hidden_act`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] names the tensor or the key.
    pub fn read_laion(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Source::find(path.as_ref())?.config()?.1)
    }
}

impl Clap {
    /// Reads a checkpoint of the original code: a file of `torch.save` or safetensors with its names (with or without `module.`), or a directory
    /// with one such file. RoBERTa's tokenizer stands beside the file: `tokenizer.json`, or `vocab.json` and `merges.txt`.
    ///
    /// The sizes (HTSAT-tiny, -base, -large or others, with fusion or without) are found in the shapes; see [`ClapConfig::read_laion`]. Tensors that
    /// only training or classification used are passed over. Samples are taken as they are: see [`super::quantize`]. With fusion, the whole of
    /// a long clip is shrunk without smoothing, as when the models were trained.
    ///
    /// # Errors
    /// See [`Clap::load`].
    pub fn load_laion(path: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_laion_as(path, device, Kind::Float)
    }

    /// Like [`Clap::load_laion`], in another floating-point type; see [`Clap::load_as`].
    ///
    /// # Errors
    /// See [`Clap::load_as`].
    pub fn load_laion_as(path: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        let store = store_for(device, kind)?;
        let source = Source::find(path.as_ref())?;
        let (checkpoint, config) = source.config()?;
        expect_bank(&checkpoint, &config)?;
        let tokenizer = published::tokenizer(&source.dir, &config.text_config)?;
        let model = Self::build(config, tokenizer, store)?;
        let rename = names(&checkpoint);
        model.params().load(&checkpoint, &LoadOptions { rename, ..LoadOptions::default() })?;
        Ok(model)
    }
}

/// Where an original checkpoint lies.
struct Source {
    weights: PathBuf,
    dir: PathBuf,
}

impl Source {
    /// In a directory without weights under a usual name, the one file of `torch.save` under any name.
    fn find(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let dir = path.parent().map(Path::to_owned).unwrap_or_default();
            return Ok(Self { weights: path.to_owned(), dir });
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
            let file = entry.map_err(Error::io(path))?.path();
            let extension = file.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("pt" | "pth" | "ckpt")) {
                found.push(file);
            }
        }
        let weights = match <[PathBuf; 1]>::try_from(found) {
            Ok([file]) => file,
            Err(_) => path.to_owned(),
        };
        Ok(Self { weights, dir: path.to_owned() })
    }

    /// The checkpoint and what it and the files beside it say.
    fn config(&self) -> Result<(Checkpoint, ClapConfig)> {
        let checkpoint = Checkpoint::open(&self.weights)?;
        let mut config = sizes::config(&checkpoint)?;
        if self.dir.join("config.json").exists() {
            add_text(&self.dir.join("config.json"), &mut config.text_config)?;
        }
        if published::has_features(&self.dir) {
            config.features = published::features(&self.dir, config.audio_config.num_mel_bins)?;
        }
        config.validate().map_err(|e| Error::format(&self.weights, e.to_string()))?;
        Ok((checkpoint, config))
    }
}

/// What the configuration of a RoBERTa, or of a CLAP model's text tower, says beside the sizes.
fn add_text(path: &Path, text: &mut TextConfig) -> Result<()> {
    let mut file = PublishedConfig::read(path)?;
    let tower = file.take_object("text_config")?;
    file.expect("model_type", if tower.is_some() { "clap" } else { "roberta" })?;
    let mut own = tower.unwrap_or(file);
    text.num_attention_heads = own.take_as("num_attention_heads")?.unwrap_or(text.num_attention_heads);
    text.layer_norm_eps = own.take_as("layer_norm_eps")?.unwrap_or(text.layer_norm_eps);
    text.hidden_act = own.take_as("hidden_act")?.unwrap_or(text.hidden_act);
    Ok(())
}

/// Refuses a model that was trained on other bands than its configuration says.
fn expect_bank(checkpoint: &Checkpoint, config: &ClapConfig) -> Result<()> {
    let shapes = Shapes::of(checkpoint);
    if config.audio_config.enable_fusion || !shapes.has(BANK) {
        return Ok(());
    }
    let (own, expected) =
        (checkpoint.tensor(&shapes.name(BANK))?, bank(&config.features, config.audio_config.num_mel_bins)?);
    let largest = expected.f_abs()?.f_max()?.f_double_value(&[])?;
    let fits = own.size() == expected.size()
        && own.is_floating_point()
        && own.f_sub(&expected)?.f_abs()?.f_max()?.f_double_value(&[])? <= 1e-5 * largest;
    if fits {
        return Ok(());
    }
    let f = &config.features;
    let bands = config.audio_config.num_mel_bins;
    let reason = format!(
        "expected {bands} bands of {} to {} Hz at {} Hz: say otherwise in a preprocessor_config.json",
        f.min_hz, f.max_hz, f.sample_rate_hz
    );
    Err(shapes.wrong(BANK, &reason))
}

/// From the original names to those of transformers, which are ours.
fn names(checkpoint: &Checkpoint) -> KeyMap {
    without(checkpoint, KeyMap::default(), |name| is_extra(name.strip_prefix(PREFIX).unwrap_or(name)))
        .strip_prefix(PREFIX)
        .replace("audio_branch.", "audio_model.audio_encoder.")
        .replace("text_branch.", "text_model.")
        .replace(".bn0.", ".batch_norm.")
        .replace(".norm1.", ".layernorm_before.")
        .replace(".norm2.", ".layernorm_after.")
        .replace(".attn.proj.", ".attention.output.dense.")
        .replace(".attn.relative_position_bias_table", ".attention.self.relative_position_bias_table")
        .split(".attn.qkv.", &[".attention.self.query.", ".attention.self.key.", ".attention.self.value."])
        .replace(".mlp.fc1.", ".intermediate.dense.")
        .replace(".mlp.fc2.", ".output.dense.")
        .replace("_projection.0.", "_projection.linear1.")
        .replace("_projection.2.", "_projection.linear2.")
}

/// Tensors that no embedding depends on: the front end's constants, the classifier, the second projections of the training loss, and
/// constants of attention.
fn is_extra(name: &str) -> bool {
    const PARTS: [&str; 6] = [
        "audio_branch.spectrogram_extractor.stft.",
        "audio_branch.logmel_extractor.",
        "audio_branch.tscam_conv.",
        "audio_branch.head.",
        "audio_transform.sequential.",
        "text_transform.sequential.",
    ];
    let in_block = || {
        name.starts_with("audio_branch.layers.")
            && (name.ends_with(".attn_mask") || name.ends_with(".attn.relative_position_index"))
    };
    let in_text = || {
        let buffer = name.strip_prefix("text_branch.embeddings.");
        matches!(buffer, Some("position_ids" | "token_type_ids"))
    };
    PARTS.iter().any(|part| name.starts_with(part)) || in_block() || in_text()
}

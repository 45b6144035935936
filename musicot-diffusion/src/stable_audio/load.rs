//! Loading published directories.

use std::path::{Path, PathBuf};

use musicot_core::nn::Rope;
use musicot_core::published::PublishedConfig;
use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, LoadOptions, ParamStore};

use super::names::Layout;
use super::{StableAudioDit, StableAudioDitConfig, original};
use crate::{Error, Result};

impl StableAudioDit {
    /// Loads a published directory in f32, whatever its element type. Which of two layouts it has is told by the tensors:
    ///
    /// - that of diffusers' `StableAudioDiTModel`: `config.json`, and weights as [`Checkpoint::open`] finds them, whole or in shards;
    /// - that of stable-audio-tools: `model_config.json` (or `config.json`), whole or the part of it that describes the
    ///   transformer, and `model.safetensors` or `model.ckpt`. Of a file that also holds the codec and the conditioners, only what is below
    ///   the transformer's prefix (`model.model.`, `model.` or none) is read.
    ///
    /// # Errors
    /// [`musicot_core::Error::Checkpoint`] lists every tensor that does not fit, by the file's name for it; [`Error::Format`] and
    /// [`Error::Config`] name the key whose value is not supported.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`StableAudioDit::load`], with weights and activations in another floating-point type. In bfloat16 the predictions of small
    /// random models kept a cosine of at least 0.9999 to those in f32.
    ///
    /// # Errors
    /// [`Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`StableAudioDit::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        expect_float(kind)?;
        let dir = dir.as_ref();
        let checkpoint = Checkpoint::open(weights(dir))?;
        let layout = Layout::find(&checkpoint)?;
        let config = match &layout {
            Layout::Diffusers => StableAudioDitConfig::read_published(dir.join("config.json"))?,
            Layout::Original(_) => StableAudioDitConfig::read_original(original_config(dir))?,
        };
        let store = ParamStore::for_loading(device, kind);
        let mut model = Self::build(&store.root(), &config, layout != Layout::Diffusers)?;
        let options = LoadOptions { rename: layout.key_map(), ..Default::default() };
        store.load(&checkpoint, &options).map_err(|error| layout.explain(error, &checkpoint))?;
        if let Some(frequencies) = layout.frequencies(&checkpoint, config.rotated() / 2)? {
            model.rope = Rope::from_frequencies(&frequencies, device)?;
        }
        Ok(model)
    }
}

impl StableAudioDitConfig {
    /// Reads the `config.json` of a `StableAudioDiTModel`; absent keys have diffusers' values.
    ///
    /// # Errors
    /// [`Error::Format`] names a key that is not known or has another type; [`Error::Config`] one that is out of range.
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = PublishedConfig::read(path)?;
        file.expect("_class_name", "StableAudioDiTModel")?;
        let config: Self = file.ignore_usual().parse()?;
        config.validate()?;
        Ok(config)
    }

    /// Reads the `model_config.json` of stable-audio-tools: whole, its `model`, the `diffusion` in it, or the `config` in that. Absent
    /// keys have the values of stable-audio-tools. What the file says of codec, conditioners and training is not looked at.
    ///
    /// # Errors
    /// [`Error::Format`] names a key that is not known or has a value that is not supported.
    pub fn read_original(path: impl AsRef<Path>) -> Result<Self> {
        original::read(PublishedConfig::read(path)?)
    }
}

pub(super) fn expect_float(kind: Kind) -> Result<()> {
    if matches!(kind, Kind::Float | Kind::Double | Kind::BFloat16 | Kind::Half) {
        return Ok(());
    }
    Err(Error::input("element type", format!("expected a floating-point one, got {kind:?}")))
}

/// A directory, or the one file in it that [`Checkpoint::open`] would not look for.
fn weights(dir: &Path) -> PathBuf {
    let pickle = dir.join("model.ckpt");
    if pickle.is_file() && !dir.join("model.safetensors").is_file() { pickle } else { dir.to_owned() }
}

fn original_config(dir: &Path) -> PathBuf {
    let own = dir.join("model_config.json");
    if own.is_file() { own } else { dir.join("config.json") }
}

//! Loading published directories.

use std::path::Path;

use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, KeyMap, LoadOptions};

use super::model::Layout;
use super::{Oobleck, OobleckConfig};
use crate::Result;
use crate::conv::store;

/// Where a diffusion model of stable-audio-tools keeps its autoencoder.
const IN_DIFFUSION: &str = "pretransform.model.";

impl Oobleck {
    /// Loads a published directory in f32, whatever its element type: diffusers' (`config.json` and `diffusion_pytorch_model.safetensors`)
    /// or, where there is no `config.json`, one of stable-audio-tools (`model_config.json` and `model.safetensors`, of an autoencoder or
    /// of a whole diffusion model, the rest of which is passed over). Weight norm may be folded or not, in either spelling.
    ///
    /// # Errors
    /// [`musicot_core::Error::Checkpoint`] lists every tensor that does not fit; see also [`OobleckConfig::read_published`] and
    /// [`OobleckConfig::read_original`].
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`Oobleck::load`], computing in another floating-point type. In bfloat16 the outputs of small random models kept a cosine
    /// of at least 0.9994 to those in f32.
    ///
    /// # Errors
    /// [`musicot_core::Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`Oobleck::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        let (dir, store) = (dir.as_ref(), store(device, kind)?);
        let original = dir.join("model_config.json");
        let (config, layout) = match !dir.join("config.json").exists() && original.exists() {
            true => (OobleckConfig::read_original(original)?, Layout::Original),
            false => (OobleckConfig::read_published(dir.join("config.json"))?, Layout::Diffusers),
        };
        let codec = Self::build(&config, store, layout)?;
        let checkpoint = Checkpoint::open(dir)?;
        let rename = if layout == Layout::Original { autoencoder(&checkpoint) } else { KeyMap::default() };
        codec.params().load(&checkpoint, &LoadOptions { rename, ..Default::default() })?;
        Ok(codec)
    }
}

/// Of a diffusion model, the autoencoder alone.
fn autoencoder(checkpoint: &Checkpoint) -> KeyMap {
    match checkpoint.names().iter().any(|name| name.starts_with(IN_DIFFUSION)) {
        true => KeyMap::default().below(IN_DIFFUSION),
        false => KeyMap::default(),
    }
}

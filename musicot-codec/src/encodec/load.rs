//! Loading published checkpoints.

use std::path::Path;

use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, KeyMap, LoadOptions};
use musicot_rvq::PublishedRvq;

use super::{Encodec, EncodecConfig};
use crate::Result;
use crate::conv::store;

/// Where all files keep the codebooks.
const QUANTIZER: &str = "quantizer.";

impl Encodec {
    /// Loads a published directory (`config.json` and weights as [`Checkpoint::open`] finds them) in f32, whatever its element type.
    /// Weight norm may be folded or not, in either spelling.
    ///
    /// # Errors
    /// [`musicot_core::Error::Checkpoint`] lists every tensor that does not fit; see also [`EncodecConfig::read_published`] and
    /// [`PublishedRvq::read`].
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`Encodec::load`], computing in another floating-point type; codewords are searched and added in f32. In bfloat16 small random
    /// models decoded with a cosine of at least 0.9999 to f32, and chose 81 % of the codes alike or more.
    ///
    /// # Errors
    /// [`musicot_core::Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`Encodec::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        let dir = dir.as_ref();
        let config = EncodecConfig::read_published(dir.join("config.json"))?;
        Self::read(&Checkpoint::open(dir)?, &config, device, kind, KeyMap::default())
    }

    /// Loads a file of the `encodec` package (`encodec_24khz-d7cc33bc.th`) in f32. It does not hold its settings:
    /// [`EncodecConfig::khz24`] or [`EncodecConfig::khz48`] are those of the package's models.
    ///
    /// # Errors
    /// As [`Encodec::load`]; tensors have transformers' names there.
    pub fn load_package(file: impl AsRef<Path>, config: &EncodecConfig, device: Device) -> Result<Self> {
        let layers = ["encoder", "decoder"].into_iter().fold(KeyMap::default(), |map, network| {
            map.replace(&format!("{network}.model."), &format!("{network}.layers."))
        });
        // There, a convolution lies in what normalises it, and that in what pads it.
        let rename = ["conv", "convtr"].into_iter().fold(layers, |map, word| {
            map.replace(&format!(".{word}.{word}."), ".conv.").replace(&format!(".{word}.norm."), ".norm.")
        });
        Self::read(&Checkpoint::open(file)?, config, device, Kind::Float, rename)
    }

    fn read(
        checkpoint: &Checkpoint,
        config: &EncodecConfig,
        device: Device,
        kind: Kind,
        rename: KeyMap,
    ) -> Result<Self> {
        config.validate()?;
        let store = store(device, kind)?;
        let quantizer = PublishedRvq::read(checkpoint, QUANTIZER, device)?;
        let codec = Self::build(config, store, quantizer)?;
        // The codebooks are read already, every tensor of them.
        let names = checkpoint.names();
        let codebooks = names.iter().filter(|name| name.starts_with(QUANTIZER));
        let rename = codebooks.fold(rename, |map, name| map.drop_exact(name));
        codec.params().load(checkpoint, &LoadOptions { rename, ..Default::default() })?;
        Ok(codec)
    }
}

//! The networks around the quantiser, and their loading.

use std::path::{Path, PathBuf};

use musicot_core::shape::{ANY, expect, expect_ids};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{Checkpoint, LoadOptions, ParamStore};

use super::DacConfig;
use super::original::read_config;
use super::quantizer::Quantizer;
use crate::conv::{Decoder, Encoder, Names, Nonlinearity, Style, signal, store};
use crate::{Error, Result};

/// Descript's file in a directory of its own.
const WEIGHTS: &str = "weights.pth";

/// Descript's file: the path itself, or in a directory without `config.json` the one of the usual name, else the only one that is called as it
/// is when downloaded (`weights_44khz_8kbps_0.0.1.pth`).
fn original_file(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    if path.join("config.json").exists() {
        return None;
    }
    let usual = path.join(WEIGHTS);
    if usual.exists() {
        return Some(usual);
    }
    let names = path.read_dir().ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut named = names.filter(|name| name.starts_with("weights_") && name.ends_with(".pth"));
    let first = named.next()?;
    named.next().is_none().then(|| path.join(first))
}

/// The Descript Audio Codec: a mono waveform to a few integers per frame, and back.
///
/// Whole clips are coded in one pass, in memory that grows with them.
///
/// ```
/// use musicot_codec::tch::{Device, Kind, Tensor};
/// use musicot_codec::{Dac, DacConfig};
/// let config = DacConfig {
///     encoder_hidden_size: 2, hidden_size: 8, decoder_hidden_size: 8, downsampling_ratios: vec![2, 4],
///     upsampling_ratios: vec![4, 2], codebook_size: 16, codebook_dim: 4, ..DacConfig::khz44()
/// };
/// // Random weights; `Dac::load("dac_44khz", device)` opens published ones.
/// let dac = Dac::new(&config, Device::Cpu, 0)?;
/// let codes = dac.encode(&Tensor::ones([1, 1, 83], (Kind::Float, Device::Cpu)), 9)?;
/// assert_eq!(codes.size(), [1, 9, 11]); // a last frame filled with silence
/// assert_eq!(dac.decode(&codes)?.size(), [1, 1, 88]);
/// # Ok::<(), musicot_codec::Error>(())
/// ```
pub struct Dac {
    config: DacConfig,
    store: ParamStore,
    encoder: Encoder,
    quantizer: Quantizer,
    decoder: Decoder,
}

impl Dac {
    /// A codec with random weights.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(config: &DacConfig, device: Device, seed: u64) -> Result<Self> {
        Self::build(config, ParamStore::new(device, seed), [Names::Roles; 2])
    }

    /// Loads a published codec in f32, whatever its element type: transformers' directory (`config.json` and `model.safetensors`), or Descript's
    /// `weights.pth` (of any name, or of this or its downloaded name in a directory without `config.json`), whose settings are inside. Weight norm
    /// may be folded or not, in either spelling.
    ///
    /// # Errors
    /// [`musicot_core::Error::Checkpoint`] lists every tensor that does not fit; see also [`DacConfig::read_published`].
    pub fn load(path: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(path, device, Kind::Float)
    }

    /// Like [`Dac::load`], computing in another floating-point type; codewords are searched in f32. In bfloat16 small random models
    /// decoded with a cosine of at least 0.9999 to f32, and chose 97 % of the codes alike or more.
    ///
    /// # Errors
    /// [`musicot_core::Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`Dac::load`].
    pub fn load_as(path: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        let (path, store) = (path.as_ref(), store(device, kind)?);
        let (codec, checkpoint) = if let Some(file) = original_file(path) {
            let checkpoint = Checkpoint::open(&file)?;
            let names = ["block", "model"].map(|stack| Names::Numbers { stack, block: "block" });
            (Self::build(&read_config(&checkpoint, &file)?, store, names)?, checkpoint)
        } else {
            let config = DacConfig::read_published(path.join("config.json"))?;
            (Self::build(&config, store, [Names::Roles; 2])?, Checkpoint::open(path)?)
        };
        codec.store.load(&checkpoint, &LoadOptions::default())?;
        Ok(codec)
    }

    /// `names`: of the encoder's and of the decoder's layers.
    fn build(config: &DacConfig, store: ParamStore, names: [Names; 2]) -> Result<Self> {
        config.validate()?;
        let [encoder, decoder] = names.map(|names| Style { names, nonlinearity: Nonlinearity::Snake });
        let root = store.root();
        let encoder = Encoder::new(&root.sub("encoder"), &config.encoder(), encoder)?;
        let quantizer = Quantizer::new(&root.sub("quantizer"), config)?;
        let decoder = Decoder::new(&root.sub("decoder"), &config.decoder(), decoder, true)?;
        Ok(Self { config: config.clone(), store, encoder, quantizer, decoder })
    }

    /// The configuration.
    pub fn config(&self) -> &DacConfig {
        &self.config
    }

    /// The parameters.
    pub fn params(&self) -> &ParamStore {
        &self.store
    }

    /// A waveform `[batch, 1, samples]`, its end padded with silence to a whole frame, to codes of the first levels
    /// `[batch, levels, frames]`.
    ///
    /// # Errors
    /// Another shape, no samples or samples that are not finite, or not 1 to `n_codebooks` levels.
    pub fn encode(&self, waveform: &Tensor, levels: usize) -> Result<Tensor> {
        self.expect_levels(levels as i64)?;
        let waveform = signal("waveform", waveform, 1, &self.store)?;
        let (samples, hop) = (waveform.size()[2], self.config.hop());
        tch::no_grad(|| {
            let padded = waveform.f_constant_pad_nd([0, (hop - samples % hop) % hop])?;
            Ok(self.quantizer.encode(&self.encoder.forward(&padded)?, levels)?)
        })
    }

    /// Codes `[batch, levels, frames]` of the first levels to a waveform `[batch, 1, samples]` in the element type of the weights: a hop
    /// of samples per frame, less a few at the end where a ratio is odd. It is as long as what was encoded with its padding.
    ///
    /// # Errors
    /// Another shape, no frames, codes out of range, or not 1 to `n_codebooks` levels.
    pub fn decode(&self, codes: &Tensor) -> Result<Tensor> {
        expect("codes", codes, &[ANY, ANY, ANY])?;
        expect_ids("codes", codes, self.config.codebook_size)?;
        self.expect_levels(codes.size()[1])?;
        if codes.numel() == 0 {
            return Err(Error::input("codes", format!("expected at least one, got {:?}", codes.size())));
        }
        tch::no_grad(|| {
            let hidden = self.quantizer.decode(&codes.f_to_device(self.store.device())?)?;
            Ok(self.decoder.forward(&hidden)?.f_tanh()?)
        })
    }

    fn expect_levels(&self, levels: i64) -> Result<()> {
        let all = self.config.n_codebooks;
        match (1..=all).contains(&levels) {
            true => Ok(()),
            false => Err(Error::input("levels", format!("expected 1 to {all}, got {levels}"))),
        }
    }
}

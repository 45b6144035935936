//! The whole vocoder.

use std::path::Path;

use musicot_core::nn::{Conv1d, Conv1dConfig, ConvNeXtBlock, LayerNorm};
use musicot_core::shape::{ANY, expect, expect_finite};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{Checkpoint, Error, LoadOptions, Scope};

use super::head::IstftHead;
use super::mel::MelFeatures;
use super::{VocosBackboneConfig, VocosConfig};
use crate::{Result, conv};

/// Frames that the first convolution spans.
const KERNEL: i64 = 7;
const EPS: f64 = 1e-6;

/// A Vocos with mel bands as its features.
///
/// ```
/// # fn main() -> musicot_codec::Result<()> {
/// use musicot_codec::core::ParamStore;
/// use musicot_codec::tch::{Device, Kind, Tensor};
/// use musicot_codec::{Vocos, VocosConfig};
/// let mut config = VocosConfig::mel_24khz();
/// config.backbone.num_layers = 1; // small, with random weights; `Vocos::load("dir", device)` opens published ones
/// let vocos = Vocos::new(&ParamStore::new(Device::Cpu, 7).root(), &config)?;
/// let mel = vocos.mel(&Tensor::zeros([1, 2400], (Kind::Float, Device::Cpu)))?;
/// assert_eq!(mel.size(), [1, 100, 10]); // 2400 / 256 + 1 frames
/// assert_eq!(vocos.decode(&mel)?.size(), [1, 9 * 256]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Vocos {
    config: VocosConfig,
    features: MelFeatures,
    backbone: Backbone,
    head: IstftHead,
}

impl Vocos {
    /// A vocoder over the parameters of a scope: those of the published layout.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(scope: &Scope, config: &VocosConfig) -> Result<Self> {
        config.validate()?;
        let features =
            MelFeatures::new(&scope.sub("feature_extractor").sub("mel_spec"), &config.feature_extractor)?;
        let backbone = Backbone::new(&scope.sub("backbone"), &config.backbone)?;
        let head = IstftHead::new(&scope.sub("head"), &config.head)?;
        Ok(Self { config: config.clone(), features, backbone, head })
    }

    /// Loads a published directory: `config.yaml` (or `config.json`) and weights as [`Checkpoint::open`] finds them (`pytorch_model.bin` or
    /// safetensors), in f32. The file's own windows and filters are used.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] lists every tensor that does not fit; [`Error::Input`] where the window of the inverse transform is far from a periodic
    /// Hann window. See also [`VocosConfig::read_published`].
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`Vocos::load`], with the network in another floating-point type; features, spectra and samples stay in f32. In bfloat16 the samples of small
    /// random models kept a cosine of at least 0.9999 to those in f32, and were off by at most 0.012 at a peak of 0.8.
    ///
    /// # Errors
    /// [`Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`Vocos::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        let dir = dir.as_ref();
        let config = VocosConfig::read_published(dir)?;
        let store = conv::store(device, kind)?;
        let mut vocos = Self::new(&store.root(), &config)?;
        store.load(&Checkpoint::open(dir)?, &LoadOptions::default())?;
        vocos.head.take_window()?;
        Ok(vocos)
    }

    /// The configuration.
    pub fn config(&self) -> &VocosConfig {
        &self.config
    }

    /// Samples per second.
    pub fn sample_rate_hz(&self) -> u32 {
        self.config.feature_extractor.sample_rate
    }

    /// Samples `[batch, samples]` (1 is full scale) to the natural logarithms of their magnitudes in mel bands `[batch, mels, frames]`: `samples / hop + 1`
    /// frames with the padding `center`, `samples / hop` with `same`. At the ends the sound is mirrored.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes; [`Error::Input`] for no clip, or samples that are not finite or too few to be mirrored.
    pub fn mel(&self, audio: &Tensor) -> Result<Tensor> {
        expect("audio", audio, &[ANY, ANY])?;
        expect_finite("audio", audio)?;
        if audio.size()[0] == 0 {
            return Err(Error::input("audio", "expected at least 1 clip, got 0").into());
        }
        tch::no_grad(|| self.features.forward(&audio.f_to_kind(Kind::Float)?))
    }

    /// Mel bands `[batch, mels, frames]` as [`Vocos::mel`] makes them to samples `[batch, samples]` (f32): `frames * hop` of them with the head's padding
    /// `same`, `(frames - 1) * hop` with `center`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other axes; [`Error::Input`] for values that are not finite, or no frame at all.
    pub fn decode(&self, mel: &Tensor) -> Result<Tensor> {
        expect("mel", mel, &[ANY, self.config.backbone.input_channels, ANY])?;
        expect_finite("mel", mel)?;
        if mel.size()[2] == 0 {
            return Err(Error::input("mel", "expected at least 1 frame, got 0").into());
        }
        tch::no_grad(|| self.head.forward(&self.backbone.forward(&mel.f_to_kind(self.head.kind())?)?))
    }
}

#[derive(Debug)]
struct Backbone {
    embed: Conv1d,
    norm: LayerNorm,
    blocks: Vec<ConvNeXtBlock>,
    final_norm: LayerNorm,
}

impl Backbone {
    fn new(scope: &Scope, config: &VocosBackboneConfig) -> Result<Self> {
        let (dim, hidden, layers) = (config.dim, config.intermediate_dim, config.num_layers);
        let gamma = config.layer_scale_init_value.filter(|value| *value > 0.0);
        let gamma = gamma.unwrap_or(1.0 / layers as f64);
        let embed = Conv1dConfig { outputs: dim, ..Conv1dConfig::same(config.input_channels, dim, KERNEL) };
        Ok(Self {
            embed: Conv1d::new(&scope.sub("embed"), embed)?,
            norm: LayerNorm::new(&scope.sub("norm"), dim, EPS)?,
            blocks: (0..layers)
                .map(|i| ConvNeXtBlock::new(&scope.sub("convnext").sub(i), dim, hidden, gamma))
                .collect::<Result<_, Error>>()?,
            final_norm: LayerNorm::new(&scope.sub("final_layer_norm"), dim, EPS)?,
        })
    }

    /// `[batch, mels, frames] -> [batch, frames, dim]`.
    fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let mut x = self.norm.forward(&self.embed.forward(mel)?.f_transpose(1, 2)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        Ok(self.final_norm.forward(&x)?)
    }
}

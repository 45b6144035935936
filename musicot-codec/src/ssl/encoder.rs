//! The whole encoder.

use std::path::Path;

use musicot_core::nn::LayerNorm;
use musicot_core::shape::{ANY, expect, expect_finite};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{Checkpoint, Error, LoadOptions, Scope};

use super::SslConfig;
use super::convolutions::{FrontEnd, Positions};
use super::load::key_map;
use super::transformer::Layer;
use crate::{Result, conv};

/// Added to the variance of a clip.
const CLIP_EPS: f64 = 1e-7;

/// A wav2vec 2.0, HuBERT or MERT encoder.
///
/// ```
/// # fn main() -> musicot_codec::Result<()> {
/// use musicot_codec::core::ParamStore;
/// use musicot_codec::tch::{Device, Kind, Tensor};
/// use musicot_codec::{SslConfig, SslEncoder};
/// let mut config = SslConfig::hubert_base();
/// config.num_hidden_layers = 1; // small, with random weights; `SslEncoder::load("dir", device)` opens published ones
/// let encoder = SslEncoder::new(&ParamStore::new(Device::Cpu, 7).root(), &config)?;
/// let second = Tensor::zeros([1, 16_000], (Kind::Float, Device::Cpu));
/// assert_eq!(encoder.hidden_states(&second, 1)?.size(), [1, 49, 768]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SslEncoder {
    config: SslConfig,
    front_end: FrontEnd,
    positions: Positions,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

impl SslEncoder {
    /// An encoder over the parameters of a scope: those of the published layout, without a prefix and with the weight norm folded.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(scope: &Scope, config: &SslConfig) -> Result<Self> {
        config.validate()?;
        let encoder = scope.sub("encoder");
        Ok(Self {
            front_end: FrontEnd::new(scope, config)?,
            positions: Positions::new(&encoder.sub("pos_conv_embed"), config)?,
            norm: LayerNorm::new(&encoder.sub("layer_norm"), config.hidden_size, config.layer_norm_eps)?,
            layers: (0..config.num_hidden_layers)
                .map(|index| Layer::new(&encoder.sub("layers").sub(index), config))
                .collect::<Result<_>>()?,
            config: config.clone(),
        })
    }

    /// Loads a published directory in f32: `config.json`, `preprocessor_config.json`, and weights as [`Checkpoint::open`] finds them
    /// (safetensors or `pytorch_model.bin`), of the encoder alone or with a head for pretraining, CTC or classification, which is passed over.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] lists every tensor that does not fit; see also [`SslConfig::read_published`].
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`SslEncoder::load`], with weights and activations in another floating-point type. In bfloat16 the hidden states of small random models kept a
    /// cosine of at least 0.9994 to those in f32, and were off by at most 4.1 % of the largest value.
    ///
    /// # Errors
    /// [`Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`SslEncoder::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        let config = SslConfig::read_published(&dir)?;
        let store = conv::store(device, kind)?;
        let encoder = Self::new(&store.root(), &config)?;
        let options = LoadOptions { rename: key_map(&config), ..Default::default() };
        store.load(&Checkpoint::open(dir)?, &options)?;
        Ok(encoder)
    }

    /// The configuration.
    pub fn config(&self) -> &SslConfig {
        &self.config
    }

    /// Samples per second.
    pub fn sample_rate_hz(&self) -> u32 {
        self.config.sample_rate_hz
    }

    /// Samples between frames.
    pub fn hop(&self) -> i64 {
        self.config.hop()
    }

    /// Element type of weights and hidden states.
    pub fn kind(&self) -> Kind {
        self.front_end.kind()
    }

    /// Mono samples `[batch, samples]` to hidden states `[batch, frames, hidden_size]`; [`SslConfig::frames`] says how many frames. Where the directory asks
    /// for it, each clip is brought to mean 0 and variance 1 first.
    ///
    /// `layer` counts as in the list `hidden_states` of transformers 5: 0 is what the first layer is given, and k is the output of layer k, up to
    /// [`SslConfig::num_hidden_layers`]. In models with `do_stable_layer_norm`, none of them has passed the norm behind the last layer;
    /// transformers 4 had [`SslEncoder::last_hidden_state`] as the last of the list.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes; [`Error::Input`] for a layer that is not there, samples that are not finite, or fewer than
    /// [`SslConfig::receptive_field`] of them.
    pub fn hidden_states(&self, samples: &Tensor, layer: usize) -> Result<Tensor> {
        self.check_layer(layer)?;
        tch::no_grad(|| self.encode(&self.prepare(samples)?, layer))
    }

    /// Mono samples `[batch, samples]` to the output of the whole encoder `[batch, frames, hidden_size]`: the last of [`SslEncoder::hidden_states`], behind
    /// the last norm in models with `do_stable_layer_norm`.
    ///
    /// # Errors
    /// As [`SslEncoder::hidden_states`].
    pub fn last_hidden_state(&self, samples: &Tensor) -> Result<Tensor> {
        let hidden = self.hidden_states(samples, self.layers.len())?;
        if !self.config.do_stable_layer_norm {
            return Ok(hidden);
        }
        tch::no_grad(|| Ok(self.norm.forward(&hidden)?))
    }

    pub(super) fn check_layer(&self, layer: usize) -> Result<()> {
        let count = self.layers.len();
        if layer <= count {
            return Ok(());
        }
        Err(Error::input("layer", format!("expected 0 to {count}, got {layer}")).into())
    }

    /// Checks samples `[batch, samples]` and brings each clip to the level that the network is used to; in f32 at least, as sums over a clip
    /// need its digits.
    pub(super) fn prepare(&self, samples: &Tensor) -> Result<Tensor> {
        expect("samples", samples, &[ANY, ANY])?;
        expect_finite("samples", samples)?;
        let samples =
            samples.f_to_kind(if self.kind() == Kind::Double { Kind::Double } else { Kind::Float })?;
        // Nothing has no mean.
        if !self.config.normalize || samples.numel() == 0 {
            return Ok(samples);
        }
        let mean = samples.f_mean_dim([-1].as_slice(), true, None)?;
        let variance = samples.f_var_dim([-1].as_slice(), false, true)?;
        Ok(samples.f_sub(&mean)?.f_div(&variance.f_add_scalar(CLIP_EPS)?.f_sqrt()?)?)
    }

    /// Prepared samples to hidden states.
    pub(super) fn encode(&self, prepared: &Tensor, layer: usize) -> Result<Tensor> {
        let (length, least) = (prepared.size()[1], self.config.receptive_field());
        if length < least {
            return Err(
                Error::input("samples", format!("expected at least {least} of them, got {length}")).into()
            );
        }
        let x = self.front_end.forward(&prepared.f_to_kind(self.kind())?)?;
        let mut x = x.f_add(&self.positions.forward(&x)?)?;
        if !self.config.do_stable_layer_norm {
            x = self.norm.forward(&x)?;
        }
        for layer in &self.layers[..layer] {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}

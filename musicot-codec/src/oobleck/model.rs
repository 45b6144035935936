//! The networks, and their passes over a whole clip.

use musicot_core::ParamStore;
use musicot_core::shape::{ANY, expect};
use musicot_core::tch::{self, Device, Tensor};

use super::session::Session;
use super::{OobleckActivation, OobleckConfig};
use crate::codec::{AudioCodec, DecodeSession};
use crate::conv::{Decoder, Encoder, Names, Nonlinearity, Style, signal};
use crate::{Error, Result};

/// Added to a standard deviation, which is therefore never 0.
const LEAST_DEVIATION: f64 = 1e-4;

/// Latent frames encoded or decoded at a time.
pub(super) const BLOCK: i64 = 24;

/// The autoencoder of Stable Audio.
///
/// As an [`AudioCodec`], it encodes to means (of clips padded to whole frames) and works block by block, in memory that does not grow
/// with the song; in each direction a block is computed with all the context on which it depends. Where a ratio is odd, its decoder
/// gives a few samples less than a hop per frame: `decode` fills them with silence at the very end.
/// [`Oobleck::posterior`] and [`Oobleck::reconstruct`] are the reference's passes over a whole clip, without padding.
///
/// ```
/// use musicot_codec::tch::{Device, Kind, Tensor};
/// use musicot_codec::{AudioCodec, Oobleck, OobleckConfig};
/// let config = OobleckConfig {
///     encoder_hidden_size: 4, posterior_channels: 6, decoder_channels: 4, decoder_input_channels: 3,
///     downsampling_ratios: vec![2, 4], channel_multiples: vec![1, 2], ..OobleckConfig::stable_audio_open()
/// };
/// // Random weights; `Oobleck::load("stable-audio-open-1.0/vae", device)` opens published ones.
/// let codec = Oobleck::new(&config, Device::Cpu, 0)?;
/// let latents = codec.encode(&Tensor::zeros([1, 2, 80], (Kind::Float, Device::Cpu)))?;
/// assert_eq!(latents.size(), [1, 3, 10]);
/// assert_eq!(codec.decode(&latents)?.size(), [1, 2, 80]);
/// # Ok::<(), musicot_codec::Error>(())
/// ```
pub struct Oobleck {
    config: OobleckConfig,
    store: ParamStore,
    encoder: Encoder,
    decoder: Decoder,
}

/// A normal distribution per latent, `[batch, latent_dim, frames]` each.
#[derive(Debug)]
pub struct Posterior {
    /// Means.
    pub mean: Tensor,
    /// Standard deviations.
    pub std: Tensor,
}

impl Oobleck {
    /// An autoencoder with random weights.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(config: &OobleckConfig, device: Device, seed: u64) -> Result<Self> {
        Self::build(config, ParamStore::new(device, seed), Layout::Diffusers)
    }

    pub(super) fn build(config: &OobleckConfig, store: ParamStore, layout: Layout) -> Result<Self> {
        config.validate()?;
        let style = layout.style(config.activation);
        let encoder = Encoder::new(&store.root().sub("encoder"), &config.encoder(), style)?;
        let decoder = Decoder::new(&store.root().sub("decoder"), &config.decoder(), style, false)?;
        Ok(Self { config: config.clone(), store, encoder, decoder })
    }

    /// The configuration.
    pub fn config(&self) -> &OobleckConfig {
        &self.config
    }

    /// The parameters.
    pub fn params(&self) -> &ParamStore {
        &self.store
    }

    /// What a waveform `[batch, channels, samples]` is encoded to, in one pass: a frame for every whole hop (or nearly, where a ratio
    /// is odd), in the element type of the weights.
    ///
    /// # Errors
    /// Another shape, samples that are not finite, or too few for a frame.
    pub fn posterior(&self, waveform: &Tensor) -> Result<Posterior> {
        let waveform = signal("waveform", waveform, self.config.audio_channels, &self.store)?;
        let samples = waveform.size()[2];
        if self.config.frames(samples) == 0 {
            let reason = format!("expected at least {} samples, got {samples}", self.config.hop());
            return Err(Error::input("waveform", reason));
        }
        tch::no_grad(|| self.to_posterior(&waveform))
    }

    /// Latents `[batch, latent_dim, frames]` to a waveform `[batch, channels, samples]` in one pass, in the element type of the weights.
    ///
    /// # Errors
    /// Another shape, or values that are not finite.
    pub fn reconstruct(&self, latents: &Tensor) -> Result<Tensor> {
        let latents = signal("latents", latents, self.config.decoder_input_channels, &self.store)?;
        tch::no_grad(|| self.to_waveform(&latents))
    }

    fn to_posterior(&self, waveform: &Tensor) -> Result<Posterior> {
        let (half, scale) = (self.config.posterior_channels / 2, self.config.latent_scale);
        let both = self.encoder.forward(waveform)?;
        let std = both.f_narrow(1, half, half)?.f_softplus()?.f_add_scalar(LEAST_DEVIATION)?;
        Ok(Posterior { mean: both.f_narrow(1, 0, half)?.f_div_scalar(scale)?, std: std.f_div_scalar(scale)? })
    }

    pub(super) fn to_waveform(&self, latents: &Tensor) -> Result<Tensor> {
        let waveform = self.decoder.forward(&latents.f_mul_scalar(self.config.latent_scale)?)?;
        Ok(if self.config.final_tanh { waveform.f_tanh()? } else { waveform })
    }

    /// Frames of context on each side of latents to be decoded.
    pub(super) fn decoder_reach(&self) -> i64 {
        self.decoder.reach()
    }

    /// Means of whole frames, each block from a piece of the waveform with its context.
    fn means(&self, waveform: &Tensor) -> Result<Tensor> {
        let (hop, reach) = (self.config.hop(), self.encoder.reach());
        let frames = waveform.size()[2] / hop;
        let block = |from: i64| -> Result<Tensor> {
            let to = (from + BLOCK).min(frames);
            let (start, end) = ((from - reach).max(0), (to + reach).min(frames));
            let piece = waveform.f_narrow(2, start * hop, (end - start) * hop)?;
            Ok(self.to_posterior(&piece)?.mean.f_narrow(2, from - start, to - from)?)
        };
        let blocks = (0..frames).step_by(BLOCK as usize).map(block).collect::<Result<Vec<Tensor>>>()?;
        Ok(Tensor::f_cat(&blocks, 2)?)
    }
}

impl AudioCodec for Oobleck {
    fn sample_rate_hz(&self) -> u32 {
        self.config.sampling_rate
    }

    fn channels(&self) -> i64 {
        self.config.audio_channels
    }

    fn hop_frames(&self) -> i64 {
        self.config.hop()
    }

    fn latent_dim(&self) -> i64 {
        self.config.decoder_input_channels
    }

    fn encode(&self, waveform: &Tensor) -> Result<Tensor> {
        let (means, latents) = (self.config.posterior_channels / 2, self.config.decoder_input_channels);
        if means != latents {
            let reason = format!("the encoder gives {means} latents, the decoder takes {latents}");
            return Err(musicot_core::Error::config("decoder_input_channels", reason).into());
        }
        expect("waveform", waveform, &[ANY, self.config.audio_channels, ANY])?;
        let (batch, _, samples) = waveform.size3()?;
        if batch == 0 || samples == 0 {
            let options = (self.store.kind(), self.store.device());
            return Ok(Tensor::f_zeros([batch, latents, 0], options)?);
        }
        let waveform = signal("waveform", waveform, self.config.audio_channels, &self.store)?;
        let hop = self.config.hop();
        tch::no_grad(|| self.means(&waveform.f_constant_pad_nd([0, (hop - samples % hop) % hop])?))
    }

    fn decode_session(&self, batch: i64) -> Result<Box<dyn DecodeSession + '_>> {
        if batch <= 0 {
            return Err(Error::input("batch", format!("expected at least 1, got {batch}")));
        }
        Ok(Box::new(Session::new(self, batch)))
    }
}

/// How files hold the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Diffusers,
    Original,
}

impl Layout {
    fn style(self, activation: OobleckActivation) -> Style {
        let names = match self {
            Self::Diffusers => Names::Roles,
            Self::Original => Names::Numbers { stack: "layers", block: "layers" },
        };
        let nonlinearity = match (activation, self) {
            (OobleckActivation::Elu, _) => Nonlinearity::Elu,
            (OobleckActivation::Snake, Self::Diffusers) => Nonlinearity::SnakeBeta,
            (OobleckActivation::Snake, Self::Original) => Nonlinearity::FlatSnakeBeta,
        };
        Style { names, nonlinearity }
    }
}

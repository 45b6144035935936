//! Sizes of an Oobleck, and diffusers' `config.json`.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use musicot_core::{Error as CoreError, Result as CoreResult};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::conv::{Sizes, check_ratios, check_sizes};

/// Configuration of a [`crate::Oobleck`], under diffusers' names; the default is [`OobleckConfig::stable_audio_open`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OobleckConfig {
    /// Width of the encoder before its first block.
    pub encoder_hidden_size: i64,
    /// What the encoder gives per frame: means, then scales, of half as many latents each.
    pub posterior_channels: i64,
    /// By how much each block of the encoder lowers the rate, each at least 2; the decoder goes back.
    pub downsampling_ratios: Vec<i64>,
    /// Width behind each block of the encoder, in units of `encoder_hidden_size`, and before each block of the decoder on its way back, in
    /// units of `decoder_channels`.
    pub channel_multiples: Vec<i64>,
    /// Width of the decoder behind its last block.
    pub decoder_channels: i64,
    /// Latents per frame that the decoder takes.
    pub decoder_input_channels: i64,
    /// Channels of the waveform.
    pub audio_channels: i64,
    /// Samples per second and channel.
    pub sampling_rate: u32,
    /// What stands between convolutions.
    pub activation: OobleckActivation,
    /// Whether decoded samples are squeezed into `-1..1` by a hyperbolic tangent.
    pub final_tanh: bool,
    /// Latents are those of the network divided by this.
    pub latent_scale: f64,
}

/// What stands between the convolutions of an [`crate::Oobleck`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OobleckActivation {
    /// `x + sin^2(a x) / b` with `a` and `b` per channel.
    Snake,
    /// Exponential linear units.
    Elu,
}

impl Default for OobleckConfig {
    fn default() -> Self {
        Self::stable_audio_open()
    }
}

impl OobleckConfig {
    /// The autoencoder of Stable Audio Open 1.0 (156 M values; the `vae` folder of `stabilityai/stable-audio-open-1.0`): 44.1 kHz stereo,
    /// 64 latents 21.5 times a second.
    pub fn stable_audio_open() -> Self {
        Self {
            encoder_hidden_size: 128,
            posterior_channels: 128,
            downsampling_ratios: vec![2, 4, 4, 8, 8],
            channel_multiples: vec![1, 2, 4, 8, 16],
            decoder_channels: 128,
            decoder_input_channels: 64,
            audio_channels: 2,
            sampling_rate: 44_100,
            activation: OobleckActivation::Snake,
            final_tanh: false,
            latent_scale: 1.0,
        }
    }

    /// Reads the `config.json` of diffusers' `AutoencoderOobleck`; absent keys have diffusers' values.
    ///
    /// # Errors
    /// [`CoreError::Format`] names a key that is not known or of another type; see also [`OobleckConfig::validate`].
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = PublishedConfig::read(path)?;
        file.expect("_class_name", "AutoencoderOobleck")?;
        let published: Published = file.ignore_usual().parse()?;
        let config = published.into_config();
        config.validate()?;
        Ok(config)
    }

    /// Samples per latent frame.
    pub fn hop(&self) -> i64 {
        self.downsampling_ratios.iter().product()
    }

    /// Frames that so many samples are encoded to, without padding.
    pub(super) fn frames(&self, samples: i64) -> i64 {
        let ratios = self.downsampling_ratios.iter();
        ratios.fold(samples, |frames, ratio| ((frames + ratio % 2) / ratio).max(0))
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`CoreError::Config`] names the field.
    pub fn validate(&self) -> CoreResult<()> {
        check_sizes(&[
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("posterior_channels", self.posterior_channels),
            ("decoder_channels", self.decoder_channels),
            ("decoder_input_channels", self.decoder_input_channels),
            ("audio_channels", self.audio_channels),
            ("sampling_rate", i64::from(self.sampling_rate)),
        ])?;
        check_ratios("downsampling_ratios", &self.downsampling_ratios, 2)?;
        if self.channel_multiples.len() != self.downsampling_ratios.len() {
            let (found, expected) = (self.channel_multiples.len(), self.downsampling_ratios.len());
            let reason = format!("expected {expected} values, one per downsampling ratio, got {found}");
            return Err(CoreError::config("channel_multiples", reason));
        }
        for multiple in &self.channel_multiples {
            check_sizes(&[("channel_multiples", *multiple)])?;
        }
        if self.posterior_channels % 2 != 0 {
            let reason = format!("expected as many means as scales, got {}", self.posterior_channels);
            return Err(CoreError::config("posterior_channels", reason));
        }
        if !(self.latent_scale.is_finite() && self.latent_scale > 0.0) {
            let reason = format!("expected a positive number, got {}", self.latent_scale);
            return Err(CoreError::config("latent_scale", reason));
        }
        Ok(())
    }

    pub(super) fn encoder(&self) -> Sizes {
        Sizes {
            inputs: self.audio_channels,
            widths: self.widths(self.encoder_hidden_size),
            ratios: self.downsampling_ratios.clone(),
            outputs: self.posterior_channels,
        }
    }

    pub(super) fn decoder(&self) -> Sizes {
        Sizes {
            inputs: self.decoder_input_channels,
            widths: self.widths(self.decoder_channels).into_iter().rev().collect(),
            ratios: self.downsampling_ratios.iter().rev().copied().collect(),
            outputs: self.audio_channels,
        }
    }

    /// From the rate of samples on.
    fn widths(&self, unit: i64) -> Vec<i64> {
        [1].iter().chain(&self.channel_multiples).map(|multiple| unit * multiple).collect()
    }
}

/// diffusers' keys, with its defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Published {
    encoder_hidden_size: i64,
    downsampling_ratios: Vec<i64>,
    channel_multiples: Vec<i64>,
    decoder_channels: i64,
    decoder_input_channels: i64,
    audio_channels: i64,
    sampling_rate: u32,
}

impl Default for Published {
    fn default() -> Self {
        let usual = OobleckConfig::stable_audio_open();
        Self {
            encoder_hidden_size: usual.encoder_hidden_size,
            downsampling_ratios: usual.downsampling_ratios,
            channel_multiples: usual.channel_multiples,
            decoder_channels: usual.decoder_channels,
            decoder_input_channels: usual.decoder_input_channels,
            audio_channels: usual.audio_channels,
            sampling_rate: usual.sampling_rate,
        }
    }
}

impl Published {
    /// There, the encoder gives as much as it is wide at first.
    fn into_config(self) -> OobleckConfig {
        OobleckConfig {
            encoder_hidden_size: self.encoder_hidden_size,
            posterior_channels: self.encoder_hidden_size,
            downsampling_ratios: self.downsampling_ratios,
            channel_multiples: self.channel_multiples,
            decoder_channels: self.decoder_channels,
            decoder_input_channels: self.decoder_input_channels,
            audio_channels: self.audio_channels,
            sampling_rate: self.sampling_rate,
            ..OobleckConfig::stable_audio_open()
        }
    }
}

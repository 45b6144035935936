//! The `model_config.json` of stable-audio-tools: an autoencoder by itself, or as the pretransform of a diffusion model.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use musicot_core::{Error as CoreError, Result as CoreResult};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{OobleckActivation, OobleckConfig};
use crate::Result;

impl OobleckConfig {
    /// Reads the `model_config.json` of stable-audio-tools: an Oobleck with the bottleneck of a variational autoencoder, at the top
    /// or as `model.pretransform`. How it is to be run (`model_half`, `iterate_batch`) is passed over.
    ///
    /// # Errors
    /// [`CoreError::Format`] names a key that is missing, not known, or has a value that this crate does not compute (another type of
    /// encoder or bottleneck, anti-aliased activations, upsampling by repetition, clipping); see also [`OobleckConfig::validate`].
    pub fn read_original(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = PublishedConfig::read(path)?;
        let sampling_rate = needed(&mut file, "sample_rate")?;
        let mut model = object(&mut file, "model")?;
        let (mut autoencoder, latent_scale) = match model.take_object("pretransform")? {
            Some(mut pretransform) => {
                pretransform.expect("type", "autoencoder")?;
                pretransform.expect("chunked", false)?;
                let scale = pretransform.take_as("scale")?.unwrap_or(1.0);
                let inner = object(&mut pretransform, "config")?;
                pretransform.ignore(&["model_half", "iterate_batch"]).parse::<Nothing>()?;
                (inner, scale)
            }
            None => (model, 1.0),
        };
        let config = Self { sampling_rate, latent_scale, ..read_autoencoder(&mut autoencoder)? };
        config.validate()?;
        Ok(config)
    }
}

fn read_autoencoder(model: &mut PublishedConfig) -> CoreResult<OobleckConfig> {
    let encoder: Encoder = part(model, "encoder")?;
    let decoder: Decoder = part(model, "decoder")?;
    object(model, "bottleneck").and_then(|mut bottleneck| {
        bottleneck.require("type")?;
        bottleneck.expect("type", "vae")?;
        bottleneck.ignore(&["config"]).parse::<Nothing>()
    })?;
    let channels: i64 = needed(model, "io_channels")?;
    let hop = encoder.strides.iter().try_fold(1_i64, |hop, stride| hop.checked_mul(*stride));
    model.expect("in_channels", channels)?;
    model.expect("out_channels", channels)?;
    model.expect("latent_dim", decoder.latent_dim)?;
    model.expect("downsampling_ratio", hop)?;
    model.clone().parse::<Nothing>()?;
    for (field, found, expected) in [
        ("encoder.config.in_channels", encoder.in_channels, channels),
        ("decoder.config.out_channels", decoder.out_channels, channels),
        ("encoder.config.latent_dim", encoder.latent_dim, decoder.latent_dim.saturating_mul(2)),
    ] {
        if found != expected {
            return Err(model.wrong(field, format!("expected {expected}, got {found}")));
        }
    }
    if (&encoder.strides, &encoder.c_mults, encoder.use_snake)
        != (&decoder.strides, &decoder.c_mults, decoder.use_snake)
    {
        let reason = "expected the strides, c_mults and use_snake of the encoder";
        return Err(model.wrong("decoder.config", reason));
    }
    Ok(OobleckConfig {
        encoder_hidden_size: encoder.channels,
        posterior_channels: encoder.latent_dim,
        downsampling_ratios: encoder.strides,
        channel_multiples: encoder.c_mults,
        decoder_channels: decoder.channels,
        decoder_input_channels: decoder.latent_dim,
        audio_channels: channels,
        activation: if encoder.use_snake { OobleckActivation::Snake } else { OobleckActivation::Elu },
        final_tanh: decoder.final_tanh,
        ..OobleckConfig::stable_audio_open()
    })
}

/// The options of an encoder or decoder, which must be an Oobleck without what is not computed here.
fn part<T: DeserializeOwned>(model: &mut PublishedConfig, name: &str) -> CoreResult<T> {
    let mut part = object(model, name)?;
    part.require("type")?;
    part.expect("type", "oobleck")?;
    part.expect("soft_clip", false)?;
    let mut options = object(&mut part, "config")?;
    part.ignore(&["requires_grad"]).parse::<Nothing>()?;
    options.expect("antialias_activation", false)?;
    options.expect("use_nearest_upsample", false)?;
    options.parse()
}

fn object(of: &mut PublishedConfig, key: &str) -> CoreResult<PublishedConfig> {
    match of.take_object(key)? {
        Some(object) => Ok(object),
        None => Err(missing(of, key)),
    }
}

fn needed<T: DeserializeOwned>(of: &mut PublishedConfig, key: &str) -> CoreResult<T> {
    match of.take_as(key)? {
        Some(value) => Ok(value),
        None => Err(missing(of, key)),
    }
}

fn missing(of: &PublishedConfig, key: &str) -> CoreError {
    of.wrong(key, "is missing")
}

/// For objects of which no key may be left.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Encoder {
    in_channels: i64,
    channels: i64,
    latent_dim: i64,
    c_mults: Vec<i64>,
    strides: Vec<i64>,
    use_snake: bool,
}

/// The constructor's defaults.
impl Default for Encoder {
    fn default() -> Self {
        Self {
            in_channels: 2,
            channels: 128,
            latent_dim: 32,
            c_mults: vec![1, 2, 4, 8],
            strides: vec![2, 4, 8, 8],
            use_snake: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Decoder {
    out_channels: i64,
    channels: i64,
    latent_dim: i64,
    c_mults: Vec<i64>,
    strides: Vec<i64>,
    use_snake: bool,
    final_tanh: bool,
}

/// The constructor's defaults.
impl Default for Decoder {
    fn default() -> Self {
        let Encoder { in_channels, channels, latent_dim, c_mults, strides, use_snake } = Encoder::default();
        Self {
            out_channels: in_channels,
            channels,
            latent_dim,
            c_mults,
            strides,
            use_snake,
            final_tanh: true,
        }
    }
}

//! The codec: band levels, the network that refines them, and the transform around both.

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_core::shape::{ANY, expect, expect_finite};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{ParamStore, Storage};

use super::attacks::Attacks;
use super::latents::Levels;
use super::session::Session;
use super::{Magnitudes, SpectralCodecConfig};
use crate::codec::{AudioCodec, DecodeSession};
use crate::convnext::ConvNeXt;
use crate::{Error, Result};

/// The codec of this crate; see the module's documentation.
pub struct SpectralCodec {
    config: SpectralCodecConfig,
    store: ParamStore,
    magnitudes: Magnitudes,
    levels: Levels,
    attacks: Option<Attacks>,
    decoder: ConvNeXt,
}

impl SpectralCodec {
    /// A codec with random weights.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(config: &SpectralCodecConfig, device: Device, seed: u64) -> Result<Self> {
        Self::build(config, ParamStore::new(device, seed))
    }

    /// Loads a directory: `config.json`, and weights as [`musicot_core::Checkpoint::open`] finds them.
    ///
    /// # Errors
    /// A missing or malformed file, or tensors that are not exactly the model's.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        let dir = dir.as_ref();
        let config: SpectralCodecConfig = read_json(dir.join("config.json"))?;
        let codec = Self::build(&config, ParamStore::for_loading(device, Kind::Float))?;
        codec.store.load_file(dir)?;
        Ok(codec)
    }

    /// Writes `config.json` and `model.safetensors` into a directory.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>, storage: Storage) -> Result<()> {
        let dir = dir.as_ref();
        self.store.save(dir.join("model.safetensors"), storage)?;
        Ok(write_json(dir.join("config.json"), &self.config)?)
    }

    fn build(config: &SpectralCodecConfig, store: ParamStore) -> Result<Self> {
        let magnitudes = Magnitudes::new(config, store.device())?;
        let levels = Levels::new(config, store.device())?;
        let attacks = Attacks::new(config, store.device())?;
        let decoder = ConvNeXt::new(&store.root().sub("decoder"), config.decoder())?;
        Ok(Self { config: config.clone(), store, magnitudes, levels, attacks, decoder })
    }

    /// The configuration.
    pub fn config(&self) -> &SpectralCodecConfig {
        &self.config
    }

    /// The parameters.
    pub fn params(&self) -> &ParamStore {
        &self.store
    }

    /// The transform around the network.
    pub fn magnitudes(&self) -> &Magnitudes {
        &self.magnitudes
    }

    /// Samples `[batch, latents * hop]` to latents `[batch, latent_dim, latents]`.
    pub(crate) fn to_latents(&self, samples: &Tensor) -> Result<Tensor> {
        let levels = self.levels.analyse(samples)?;
        match &self.attacks {
            Some(attacks) => Ok(Tensor::f_cat(&[levels, attacks.analyse(samples)?], 1)?),
            None => Ok(levels),
        }
    }

    /// Latents `[batch, latent_dim, latents]` to normalised log-magnitudes `[batch, bands, latents * n]`.
    ///
    /// # Errors
    /// Another shape.
    pub fn to_magnitudes(&self, latents: &Tensor) -> Result<Tensor> {
        expect("latents", latents, &[ANY, self.config.latent_dim, ANY])?;
        let levels = self.levels.spread(&interpolate(latents, self.config.frames_per_latent)?)?;
        Ok(levels.f_add(&self.magnitudes.unstack(&self.decoder.forward(latents)?)?)?)
    }

    /// Decodes magnitudes `[batch, bands, frames]` that came from elsewhere (a limit for any network: see [`Magnitudes::analyse`])
    /// to a waveform `[batch, 1, samples]`, with the phases rebuilt as in [`AudioCodec::decode`].
    ///
    /// # Errors
    /// Another shape.
    pub fn render(&self, normalised: &Tensor) -> Result<Tensor> {
        expect("magnitudes", normalised, &[ANY, self.config.bands(), ANY])?;
        let batch = normalised.size()[0] as usize;
        let mut synthesis = super::phase::BlockSynthesis::new(&self.magnitudes, self.config.rounds, batch)?;
        tch::no_grad(|| {
            let head = synthesis.push(normalised)?;
            Ok(Tensor::f_cat(&[head, synthesis.finish()?], -1)?.f_unsqueeze(1)?)
        })
    }
}

impl AudioCodec for SpectralCodec {
    fn sample_rate_hz(&self) -> u32 {
        self.config.sample_rate_hz
    }

    fn channels(&self) -> i64 {
        1
    }

    fn hop_frames(&self) -> i64 {
        self.config.hop()
    }

    fn latent_dim(&self) -> i64 {
        self.config.latent_dim
    }

    fn encode(&self, waveform: &Tensor) -> Result<Tensor> {
        expect("waveform", waveform, &[ANY, 1, ANY])?;
        expect_finite("waveform", waveform)?;
        let hop = self.config.hop();
        let missing = (hop - waveform.size()[2] % hop) % hop;
        tch::no_grad(|| {
            let padded = waveform.f_select(1, 0)?.f_constant_pad_nd([0, missing])?;
            if padded.size()[1] == 0 {
                let shape = [padded.size()[0], self.config.latent_dim, 0];
                return Ok(Tensor::f_zeros(shape, (Kind::Float, padded.device()))?);
            }
            self.to_latents(&padded)
        })
    }

    fn decode_session(&self, batch: i64) -> Result<Box<dyn DecodeSession + '_>> {
        if batch <= 0 {
            return Err(Error::Core(musicot_core::Error::input(
                "batch",
                format!("expected at least 1, got {batch}"),
            )));
        }
        Ok(Box::new(Session::new(self, batch)?))
    }
}

/// `[batch, latent_dim, latents] -> [batch, latent_dim, latents * n]`: linear between the middles of latents, constant beyond the ends.
fn interpolate(latents: &Tensor, n: i64) -> Result<Tensor> {
    Ok(latents.f_upsample_linear1d([latents.size()[2] * n], false, n as f64)?)
}

//! The stages of a generator, in memory or yet to be loaded.

use musicot_clap::AudioTextEncoder;
use musicot_codec::AudioCodec;
use musicot_diffusion::Denoiser;
use musicot_lm::MusicLm;
use musicot_rvq::VectorQuantizer;

use crate::Result;

/// How long a loaded stage stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryMode {
    /// Until the generator is dropped: later songs start at once.
    #[default]
    KeepAll,
    /// While it works: peak memory is that of the largest stage, and every song loads each stage again. Stages that were made by the
    /// caller ([`Part::ready`]) stay.
    OneStage,
}

/// The stages of a [`crate::Generator`], of any mixture of implementations: this workspace's own, published checkpoints, the caller's.
///
/// They must fit one another: the encoder's and the quantiser's width is the language model's `clap_dim` and the denoiser's width of a
/// thought; the language model's tokens are the denoiser's; the denoiser's latents are the codec's. Latent frames and semantic tokens may
/// run at different rates.
pub struct Parts {
    /// Text and audio to embeddings, such as a published [`musicot_clap::Clap`].
    pub encoder: Part<dyn AudioTextEncoder>,
    /// Embeddings to thoughts and back, such as [`musicot_rvq::RvqModel`].
    pub quantizer: Part<dyn VectorQuantizer>,
    /// Thoughts and semantic tokens.
    pub lm: Part<MusicLm>,
    /// Semantic tokens to latents, such as [`musicot_diffusion::Dit`].
    pub denoiser: Part<dyn Denoiser>,
    /// Latents to a waveform, such as a published [`musicot_codec::Oobleck`].
    pub codec: Part<dyn AudioCodec>,
}

/// A stage that is loaded when it is needed.
pub struct Part<T: ?Sized> {
    loaded: Option<Box<T>>,
    load: Option<Box<dyn Fn() -> Result<Box<T>> + Send>>,
}

impl<T: ?Sized> Part<T> {
    /// A stage that `load` makes, each time that it is needed and not in memory.
    pub fn lazy(load: impl Fn() -> Result<Box<T>> + Send + 'static) -> Self {
        Self { loaded: None, load: Some(Box::new(load)) }
    }

    /// A stage that the caller made; it stays in memory.
    pub fn ready(stage: Box<T>) -> Self {
        Self { loaded: Some(stage), load: None }
    }

    /// The stage, which then stays in memory.
    pub(crate) fn loaded(&mut self) -> Result<&T> {
        let stage = match (self.loaded.take(), &self.load) {
            (Some(stage), _) => stage,
            (None, Some(load)) => load()?,
            (None, None) => {
                return Err(crate::Error::input(
                    "generator",
                    "has a stage that is neither loaded nor loadable",
                ));
            }
        };
        Ok(self.loaded.insert(stage))
    }

    /// Runs `work` on the stage.
    pub(crate) fn with<R>(&mut self, mode: MemoryMode, work: impl FnOnce(&T) -> Result<R>) -> Result<R> {
        let outcome = work(self.loaded()?);
        if mode == MemoryMode::OneStage && self.load.is_some() {
            self.loaded = None;
        }
        outcome
    }
}

//! What a sampler needs of a model.

use musicot_core::tch::{Device, Tensor};

use crate::{Condition, Objective, Result};

/// In which form a denoiser wants the latents that are already known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KnownForm {
    /// Noised like the rest; [`Condition::known`] is left empty. Works with any denoiser (replacement, Lugmayr et al., 2022).
    #[default]
    Noised,
    /// Clean, marked in [`Condition::known`]; the denoiser was trained so.
    Clean,
}

/// A model that predicts an [`Objective`]'s target from noised latents. Weights do not change while it is used.
///
/// # Implementing
/// `predict` must be a pure function, treat each item of the batch as if it were alone, and accept any number of frames. Latents are normalised (mean 0,
/// standard deviation 1 per dim) inside the sampler: override `normalize` and `denormalize` unless yours are so already.
pub trait Denoiser: Send {
    /// What is predicted.
    fn objective(&self) -> Objective;

    /// Values per latent frame.
    fn latent_dim(&self) -> i64;

    /// Latent frames that share one thought, at least 1: the frame rate times the length of a plan's window, whole or not.
    fn frames_per_thought(&self) -> f64;

    /// Frames of the longest window it was trained on.
    fn max_frames(&self) -> usize;

    /// Where its inputs must be.
    fn device(&self) -> Device;

    /// The target for normalised noised latents `x [batch, latent_dim, frames]` at times `time [batch]` in `[0, 1]`, in the shape of `x`.
    ///
    /// # Errors
    /// A tensor of the wrong shape, type or range is named.
    fn predict(&self, x: &Tensor, time: &Tensor, condition: &Condition) -> Result<Tensor>;

    /// How known latents are to be given.
    fn known_form(&self) -> KnownForm {
        KnownForm::Noised
    }

    /// Latents `[batch, latent_dim, frames]` of the codec to those of the network.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    fn normalize(&self, latents: &Tensor) -> Result<Tensor> {
        Ok(latents.shallow_clone())
    }

    /// Latents `[batch, latent_dim, frames]` of the network to those of the codec.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    fn denormalize(&self, latents: &Tensor) -> Result<Tensor> {
        Ok(latents.shallow_clone())
    }
}

//! Oobleck, the variational autoencoder of Stable Audio (Evans et al., "Fast timing-conditioned latent audio diffusion", 2024), as
//! diffusers and stable-audio-tools publish it.

mod config;
mod load;
mod model;
mod original;
mod session;

pub use config::{OobleckActivation, OobleckConfig};
pub use model::{Oobleck, Posterior};

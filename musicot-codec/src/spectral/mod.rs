//! A codec of log-magnitudes: latents are band levels, a ConvNeXt at frame rate brings back what is between them, and phases are
//! rebuilt on decoding.
//!
//! A mel band below 1 kHz is wider than a semitone, so that mel bands, or a loss on them, cannot tell notes apart. The latents of this codec are
//! the levels of bands as narrow as a bin of a long window or half a semitone, over one latent frame: nothing about them is learned, so every
//! value has a meaning, and neighbours in time and pitch are alike, which a generator finds easy. A window long enough for pitch cannot say when within a
//! latent a note begins, so that a few broad bands can be given their course within it besides. A network predicts the magnitudes
//! of a shorter window, which keeps attacks, on top of the levels interpolated over time. No phase is modelled: phases follow from the magnitudes by
//! propagation along spectral peaks and a few rounds of fast Griffin-Lim, block by block, so that streaming equals whole decoding.

mod attacks;
mod config;
mod latents;
mod magnitudes;
mod model;
mod phase;
mod session;

pub use config::SpectralCodecConfig;
pub use magnitudes::Magnitudes;
pub use model::SpectralCodec;

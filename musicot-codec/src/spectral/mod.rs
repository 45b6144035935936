//! A codec of fine log-magnitudes: a ConvNeXt autoencoder at frame rate, with phases rebuilt on decoding.
//!
//! A mel band below 1 kHz is wider than a semitone, so that a loss on mel bands or short windows cannot see notes. This codec keeps
//! the linear bins of a long window where notes live, averages bins above, and models no phase: phases follow from the magnitudes by
//! propagation along spectral peaks and a few rounds of fast Griffin-Lim, block by block, so that streaming equals whole decoding.

mod config;
mod magnitudes;
mod model;
mod phase;
mod session;

pub use config::SpectralCodecConfig;
pub use magnitudes::Magnitudes;
pub use model::SpectralCodec;

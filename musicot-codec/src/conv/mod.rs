//! Residual convolutions that shrink or stretch time, as Oobleck and DAC stack them (Kumar et al., "High-fidelity audio compression with
//! improved RVQGAN", 2023), and what loading any published codec needs.

mod activation;
mod input;
mod names;
mod residual;
mod stack;
mod transposed;

pub(crate) use activation::Nonlinearity;
pub(crate) use input::{check_ratios, check_sizes, signal, store};
pub(crate) use names::Names;
pub(crate) use stack::{Decoder, Encoder, Sizes, Style};
pub(crate) use transposed::{Transposed, TransposedSizes};

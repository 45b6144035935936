//! Phase from magnitudes: fast Griffin-Lim (Perraudin, Balazs and Søndergaard, 2013).

use tch::{Kind, Tensor};

use super::Stft;
use crate::{Error, Result, shape};

/// How the iteration runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GriffinLim {
    /// Rounds of projection.
    pub rounds: usize,
    /// Extrapolation from the last two rounds; 0 is the original algorithm.
    pub momentum: f64,
}

impl Default for GriffinLim {
    fn default() -> Self {
        Self { rounds: 48, momentum: 0.99 }
    }
}

/// Samples `[batch, samples]` whose spectrum has nearly the given magnitudes `[batch, bins, frames]`, starting from the phases
/// (radians, same shape).
///
/// # Errors
/// [`Error::Shape`] when the magnitudes do not fit the transform, or the phases the magnitudes; [`Error::Config`] for a
/// momentum that is negative or not finite.
pub fn griffin_lim(stft: &Stft, magnitudes: &Tensor, phases: &Tensor, config: GriffinLim) -> Result<Tensor> {
    shape::expect("magnitudes", magnitudes, &[shape::ANY, stft.bins(), shape::ANY])?;
    shape::expect("phases", phases, &magnitudes.size())?;
    if !(config.momentum.is_finite() && config.momentum >= 0.0) {
        let reason = format!("expected a finite number of at least 0, got {}", config.momentum);
        return Err(Error::config("momentum", reason));
    }
    let mut estimate = Tensor::f_polar(magnitudes, phases)?;
    let mut previous: Option<Tensor> = None;
    for _ in 0..config.rounds {
        let consistent = stft.forward(&stft.inverse(&estimate)?)?;
        let ahead = match &previous {
            Some(previous) => {
                consistent.f_add(&consistent.f_sub(previous)?.f_mul_scalar(config.momentum)?)?
            }
            None => consistent.shallow_clone(),
        };
        previous = Some(consistent);
        estimate = with_magnitudes(&ahead, magnitudes)?;
    }
    stft.inverse(&estimate)
}

/// The phases of a complex spectrum with other magnitudes of its shape; cheaper than sines and cosines of angles.
///
/// # Errors
/// libtorch refuses shapes that do not match.
pub fn with_magnitudes(spectrum: &Tensor, magnitudes: &Tensor) -> Result<Tensor> {
    let parts = spectrum.f_view_as_real()?;
    let squares = parts.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, Kind::Float)?;
    let scale = magnitudes.f_unsqueeze(-1)?.f_mul(&squares.f_add_scalar(1e-16)?.f_rsqrt()?)?;
    Ok(parts.f_mul(&scale)?.f_contiguous()?.f_view_as_complex()?)
}

//! Phase from magnitudes: fast Griffin-Lim (Perraudin, Balazs and Søndergaard, 2013).

use tch::Tensor;

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
    let by_frame = |tensor: &Tensor| tensor.f_transpose(1, 2)?.f_contiguous();
    let magnitudes = by_frame(magnitudes)?;
    let start = Tensor::f_polar(&magnitudes, &by_frame(phases)?)?;
    let found = refine_phases(stft, &magnitudes, &start, None, config)?;
    stft.inverse(&found.f_transpose(1, 2)?)
}

/// The rounds alone, on frames that follow others. All spectra have frames before bins here, `[batch, frames, bins]`, as the transforms of
/// single frames are fastest: the complex `start` has the `magnitudes` already; `fixed`, any number of frames right before them, takes part but
/// stays as it is. What is returned has the magnitudes, and phases with which it is nearly the transform of a signal.
///
/// # Errors
/// [`Error::Shape`] when the tensors do not fit the transform or one another; [`Error::Config`] for a momentum that is negative or
/// not finite.
pub fn refine_phases(
    stft: &Stft,
    magnitudes: &Tensor,
    start: &Tensor,
    fixed: Option<&Tensor>,
    config: GriffinLim,
) -> Result<Tensor> {
    shape::expect("magnitudes", magnitudes, &[shape::ANY, shape::ANY, stft.bins()])?;
    shape::expect("start", start, &magnitudes.size())?;
    if let Some(fixed) = fixed {
        shape::expect("fixed", fixed, &[magnitudes.size()[0], shape::ANY, stft.bins()])?;
    }
    if !(config.momentum.is_finite() && config.momentum >= 0.0) {
        let reason = format!("expected a finite number of at least 0, got {}", config.momentum);
        return Err(Error::config("momentum", reason));
    }
    let mut estimate = start.shallow_clone();
    if estimate.numel() == 0 {
        return Ok(estimate);
    }
    let projection = Projection::new(stft, magnitudes.size()[1], fixed)?;
    let mut previous: Option<Tensor> = None;
    for _ in 0..config.rounds {
        let consistent = projection.apply(&estimate)?;
        let ahead = match &previous {
            // As pairs of real numbers: libtorch has no fast kernel for complex ones.
            Some(previous) => previous
                .f_view_as_real()?
                .f_lerp(&consistent.f_view_as_real()?, 1.0 + config.momentum)?
                .f_view_as_complex()?,
            None => consistent.shallow_clone(),
        };
        previous = Some(consistent);
        estimate = with_magnitudes(&ahead, magnitudes)?;
    }
    Ok(estimate)
}

/// Spectra scaled to other magnitudes; zero stays zero. The square of a length as a product with the conjugate takes a third of the time
/// that libtorch takes for the length, which guards against squares beyond f32.
fn with_magnitudes(spectra: &Tensor, magnitudes: &Tensor) -> Result<Tensor> {
    let squares = spectra.f_mul(&spectra.f_conj()?)?.f_real()?;
    let scale = squares.f_clamp_min(f64::from(f32::MIN_POSITIVE))?.f_rsqrt()?.f_mul(magnitudes)?;
    Ok(spectra.f_mul(&scale)?)
}

/// From spectra to the nearest that are the transform of a signal: to the signal and back. What the rounds have in common is done once.
struct Projection<'a> {
    stft: &'a Stft,
    /// What the frames before add to the first samples, `[batch, any]`; as yet without weights.
    before: Option<Tensor>,
    /// Inverse of the windows' sum, and nothing where there is no signal, `[samples]`.
    gain: Tensor,
}

impl<'a> Projection<'a> {
    fn new(stft: &'a Stft, frames: i64, fixed: Option<&Tensor>) -> Result<Self> {
        let held = fixed.map_or(0, |fixed| fixed.size()[1]);
        let from = held * stft.hop();
        let overlap = stft.n_fft() - stft.hop();
        let before = match fixed {
            Some(fixed) if held > 0 => {
                Some(stft.overlap_add(&stft.pieces(fixed)?)?.f_narrow(1, from, overlap)?)
            }
            _ => None,
        };
        let gain = stft.gain(held + frames)?;
        let gain = gain.f_narrow(0, from, gain.size()[0] - from)?;
        Ok(Self { stft, before, gain })
    }

    /// `[batch, frames, bins]` to the same shape.
    fn apply(&self, spectra: &Tensor) -> Result<Tensor> {
        let sum = self.stft.overlap_add(&self.stft.pieces(spectra)?)?;
        if let Some(before) = &self.before {
            let _ = sum.f_narrow(1, 0, before.size()[1])?.f_add_(before)?;
        }
        self.stft.spectra(&sum.f_mul(&self.gain)?)
    }
}

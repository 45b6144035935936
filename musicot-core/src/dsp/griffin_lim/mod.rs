//! Phase from magnitudes: fast Griffin-Lim (Perraudin, Balazs and Søndergaard, 2013).

mod rounds;

use realfft::num_complex::Complex32;
use tch::Tensor;

pub(super) use self::rounds::{Frames, Rounds};
use super::Stft;
use crate::tensor::to_vec;
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

impl GriffinLim {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] for a momentum that is negative or not finite.
    pub fn validate(&self) -> Result<()> {
        if self.momentum.is_finite() && self.momentum >= 0.0 {
            return Ok(());
        }
        let reason = format!("expected a finite number of at least 0, got {}", self.momentum);
        Err(Error::config("momentum", reason))
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
/// stays as it is. The work is done on the host, in f32. What is returned has the magnitudes, and phases with which it is nearly the transform of a signal.
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
    let rounds = Rounds::new(stft, config)?;
    if start.numel() == 0 {
        return Ok(start.shallow_clone());
    }
    let held = fixed.map_or(0, |fixed| fixed.size()[1]);
    let (frames, bins) = (magnitudes.size()[1], stft.bins());
    // Of the weights of all samples, fixed ones included, those from the first frame on.
    let gain = to_vec(&stft.gain(held + frames)?)?.split_off((held * stft.hop()) as usize);
    let (targets, mut estimate) = (to_vec(magnitudes)?, to_complex(start)?);
    let fixed = fixed.map(to_complex).transpose()?.unwrap_or_default();
    let song = (frames * bins) as usize;
    for (index, (magnitudes, estimate)) in targets.chunks(song).zip(estimate.chunks_mut(song)).enumerate() {
        let held = (held * bins) as usize;
        let before = rounds.before(&fixed[index * held..(index + 1) * held])?;
        rounds.run(Frames { magnitudes, estimate, before: &before, gain: &gain })?;
    }
    let parts: Vec<f32> = estimate.iter().flat_map(|value| [value.re, value.im]).collect();
    let found = Tensor::f_from_slice(&parts)?.f_reshape([-1, frames, bins, 2])?.f_view_as_complex()?;
    Ok(found.f_to_device(start.device())?)
}

/// Copies a complex tensor's values in row-major order.
fn to_complex(tensor: &Tensor) -> Result<Vec<Complex32>> {
    let parts = to_vec(&tensor.f_view_as_real()?)?;
    Ok(parts.chunks_exact(2).map(|pair| Complex32::new(pair[0], pair[1])).collect())
}

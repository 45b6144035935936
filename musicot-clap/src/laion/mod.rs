//! Checkpoints of the original code of LAION (`laion_clap` 1.1), whose files say nothing but their tensors.

mod load;
mod shapes;
mod sizes;

use musicot_core::Result;
use musicot_core::tch::{Kind, Tensor};

/// Rounds samples as the original package does before it embeds audio: clipped to [-1, 1], cut off (not rounded) to 16-bit steps.
///
/// [`crate::Clap`] never does this by itself; apply it to the samples where the package's own numbers are wanted. In quiet passages the
/// frames differ by some decibels.
///
/// # Errors
/// libtorch could not allocate.
///
/// ```
/// use musicot_clap::laion::quantize;
/// use musicot_core::tch::Tensor;
/// let samples = quantize(&Tensor::from_slice(&[2_f32, 0.5, -0.00004, 0.00002]))?;
/// assert_eq!(Vec::<f32>::try_from(samples)?, [1.0, 16383.0 / 32767.0, -1.0 / 32767.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn quantize(samples: &Tensor) -> Result<Tensor> {
    let steps = samples.f_clamp(-1.0, 1.0)?.f_mul_scalar(f64::from(i16::MAX))?.f_trunc()?;
    Ok(steps.f_to_kind(Kind::Double)?.f_div_scalar(f64::from(i16::MAX))?.f_to_kind(samples.kind())?)
}

//! Noise levels of the schedulers in the form of Karras et al. (2022), computed in f32 by libtorch as the reference does.

use std::f64::consts::PI;

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::tensor::to_vec;
use serde::{Deserialize, Serialize};

use super::config::{MultistepConfig, TimeMap};
use crate::{Error, Result};

/// How levels are spaced between the largest and the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SigmaSchedule {
    /// Evenly in the logarithm.
    Exponential,
    /// Evenly in the root of order `rho` (Karras et al., 2022, equation 5).
    Karras,
}

/// The level after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigma {
    /// None.
    Zero,
    /// The least one, which the last step starts from, too.
    SigmaMin,
}

/// Levels (one more than steps) and times.
pub(super) fn levels(config: &MultistepConfig, steps: usize) -> Result<(Vec<f32>, Vec<f32>)> {
    let sigmas = match config.sigma_schedule {
        SigmaSchedule::Exponential => {
            line(config.sigma_min.ln(), config.sigma_max.ln(), steps)?.f_exp()?.f_flip([0])?
        }
        SigmaSchedule::Karras => {
            let root = |sigma: f64| sigma.powf(1.0 / config.rho);
            let (least, most) = (root(config.sigma_min), root(config.sigma_max));
            let roots = line(0.0, 1.0, steps)?.f_mul_scalar(least - most)?.f_add_scalar(most)?;
            roots.f_pow_tensor_scalar(config.rho)?
        }
    };
    let timesteps = match config.time_map {
        TimeMap::Angle => sigmas.f_atan()?.f_div_scalar(PI)?.f_mul_scalar(2.0)?,
        TimeMap::Logarithm => sigmas.f_log()?.f_mul_scalar(0.25)?,
    };
    let mut sigmas = to_vec(&sigmas)?;
    if let Some(sigma) = sigmas.iter().find(|sigma| !sigma.is_finite()) {
        return Err(Error::config("rho", format!("gives a level that is not finite: {sigma}")));
    }
    sigmas.push(match config.final_sigmas_type {
        FinalSigma::Zero => 0.0,
        FinalSigma::SigmaMin => config.sigma_min as f32,
    });
    Ok((sigmas, to_vec(&timesteps)?))
}

/// Evenly spaced values; the caller has checked that they are finite and the number of them is in range, as tch panics where libtorch refuses.
fn line(start: f64, end: f64, steps: usize) -> Result<Tensor> {
    Ok(Tensor::f_linspace(start, end, steps as i64, (Kind::Float, Device::Cpu))?)
}

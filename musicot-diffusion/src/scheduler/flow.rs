//! Euler steps along a rectified flow, `x = (1 - sigma) data + sigma noise`, with the levels of diffusers.

use musicot_core::tch::Tensor;
use serde::{Deserialize, Serialize};

use super::{SchedulerOptions, upcast};
use crate::objective::combine;
use crate::{Error, Result};

/// How far levels are shifted where that depends on the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeShift {
    /// By `exp(mu)`.
    Exponential,
    /// By `mu`.
    Linear,
}

/// Spacing of the levels between the largest and the least of the shifted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FlowSigmas {
    /// As they were shifted.
    #[default]
    Shifted,
    /// Evenly in the seventh root (Karras et al., 2022).
    Karras,
    /// Evenly in the logarithm.
    Exponential,
}

/// Settings of `FlowMatchEulerDiscreteScheduler`, by the names of its `scheduler_config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowConfig {
    /// Times are levels times this number. Default 1000.
    pub num_train_timesteps: u32,
    /// `sigma' = shift sigma / (1 + (shift - 1) sigma)`. Default 1.
    pub shift: f64,
    /// Whether the shift is that of [`SchedulerOptions::mu`] instead. Default false.
    pub use_dynamic_shifting: bool,
    /// The form of that shift. Default exponential.
    pub time_shift_type: TimeShift,
    /// The last level, to which all are stretched; `None` leaves them. Default `None`.
    pub shift_terminal: Option<f64>,
    /// Spacing. Default as shifted.
    pub sigmas: FlowSigmas,
    /// Whether levels count from the data, rising to 1. Default false.
    pub invert_sigmas: bool,
    /// Whether each step draws new noise for the data it predicts. Default false.
    pub stochastic_sampling: bool,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            shift: 1.0,
            use_dynamic_shifting: false,
            time_shift_type: TimeShift::Exponential,
            shift_terminal: None,
            sigmas: FlowSigmas::Shifted,
            invert_sigmas: false,
            stochastic_sampling: false,
        }
    }
}

/// Order of the root of [`FlowSigmas::Karras`].
const RHO: f64 = 7.0;

impl FlowConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        if self.num_train_timesteps == 0 {
            return Err(Error::config("num_train_timesteps", "expected a positive number, got 0"));
        }
        if !(self.shift.is_finite() && self.shift > 0.0) {
            return Err(Error::config("shift", format!("expected a positive number, got {}", self.shift)));
        }
        match self.shift_terminal {
            Some(terminal) if !(0.0..1.0).contains(&terminal) => {
                let reason = format!("expected a number of at least 0 and below 1, got {terminal}");
                Err(Error::config("shift_terminal", reason))
            }
            _ => Ok(()),
        }
    }

    /// Levels (one more than steps) and times. Between the largest and the least level, which are shifted already, levels are spaced evenly
    /// and shifted again.
    pub(super) fn levels(&self, options: &SchedulerOptions) -> Result<(Vec<f32>, Vec<f32>)> {
        self.validate()?;
        let scale = f64::from(self.num_train_timesteps);
        let (levels, precision) = match &options.sigmas {
            Some(given) => (checked(given, options.steps)?, Precision::Single),
            None => {
                let least = self.at_the_ends(1.0 / self.num_train_timesteps as f32);
                let line = spaced(self.at_the_ends(1.0) * scale, least * scale, options.steps);
                (line.into_iter().map(|time| time / scale).collect(), Precision::Double)
            }
        };
        let levels = self.shifted(levels, options.mu, precision)?;
        let levels = self.stretched(levels, precision);
        let sigmas = self.spaced_anew(levels);
        if let Some(level) = sigmas.iter().find(|level| !level.is_finite()) {
            return Err(Error::input("sigmas", format!("a shifted level is not finite: {level}")));
        }
        let (mut sigmas, end): (Vec<f32>, f32) = match self.invert_sigmas {
            true => (sigmas.into_iter().map(|level| 1.0 - level as f32).collect(), 1.0),
            false => (sigmas.into_iter().map(|level| level as f32).collect(), 0.0),
        };
        let timesteps = sigmas.iter().map(|sigma| sigma * self.num_train_timesteps as f32).collect();
        sigmas.push(end);
        Ok((sigmas, timesteps))
    }

    /// The largest and the least level of training, in f32 as the reference has them.
    fn at_the_ends(&self, level: f32) -> f64 {
        if self.use_dynamic_shifting {
            return f64::from(level);
        }
        f64::from(self.shift as f32 * level / (1.0 + (self.shift - 1.0) as f32 * level))
    }

    fn shifted(&self, levels: Vec<f64>, mu: Option<f64>, precision: Precision) -> Result<Vec<f64>> {
        let r = |value| precision.round(value);
        if !self.use_dynamic_shifting {
            let (shift, more) = (r(self.shift), r(self.shift - 1.0));
            return Ok(levels.into_iter().map(|s| r(r(shift * s) / r(1.0 + r(more * s)))).collect());
        }
        let Some(mu) = mu.filter(|mu| mu.is_finite()) else {
            return Err(Error::input("mu", "a finite number is needed where `use_dynamic_shifting` is set"));
        };
        let shift = r(match self.time_shift_type {
            TimeShift::Exponential => mu.exp(),
            TimeShift::Linear => mu,
        });
        Ok(levels.into_iter().map(|s| r(shift / r(shift + r(r(1.0 / s) - 1.0)))).collect())
    }

    fn stretched(&self, levels: Vec<f64>, precision: Precision) -> Vec<f64> {
        let r = |value| precision.round(value);
        let (Some(terminal), Some(last)) = (self.shift_terminal.filter(|end| *end != 0.0), levels.last())
        else {
            return levels;
        };
        let factor = r(r(1.0 - last) / r(1.0 - terminal));
        levels.into_iter().map(|s| r(1.0 - r(r(1.0 - s) / factor))).collect()
    }

    fn spaced_anew(&self, levels: Vec<f64>) -> Vec<f64> {
        let (Some(most), Some(least)) = (levels.first(), levels.last()) else { return levels };
        match self.sigmas {
            FlowSigmas::Shifted => levels,
            FlowSigmas::Karras => {
                let (most, least) = (most.powf(1.0 / RHO), least.powf(1.0 / RHO));
                let ramp = spaced(0.0, 1.0, levels.len());
                ramp.into_iter().map(|t| (most + t * (least - most)).powf(RHO)).collect()
            }
            FlowSigmas::Exponential => {
                spaced(most.ln(), least.ln(), levels.len()).into_iter().map(f64::exp).collect()
            }
        }
    }
}

/// What levels are computed in: given ones in f32, own ones in f64.
#[derive(Clone, Copy)]
enum Precision {
    Single,
    Double,
}

impl Precision {
    /// An operation in f64 on f32 values, rounded once more, is that operation in f32.
    fn round(self, value: f64) -> f64 {
        match self {
            Self::Single => f64::from(value as f32),
            Self::Double => value,
        }
    }
}

/// Given levels, rounded to f32.
fn checked(given: &[f64], steps: usize) -> Result<Vec<f64>> {
    if given.len() != steps {
        return Err(Error::input(
            "sigmas",
            format!("expected one for each of {steps} steps, got {}", given.len()),
        ));
    }
    if let Some(sigma) = given.iter().find(|sigma| !sigma.is_finite()) {
        return Err(Error::input("sigmas", format!("expected finite numbers, got {sigma}")));
    }
    Ok(given.iter().map(|sigma| f64::from(*sigma as f32)).collect())
}

/// Evenly spaced values, both ends among them, with numpy's order of operations.
fn spaced(start: f64, end: f64, count: usize) -> Vec<f64> {
    let last = count.saturating_sub(1);
    let step = (end - start) / last.max(1) as f64;
    let value = |index| if index == last && last > 0 { end } else { index as f64 * step + start };
    (0..count).map(value).collect()
}

/// A step in f32 at least, in the model's element type afterwards.
pub(super) fn step(
    [from, to]: [f32; 2],
    output: &Tensor,
    sample: &Tensor,
    noise: Option<&Tensor>,
) -> Result<Tensor> {
    let sample = upcast(sample)?;
    let next = match noise {
        None => sample.f_add(&output.f_mul_scalar(f64::from(to - from))?)?,
        Some(noise) => {
            let data = sample.f_sub(&output.f_mul_scalar(f64::from(from))?)?;
            combine(&data, f64::from(1.0 - to), noise, f64::from(to))?
        }
    };
    Ok(next.f_to_kind(output.kind())?)
}

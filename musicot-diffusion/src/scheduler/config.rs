//! Settings of the multistep schedulers.

use super::sigmas::{FinalSigma, SigmaSchedule};
use crate::{Error, Result};

/// What the model is told of a noise level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeMap {
    /// `atan(sigma) 2 / pi`, as the cosine scheduler has it.
    Angle,
    /// `ln(sigma) / 4`, as the EDM scheduler has it.
    Logarithm,
}

/// What the model returns for scaled input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prediction {
    /// The noise, in the scaling of Karras et al. (2022).
    Epsilon,
    /// The velocity, which is the same with the other sign.
    Velocity,
}

/// Which equation is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// `dpmsolver++`: the probability flow.
    Ode,
    /// `sde-dpmsolver++`: noise is added at each step.
    Sde,
}

/// The second-order term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Correction {
    /// Of the midpoint rule.
    Midpoint,
    /// Of Heun's rule.
    Heun,
}

/// Settings, by the names of diffusers' `scheduler_config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct MultistepConfig {
    /// Least noise level.
    pub sigma_min: f64,
    /// Largest noise level.
    pub sigma_max: f64,
    /// Standard deviation of the data.
    pub sigma_data: f64,
    /// Spacing of the levels.
    pub sigma_schedule: SigmaSchedule,
    /// Order of the root of [`SigmaSchedule::Karras`].
    pub rho: f64,
    /// What the model is told of a level.
    pub time_map: TimeMap,
    /// What the model returns.
    pub prediction_type: Prediction,
    /// Which equation.
    pub algorithm_type: Algorithm,
    /// Data predictions that a step looks at: 1, 2 or, for [`Algorithm::Ode`], 3.
    pub solver_order: usize,
    /// The second-order term.
    pub solver_type: Correction,
    /// Whether the last steps of a run of fewer than 15 are of lower order.
    pub lower_order_final: bool,
    /// Whether the last step is of first order.
    pub euler_at_final: bool,
    /// The level after the last step; at zero, the last step is of first order.
    pub final_sigmas_type: FinalSigma,
}

impl MultistepConfig {
    /// The defaults of `CosineDPMSolverMultistepScheduler`, with which Stable Audio Open was published: levels 0.3 to 500 evenly in the
    /// logarithm, velocity, stochastic, second order.
    pub fn cosine() -> Self {
        Self {
            sigma_min: 0.3,
            sigma_max: 500.0,
            sigma_data: 1.0,
            sigma_schedule: SigmaSchedule::Exponential,
            time_map: TimeMap::Angle,
            prediction_type: Prediction::Velocity,
            algorithm_type: Algorithm::Sde,
            ..Self::edm()
        }
    }

    /// The defaults of `EDMDPMSolverMultistepScheduler`: levels 0.002 to 80 of Karras et al., noise, second order.
    pub fn edm() -> Self {
        Self {
            sigma_min: 0.002,
            sigma_max: 80.0,
            sigma_data: 0.5,
            sigma_schedule: SigmaSchedule::Karras,
            rho: 7.0,
            time_map: TimeMap::Logarithm,
            prediction_type: Prediction::Epsilon,
            algorithm_type: Algorithm::Ode,
            solver_order: 2,
            solver_type: Correction::Midpoint,
            lower_order_final: true,
            euler_at_final: false,
            final_sigmas_type: FinalSigma::Zero,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("sigma_min", self.sigma_min),
            ("sigma_max", self.sigma_max),
            ("sigma_data", self.sigma_data),
            ("rho", self.rho),
        ];
        for (field, value) in positive {
            // Computed with in f32.
            if !(value > 0.0 && (value as f32).is_normal()) {
                let reason = format!("expected a positive number in the range of f32, got {value}");
                return Err(Error::config(field, reason));
            }
        }
        if self.sigma_min >= self.sigma_max {
            let reason =
                format!("expected a number above sigma_min = {}, got {}", self.sigma_min, self.sigma_max);
            return Err(Error::config("sigma_max", reason));
        }
        let most = if self.algorithm_type == Algorithm::Sde { 2 } else { 3 };
        if (1..=most).contains(&self.solver_order) {
            return Ok(());
        }
        let reason = format!("expected 1 to {most} for {:?}, got {}", self.algorithm_type, self.solver_order);
        Err(Error::config("solver_order", reason))
    }
}

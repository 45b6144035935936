//! Integrating the probability-flow equation from noise to data.
//!
//! A solver knows nothing of networks, conditions or guidance: it gets a field, a function of latents and time that returns
//! the objective's target, and a list of falling times.

mod dpm;
mod euler;
mod heun;

use musicot_core::tch::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Error, Objective, Result};

pub use dpm::DpmSolver2M;
pub use euler::Euler;
pub use heun::Heun;

/// The network's output (guided or not) for latents at a time.
pub type Field<'a> = dyn FnMut(&Tensor, f64) -> Result<Tensor> + 'a;

/// A method of integration.
///
/// # Implementing
/// Draw no random numbers, keep no state between calls, and treat all positions of `x` alike: the sampler relies on each
/// item of a batch being solved as if it were alone.
pub trait Solver: Send {
    /// Integrates from `x` at `times[0]` to the last time; `field` returns the objective's target in the shape of `x`.
    ///
    /// # Errors
    /// [`Error::Input`] when the times are not strictly falling within `[0, 1]`; whatever the field raises.
    fn solve(&self, objective: Objective, times: &[f64], x: &Tensor, field: &mut Field<'_>)
    -> Result<Tensor>;

    /// Calls of the field for a number of steps.
    fn calls(&self, steps: usize) -> usize;
}

/// The solvers of this crate, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SolverKind {
    /// [`Euler`]
    Euler,
    /// [`Heun`]
    Heun,
    /// [`DpmSolver2M`]
    #[default]
    #[serde(rename = "dpm++2m")]
    DpmSolver2M,
}

impl SolverKind {
    /// The solver.
    pub fn build(self) -> Box<dyn Solver> {
        match self {
            Self::Euler => Box::new(Euler),
            Self::Heun => Box::new(Heun),
            Self::DpmSolver2M => Box::new(DpmSolver2M),
        }
    }
}

fn check_times(times: &[f64]) -> Result<()> {
    let in_range = times.iter().all(|t| (0.0..=1.0).contains(t));
    if times.len() >= 2 && in_range && times.windows(2).all(|pair| pair[0] > pair[1]) {
        return Ok(());
    }
    Err(Error::input("solver times", "expected at least two strictly falling numbers within [0, 1]"))
}

/// The first-order step: data and noise are taken to stay what they are at `from`. For [`Objective::Flow`] this is the
/// straight Euler step, for [`Objective::Angle`] MeLoDy's rotation `cos(w) x - sin(w) output`.
fn step(objective: Objective, x: &Tensor, output: &Tensor, from: f64, to: f64) -> Result<Tensor> {
    match objective {
        Objective::Flow => Ok(x.f_add(&output.f_mul_scalar(to - from)?)?),
        Objective::Angle => {
            let (sin, cos) = ((from - to) * objective.span()).sin_cos();
            crate::objective::combine(x, cos, output, -sin)
        }
    }
}

#[cfg(test)]
mod tests;

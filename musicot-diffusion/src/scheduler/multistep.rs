//! DPM-Solver++ of order 1 to 3 (Lu et al., 2022), as an ordinary or a stochastic differential equation, for samples `data + sigma noise`.

use std::collections::VecDeque;

use musicot_core::tch::{TchError, Tensor};
use musicot_core::tensor::to_vec;

use super::sigmas::{FinalSigma, SigmaSchedule};
use super::sum;
use crate::objective::combine;
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
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::config(field, format!("expected a positive number, got {value}")));
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

/// Runs of at least so many steps keep their order to the end.
const MANY_STEPS: usize = 15;

/// The levels around a step.
pub(super) struct Place<'a> {
    /// Up to two levels before the step's own.
    pub(super) earlier: &'a [f32],
    /// Its own, and the one after it.
    pub(super) levels: [f32; 2],
    /// Steps that are left, with this one.
    pub(super) left: usize,
}

/// The settings, and the last data predictions.
#[derive(Debug)]
pub(super) struct Multistep {
    config: MultistepConfig,
    /// The latest one first.
    data: VecDeque<Tensor>,
}

impl Multistep {
    pub(super) fn new(config: MultistepConfig) -> Self {
        Self { config, data: VecDeque::new() }
    }

    pub(super) fn needs_noise(&self) -> bool {
        self.config.algorithm_type == Algorithm::Sde
    }

    pub(super) fn model_input(&self, sample: &Tensor, sigma: f32) -> Result<Tensor> {
        Ok(sample.f_mul_scalar(f64::from(1.0 / self.variance(sigma).sqrt()))?)
    }

    /// Of data and noise together.
    fn variance(&self, sigma: f32) -> f32 {
        sigma * sigma + (self.config.sigma_data * self.config.sigma_data) as f32
    }

    /// The data that the model's output implies.
    fn data(&self, output: &Tensor, sample: &Tensor, sigma: f32) -> Result<Tensor> {
        let data = self.config.sigma_data;
        let skip = (1.0 / self.variance(sigma)) * (data * data) as f32;
        let scale = sigma * data as f32 / self.variance(sigma).sqrt();
        let scale = match self.config.prediction_type {
            Prediction::Epsilon => scale,
            Prediction::Velocity => -scale,
        };
        combine(sample, f64::from(skip), output, f64::from(scale))
    }

    pub(super) fn step(
        &mut self,
        place: &Place<'_>,
        steps: usize,
        output: &Tensor,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.data.push_front(self.data(output, sample, place.levels[0])?);
        self.data.truncate(self.config.solver_order);
        let factors = Factors::new(self.config.algorithm_type, place.levels)?;
        let mut slopes = self.slopes(self.order(place.left, steps), place)?.into_iter();
        let (first, second) = (slopes.next(), slopes.next());
        // The third order has Heun's term, too.
        let heun = self.config.solver_type == Correction::Heun || second.is_some();
        let mut terms = vec![(factors.data, &self.data[0])];
        terms.extend(first.as_ref().map(|slope| (if heun { factors.heun } else { factors.midpoint }, slope)));
        terms.extend(second.as_ref().map(|slope| (factors.third, slope)));
        terms.extend(noise.map(|noise| (factors.noise, noise)));
        sum((factors.sample, sample), &terms)
    }

    /// Of a step with so many left, itself among them; the first ones have too little history for more.
    fn order(&self, left: usize, steps: usize) -> usize {
        let config = &self.config;
        let lower = config.lower_order_final && steps < MANY_STEPS;
        let end = config.euler_at_final || lower || config.final_sigmas_type == FinalSigma::Zero;
        let most = match left {
            1 if end => 1,
            2 if lower => 2,
            _ => config.solver_order,
        };
        most.min(self.data.len())
    }

    /// First and second differences of the data predictions, in units of the step.
    fn slopes(&self, order: usize, place: &Place<'_>) -> Result<Vec<Tensor>> {
        if order == 1 {
            return Ok(Vec::new());
        }
        let mut lambdas = vec![lambda(place.levels[1])?, lambda(place.levels[0])?];
        for sigma in place.earlier.iter().rev() {
            lambdas.push(lambda(*sigma)?);
        }
        let step = lambdas[0] - lambdas[1];
        // How long the steps before this one were, in units of this one.
        let lengths: Vec<f32> = lambdas[1..].windows(2).map(|pair| (pair[0] - pair[1]) / step).collect();
        let difference = |index: usize| -> Result<Tensor> {
            let change = self.data[index].f_sub(&self.data[index + 1])?;
            Ok(change.f_mul_scalar(f64::from(1.0 / lengths[index]))?)
        };
        let near = difference(0)?;
        if order == 2 {
            return Ok(vec![near]);
        }
        let change = near.f_sub(&difference(1)?)?;
        let both = lengths[0] + lengths[1];
        let first = near.f_add(&change.f_mul_scalar(f64::from(lengths[0] / both))?)?;
        Ok(vec![first, change.f_mul_scalar(f64::from(1.0 / both))?])
    }
}

/// What a step multiplies each term by.
struct Factors {
    sample: f32,
    data: f32,
    midpoint: f32,
    heun: f32,
    third: f32,
    noise: f32,
}

impl Factors {
    /// With `h = ln(from / to)`. A step to zero has an infinite one: then only the data are left, and the terms of higher order, which
    /// such a step does not have, are not numbers.
    fn new(algorithm: Algorithm, [from, to]: [f32; 2]) -> Result<Self> {
        let h = lambda(to)? - lambda(from)?;
        Ok(match algorithm {
            Algorithm::Ode => {
                let loss = exp(-h)? - 1.0;
                Self {
                    sample: to / from,
                    data: -loss,
                    midpoint: -(0.5 * loss),
                    heun: loss / h + 1.0,
                    third: -((loss + h) / (h * h) - 0.5),
                    noise: 0.0,
                }
            }
            Algorithm::Sde => {
                let gain = 1.0 - exp(-2.0 * h)?;
                Self {
                    sample: to / from * exp(-h)?,
                    data: gain,
                    midpoint: 0.5 * gain,
                    heun: gain / (-2.0 * h) + 1.0,
                    third: 0.0,
                    // A step to the level it starts from can come out a last digit below zero.
                    noise: to * gain.max(0.0).sqrt(),
                }
            }
        })
    }
}

/// Half the logarithm of the signal-to-noise ratio.
fn lambda(sigma: f32) -> Result<f32> {
    Ok(-rounded(sigma, Tensor::f_log)?)
}

fn exp(x: f32) -> Result<f32> {
    rounded(x, Tensor::f_exp)
}

/// A function of libtorch, whose last digit need not be that of Rust's own.
fn rounded(x: f32, function: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<f32> {
    Ok(to_vec(&function(&Tensor::f_from_slice(&[x])?)?)?[0])
}

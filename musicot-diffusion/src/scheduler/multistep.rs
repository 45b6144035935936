//! DPM-Solver++ of order 1 to 3 (Lu et al., 2022), as an ordinary or a stochastic differential equation, for samples `data + sigma noise`.

use std::collections::VecDeque;

use musicot_core::shape;
use musicot_core::tch::{TchError, Tensor};
use musicot_core::tensor::to_vec;

use super::config::{Algorithm, Correction, MultistepConfig, Prediction};
use super::sigmas::FinalSigma;
use super::sum;
use crate::Result;
use crate::objective::combine;

/// Runs of at least so many steps keep their order to the end.
const MANY_STEPS: usize = 15;

/// The levels around a step.
pub(super) struct Place<'a> {
    /// Up to two levels before the step's own.
    pub(super) earlier: &'a [f32],
    /// Its own, and the one after it.
    pub(super) levels: [f32; 2],
    /// Steps of the run.
    pub(super) steps: usize,
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
        output: &Tensor,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        if let Some(before) = self.data.front() {
            shape::expect("sample", sample, &before.size())?;
        }
        self.data.push_front(self.data(output, sample, place.levels[0])?);
        self.data.truncate(self.config.solver_order);
        let factors = Factors::new(self.config.algorithm_type, place.levels)?;
        let mut slopes = self.slopes(place)?.into_iter();
        let (first, second) = (slopes.next(), slopes.next());
        // The third order has Heun's term, too.
        let heun = self.config.solver_type == Correction::Heun || second.is_some();
        let mut terms = vec![(factors.data, &self.data[0])];
        terms.extend(first.as_ref().map(|slope| (if heun { factors.heun } else { factors.midpoint }, slope)));
        terms.extend(second.as_ref().map(|slope| (factors.third, slope)));
        terms.extend(noise.map(|noise| (factors.noise, noise)));
        sum((factors.sample, sample), &terms)
    }

    /// Of this step; the first ones have too little history for more.
    fn order(&self, place: &Place<'_>) -> usize {
        let config = &self.config;
        let lower = config.lower_order_final && place.steps < MANY_STEPS;
        let end = config.euler_at_final || lower || config.final_sigmas_type == FinalSigma::Zero;
        let most = match place.left {
            1 if end => 1,
            2 if lower => 2,
            _ => config.solver_order,
        };
        most.min(self.data.len())
    }

    /// First and second differences of the data predictions, in units of the step.
    fn slopes(&self, place: &Place<'_>) -> Result<Vec<Tensor>> {
        let order = self.order(place);
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

//! The published schedulers: noise levels, times and steps read from a `scheduler_config.json` of diffusers.
//!
//! The solvers of [`crate::solver`] integrate a whole path in their own accuracy. Here a step is exactly that of the scheduler a checkpoint
//! was published with, to the rounding of its f32 coefficients: `1 - exp(-2 h)` of a short step keeps few of their digits, and
//! a better value would be another one.

mod config;
mod flow;
mod multistep;
mod published;
mod sigmas;

use musicot_core::shape;
use musicot_core::tch::{Kind, Tensor};

use crate::{Error, MAX_STEPS, Result};

pub use config::{Algorithm, Correction, MultistepConfig, Prediction, TimeMap};
pub use flow::{FlowConfig, FlowSigmas, TimeShift};

pub use sigmas::{FinalSigma, SigmaSchedule};

use multistep::Multistep;

/// A published scheduler.
///
/// ```
/// use musicot_diffusion::scheduler::{MultistepConfig, Scheduler, SchedulerOptions};
/// use musicot_diffusion::tch::Tensor;
/// let scheduler = Scheduler::Multistep(MultistepConfig::cosine());
/// let mut run = scheduler.start(&SchedulerOptions { steps: 4, ..Default::default() })?;
/// let noise = Tensor::from_slice(&[0.3_f32, -0.8]);
/// let mut x = &noise * scheduler.initial_scale();
/// while let Some(_time) = run.timestep() {
///     let output = run.model_input(&x)?; // a model that returns what it gets
///     x = run.step(&output, &x, Some(&noise))?; // fresh noise in earnest
/// }
/// assert!(run.sigmas()[0] > 499.0 && run.sigmas()[4] == 0.0);
/// # Ok::<(), musicot_diffusion::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Scheduler {
    /// `CosineDPMSolverMultistepScheduler` and `EDMDPMSolverMultistepScheduler`.
    Multistep(MultistepConfig),
    /// `FlowMatchEulerDiscreteScheduler`.
    Flow(FlowConfig),
}

/// What a run is started with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchedulerOptions {
    /// Number of steps, from 1.
    pub steps: usize,
    /// How far a flow's levels are shifted, where its configuration leaves that to the length of the sample; unused otherwise.
    pub mu: Option<f64>,
    /// Noise levels of a flow before they are shifted, one for each step, falling; evenly spaced without.
    pub sigmas: Option<Vec<f64>>,
}

impl Scheduler {
    /// Standard deviation of the initial noise: what standard normal noise is to be multiplied by before the first step.
    pub fn initial_scale(&self) -> f64 {
        match self {
            Self::Multistep(config) => (config.sigma_max * config.sigma_max + 1.0).sqrt(),
            Self::Flow(_) => 1.0,
        }
    }

    /// Levels and times for a number of steps, at the first of them.
    ///
    /// # Errors
    /// [`Error::Config`] names a field out of range, [`Error::Input`] an option.
    pub fn start(&self, options: &SchedulerOptions) -> Result<SchedulerRun> {
        if !(1..=MAX_STEPS).contains(&options.steps) {
            let reason = format!("expected 1 to {MAX_STEPS}, got {}", options.steps);
            return Err(Error::input("steps", reason));
        }
        let (sigmas, timesteps, method) = match self {
            Self::Multistep(config) => {
                config.validate()?;
                if options.sigmas.is_some() {
                    return Err(Error::input("sigmas", "are those of the configuration, except for a flow"));
                }
                let (sigmas, timesteps) = sigmas::levels(config, options.steps)?;
                (sigmas, timesteps, Method::Multistep(Multistep::new(config.clone())))
            }
            Self::Flow(config) => {
                let (sigmas, timesteps) = config.levels(options)?;
                (sigmas, timesteps, Method::Flow { stochastic: config.stochastic_sampling })
            }
        };
        Ok(SchedulerRun { sigmas, timesteps, position: 0, method })
    }
}

#[derive(Debug)]
enum Method {
    Multistep(Multistep),
    Flow { stochastic: bool },
}

/// A path from noise to data, step by step.
#[derive(Debug)]
pub struct SchedulerRun {
    sigmas: Vec<f32>,
    timesteps: Vec<f32>,
    position: usize,
    method: Method,
}

impl SchedulerRun {
    /// Noise levels before each step, and after the last one.
    pub fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }

    /// Times that the model is given, one for each step.
    pub fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    /// The time of the next step; `None` after the last one.
    pub fn timestep(&self) -> Option<f32> {
        self.timesteps.get(self.position).copied()
    }

    /// Whether each step adds noise.
    pub fn needs_noise(&self) -> bool {
        match &self.method {
            Method::Multistep(multistep) => multistep.needs_noise(),
            Method::Flow { stochastic } => *stochastic,
        }
    }

    /// What the model is given for a sample: the sample scaled to about unit variance, or as it is for a flow.
    ///
    /// # Errors
    /// [`Error::Input`] after the last step.
    pub fn model_input(&self, sample: &Tensor) -> Result<Tensor> {
        let [sigma, _] = self.levels()?;
        match &self.method {
            Method::Multistep(multistep) => multistep.model_input(sample, sigma),
            Method::Flow { .. } => Ok(sample.shallow_clone()),
        }
    }

    /// The sample after a step, from the sample before it, what the model returned for [`SchedulerRun::model_input`], and standard normal
    /// noise (unused without [`SchedulerRun::needs_noise`]). All have one shape, any one. The cosine scheduler of diffusers
    /// draws its noise from a Brownian tree, whose increments over separate steps, scaled as it does, are such noise too.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes differ; [`Error::Input`] for elements that are not of floating point, when noise is missing, and after
    /// the last step.
    pub fn step(&mut self, output: &Tensor, sample: &Tensor, noise: Option<&Tensor>) -> Result<Tensor> {
        let levels = self.levels()?;
        let noise = if self.needs_noise() { noise } else { None };
        if self.needs_noise() && noise.is_none() {
            return Err(Error::input("noise", "is missing: this scheduler adds some at each step"));
        }
        for (what, tensor) in [("output", Some(output)), ("sample", Some(sample)), ("noise", noise)] {
            let Some(tensor) = tensor else { continue };
            shape::expect(what, tensor, &sample.size())?;
            if !tensor.is_floating_point() {
                let reason = format!("expected floating-point elements, got {:?}", tensor.kind());
                return Err(Error::input(what, reason));
            }
        }
        let next = match &mut self.method {
            Method::Multistep(multistep) => {
                let earlier = &self.sigmas[self.position.saturating_sub(2)..self.position];
                let steps = self.timesteps.len();
                let place = multistep::Place { earlier, levels, steps, left: steps - self.position };
                multistep.step(&place, output, sample, noise)?
            }
            Method::Flow { .. } => flow::step(levels, output, sample, noise)?,
        };
        self.position += 1;
        Ok(next)
    }

    /// The levels before and after the next step.
    fn levels(&self) -> Result<[f32; 2]> {
        match self.sigmas.get(self.position..) {
            Some([from, to, ..]) => Ok([*from, *to]),
            _ => Err(Error::input("step", format!("all {} of the run were taken", self.timesteps.len()))),
        }
    }
}

/// `sum of factor * tensor`, from left to right.
fn sum(first: (f32, &Tensor), rest: &[(f32, &Tensor)]) -> Result<Tensor> {
    let mut total = first.1.f_mul_scalar(f64::from(first.0))?;
    for (factor, tensor) in rest {
        total = total.f_add(&tensor.f_mul_scalar(f64::from(*factor))?)?;
    }
    Ok(total)
}

/// Flows are integrated in f32 at least.
fn upcast(tensor: &Tensor) -> Result<Tensor> {
    match tensor.kind() {
        Kind::Double => Ok(tensor.shallow_clone()),
        _ => Ok(tensor.f_to_kind(Kind::Float)?),
    }
}

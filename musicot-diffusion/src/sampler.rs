//! One window of latents: solver, guidance, and latents that are already known.

use musicot_core::shape;
use musicot_core::tch::{self, Kind, Tensor};
use musicot_core::{GuidanceScale, tensor};
use serde::{Deserialize, Serialize};

use crate::config::expect_latents;
use crate::guidance::{Branches, NullBranch};
use crate::{Condition, Denoiser, Error, KnownForm, Result, Schedule, Solver, SolverKind};

/// How a window is sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// Solver steps; MeLoDy uses 5 to 20.
    pub steps: usize,
    /// How they are spread.
    pub schedule: Schedule,
    /// The solver.
    pub solver: SolverKind,
    /// Standard deviation of the noise that a window starts from, within [0, 2]. The network was trained on 1; less gives up variety for clarity,
    /// as in Grad-TTS (Popov et al., 2021).
    pub temperature: f64,
    /// Guidance scale; 1 leaves the null branch out and halves the work. MeLoDy uses 2.5.
    pub guidance: GuidanceScale,
    /// What the null branch drops.
    pub null: NullBranch,
    /// A scale of its own for what thoughts and text add to the semantic tokens; `guidance` is then of what the tokens add to the null branch
    /// (nested guidance: Brooks et al., "InstructPix2Pix", CVPR 2023, equation 3). It costs a third branch. `None`: one scale for all.
    pub style_guidance: Option<GuidanceScale>,
    /// Guidance acts at times up to this one only (Kynkäänniemi et al., 2024, limit it to an interval); 1 is everywhere.
    pub guidance_until: f64,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            steps: 16,
            schedule: Schedule::Uniform,
            solver: SolverKind::DpmSolver2M,
            temperature: 1.0,
            guidance: GuidanceScale::NEUTRAL,
            null: NullBranch::default(),
            style_guidance: None,
            guidance_until: 1.0,
        }
    }
}

impl SamplerConfig {
    fn validate(&self) -> Result<()> {
        for (field, value, most) in
            [("temperature", self.temperature, 2.0), ("guidance_until", self.guidance_until, 1.0)]
        {
            if !(0.0..=most).contains(&value) {
                let reason = format!("expected a number within [0, {most}], got {value}");
                return Err(Error::config(field, reason));
            }
        }
        if self.style_guidance.is_some() && self.null != NullBranch::default() {
            return Err(Error::config("style_guidance", "expected a null branch that drops everything"));
        }
        Ok(())
    }
}

/// Latents that are given, in the codec's units.
#[derive(Debug)]
pub struct Known {
    /// `[batch, latent_dim, frames]`; only the marked frames are read.
    pub latents: Tensor,
    /// bool `[batch, frames]`: which frames are known.
    pub frames: Tensor,
}

/// What to sample.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the latents are conditioned on; `known` must be empty (it is set from [`Request::known`]).
    pub condition: &'a Condition,
    /// Standard normal `[batch, latent_dim, frames]`; see [`crate::frame_noise`].
    pub noise: &'a Tensor,
    /// Latents to keep and to continue.
    pub known: Option<&'a Known>,
}

/// A solver with its schedule and guidance.
pub struct Sampler {
    config: SamplerConfig,
    solver: Box<dyn Solver>,
    times: Vec<f64>,
}

impl Sampler {
    /// A sampler with one of this crate's solvers.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Input`] names a setting out of range.
    pub fn new(config: SamplerConfig) -> Result<Self> {
        let solver = config.solver.build();
        Self::with_solver(config, solver)
    }

    /// A sampler with a solver of the caller's; `config.solver` is not used.
    ///
    /// # Errors
    /// See [`Sampler::new`].
    pub fn with_solver(config: SamplerConfig, solver: Box<dyn Solver>) -> Result<Self> {
        config.validate()?;
        let times = config.schedule.times(config.steps)?;
        Ok(Self { config, solver, times })
    }

    /// Settings.
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// Latents `[batch, latent_dim, frames]` in the codec's units; known frames come back as they were given.
    ///
    /// # Errors
    /// A tensor of the wrong shape, type or range is named; [`Error::Input`] when the denoiser returns NaN or infinity.
    pub fn sample(&self, denoiser: &dyn Denoiser, request: &Request<'_>) -> Result<Tensor> {
        tch::no_grad(|| self.run(denoiser, request))
    }

    fn run(&self, denoiser: &dyn Denoiser, request: &Request<'_>) -> Result<Tensor> {
        let (batch, frames) = expect_latents("noise", request.noise, denoiser.latent_dim())?;
        let device = denoiser.device();
        let noise = request.noise.f_to_device(device)?.f_mul_scalar(self.config.temperature)?;
        let known = request.known.map(|k| Given::new(denoiser, k, &noise)).transpose()?;
        let mut condition = request.condition.to_device(device)?;
        if let (Some(given), KnownForm::Clean) = (&known, denoiser.known_form()) {
            condition.known = Some(given.frames.f_reshape([batch, frames])?);
        }
        let guided = Branches::new(&self.config, &condition, batch, device)?;
        let mut field = |x: &Tensor, t: f64| {
            let x = known.as_ref().map_or_else(|| Ok(x.shallow_clone()), |k| k.input(denoiser, x, t))?;
            let output = match &guided {
                Some(branches) if t <= self.config.guidance_until => branches.predict(denoiser, &x, t)?,
                _ => denoiser.predict(&x, &times_of(t, &x)?, &condition)?,
            };
            known.as_ref().map_or_else(|| Ok(output.shallow_clone()), |k| k.output(denoiser, &output, t))
        };
        let solved = self.solver.solve(denoiser.objective(), &self.times, &noise, &mut field)?;
        shape::expect_finite("sampled latents", &solved)?;
        let latents = denoiser.denormalize(&solved)?;
        known.map_or_else(|| Ok(latents.shallow_clone()), |k| k.restore(&latents))
    }
}

/// `[batch]` filled with one time.
pub(crate) fn times_of(t: f64, x: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_full([x.size()[0]], t, (Kind::Float, x.device()))?)
}

/// Known latents on the device. Along the solver's path they are the exact mixture of themselves with their noise, whatever
/// the network says, so that every solver brings them back to where they were.
struct Given {
    /// The codec's units.
    latents: Tensor,
    /// The network's units.
    data: Tensor,
    noise: Tensor,
    /// bool `[batch, 1, frames]`
    frames: Tensor,
}

impl Given {
    fn new(denoiser: &dyn Denoiser, known: &Known, noise: &Tensor) -> Result<Self> {
        let (batch, dim, frames) = noise.size3()?;
        shape::expect("known latents", &known.latents, &[batch, dim, frames])?;
        shape::expect("known frames", &known.frames, &[batch, frames])?;
        shape::expect_kind("known frames", &known.frames, Kind::Bool)?;
        let mask = known.frames.f_to_device(noise.device())?.f_unsqueeze(1)?;
        let latents = known.latents.f_to_device(noise.device())?.f_to_kind(Kind::Float)?;
        // Frames that are not known may hold anything.
        let latents = latents.f_where_self(&mask, &latents.f_zeros_like()?)?;
        shape::expect_finite("known latents", &latents)?;
        let data = denoiser.normalize(&latents)?;
        Ok(Self { latents, data, noise: noise.shallow_clone(), frames: mask })
    }

    fn input(&self, denoiser: &dyn Denoiser, x: &Tensor, t: f64) -> Result<Tensor> {
        let shown = match denoiser.known_form() {
            KnownForm::Clean => self.data.shallow_clone(),
            KnownForm::Noised => denoiser.objective().mix(&self.data, &self.noise, t)?,
        };
        Ok(shown.f_where_self(&self.frames, x)?)
    }

    fn output(&self, denoiser: &dyn Denoiser, output: &Tensor, t: f64) -> Result<Tensor> {
        let target = denoiser.objective().target(&self.data, &self.noise, t)?;
        Ok(target.f_where_self(&self.frames, output)?)
    }

    fn restore(&self, latents: &Tensor) -> Result<Tensor> {
        tensor::copy(&self.latents.f_where_self(&self.frames, latents)?)
    }
}

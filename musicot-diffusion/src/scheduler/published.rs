//! Reading a `scheduler_config.json`.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use serde::Deserialize;

use super::{
    Algorithm, Correction, FinalSigma, FlowConfig, FlowSigmas, MultistepConfig, Prediction, Scheduler,
    SigmaSchedule, TimeShift,
};
use crate::Result;

const COSINE: &str = "CosineDPMSolverMultistepScheduler";
const EDM: &str = "EDMDPMSolverMultistepScheduler";
const FLOW: &str = "FlowMatchEulerDiscreteScheduler";

impl Scheduler {
    /// Reads a `scheduler_config.json` of diffusers, or the one in a directory; absent keys have diffusers' values.
    ///
    /// # Errors
    /// [`crate::Error::Format`] names a class or a key that is not known, or a value that is not supported; [`crate::Error::Config`] one out of range.
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = if path.is_dir() { path.join("scheduler_config.json") } else { path.to_owned() };
        let mut file = PublishedConfig::read(file)?;
        let class: Option<String> = file.take_as("_class_name")?;
        let scheduler = match class.as_deref() {
            Some(COSINE) => {
                // Has no such choices: it is always stochastic.
                Self::Multistep(multistep(
                    file,
                    MultistepConfig::cosine(),
                    &["algorithm_type", "thresholding"],
                )?)
            }
            Some(EDM) => Self::Multistep(multistep(file, MultistepConfig::edm(), &[])?),
            Some(FLOW) => Self::Flow(flow(file)?),
            other => {
                let found = other.unwrap_or("nothing");
                let reason = format!("expected {COSINE}, {EDM} or {FLOW}, got {found}");
                return Err(file.wrong("_class_name", reason));
            }
        };
        match &scheduler {
            Self::Multistep(config) => config.validate()?,
            Self::Flow(config) => config.validate()?,
        }
        Ok(scheduler)
    }
}

/// The keys of both multistep schedulers; an absent one keeps its usual value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MultistepKeys {
    sigma_min: Option<f64>,
    sigma_max: Option<f64>,
    sigma_data: Option<f64>,
    sigma_schedule: Option<SigmaSchedule>,
    rho: Option<f64>,
    solver_order: Option<usize>,
    lower_order_final: Option<bool>,
    euler_at_final: Option<bool>,
    final_sigmas_type: Option<FinalSigma>,
}

fn multistep(mut file: PublishedConfig, usual: MultistepConfig, refused: &[&str]) -> Result<MultistepConfig> {
    for key in refused {
        if file.take(key).is_some() {
            return Err(file.wrong(key, format!("is not known to {COSINE}")));
        }
    }
    file.expect("thresholding", false)?;
    let prediction_type = choice(&mut file, "prediction_type", usual.prediction_type, |name| match name {
        "epsilon" => Some(Prediction::Epsilon),
        "v_prediction" => Some(Prediction::Velocity),
        _ => None,
    })?;
    let algorithm_type = choice(&mut file, "algorithm_type", usual.algorithm_type, |name| match name {
        // Diffusers takes the last name for the first one.
        "dpmsolver++" | "deis" => Some(Algorithm::Ode),
        "sde-dpmsolver++" => Some(Algorithm::Sde),
        _ => None,
    })?;
    let solver_type = choice(&mut file, "solver_type", usual.solver_type, |name| match name {
        // Diffusers takes the last names for the first one.
        "midpoint" | "logrho" | "bh1" | "bh2" => Some(Correction::Midpoint),
        "heun" => Some(Correction::Heun),
        _ => None,
    })?;
    // The number of training steps is that of a table that sampling does not look at; the others are those of thresholding.
    let unused = ["num_train_timesteps", "dynamic_thresholding_ratio", "sample_max_value"];
    let keys: MultistepKeys = file.ignore_usual().ignore(&unused).parse()?;
    Ok(MultistepConfig {
        sigma_min: keys.sigma_min.unwrap_or(usual.sigma_min),
        sigma_max: keys.sigma_max.unwrap_or(usual.sigma_max),
        sigma_data: keys.sigma_data.unwrap_or(usual.sigma_data),
        sigma_schedule: keys.sigma_schedule.unwrap_or(usual.sigma_schedule),
        rho: keys.rho.unwrap_or(usual.rho),
        prediction_type,
        algorithm_type,
        solver_order: keys.solver_order.unwrap_or(usual.solver_order),
        solver_type,
        lower_order_final: keys.lower_order_final.unwrap_or(usual.lower_order_final),
        euler_at_final: keys.euler_at_final.unwrap_or(usual.euler_at_final),
        final_sigmas_type: keys.final_sigmas_type.unwrap_or(usual.final_sigmas_type),
        time_map: usual.time_map,
    })
}

/// The meaning of a name.
fn choice<T>(
    file: &mut PublishedConfig,
    key: &str,
    usual: T,
    meaning: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    let Some(name) = file.take_as::<String>(key)? else { return Ok(usual) };
    meaning(&name).ok_or_else(|| file.wrong(key, format!("{name} is not supported")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowKeys {
    num_train_timesteps: Option<u32>,
    shift: Option<f64>,
    use_dynamic_shifting: Option<bool>,
    time_shift_type: Option<TimeShift>,
    shift_terminal: Option<f64>,
    invert_sigmas: Option<bool>,
    stochastic_sampling: Option<bool>,
}

fn flow(mut file: PublishedConfig) -> Result<FlowConfig> {
    file.expect("use_beta_sigmas", false)?;
    let karras = file.take_as("use_karras_sigmas")?.unwrap_or(false);
    let exponential = file.take_as("use_exponential_sigmas")?.unwrap_or(false);
    let sigmas = match (karras, exponential) {
        (false, false) => FlowSigmas::Shifted,
        (true, false) => FlowSigmas::Karras,
        (false, true) => FlowSigmas::Exponential,
        (true, true) => {
            return Err(file.wrong("use_karras_sigmas", "contradicts `use_exponential_sigmas`"));
        }
    };
    // What pipelines compute `mu` from.
    let unused = ["base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"];
    let keys: FlowKeys = file.ignore_usual().ignore(&unused).parse()?;
    let usual = FlowConfig::default();
    Ok(FlowConfig {
        num_train_timesteps: keys.num_train_timesteps.unwrap_or(usual.num_train_timesteps),
        shift: keys.shift.unwrap_or(usual.shift),
        use_dynamic_shifting: keys.use_dynamic_shifting.unwrap_or(usual.use_dynamic_shifting),
        time_shift_type: keys.time_shift_type.unwrap_or(usual.time_shift_type),
        shift_terminal: keys.shift_terminal.or(usual.shift_terminal),
        sigmas,
        invert_sigmas: keys.invert_sigmas.unwrap_or(usual.invert_sigmas),
        stochastic_sampling: keys.stochastic_sampling.unwrap_or(usual.stochastic_sampling),
    })
}

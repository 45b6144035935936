//! `sa_dit`, `sa_dit_original`: a Stable Audio transformer.

use musicot::core::tch::{Device, Kind};
use musicot::diffusion::stable_audio::{StableAudioCondition, StableAudioDit};
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let Options {} = case.options()?;
    let latents = case.floats("latents")?;
    let batch = latents.size().first().copied().unwrap_or_default();
    let mut timestep = case.numbers("timestep")?;
    if timestep.numel() == 1 {
        timestep = timestep.f_reshape([1])?.f_expand([batch], false)?;
    }
    let text_mask = match case.has("text_mask") {
        true => Some(case.ids("text_mask")?.f_to_kind(Kind::Bool)?),
        false => None,
    };
    let condition =
        StableAudioCondition { text: case.floats("text")?, global: case.floats("global")?, text_mask };
    let dit = StableAudioDit::load(case.part("transformer"), Device::Cpu)?;
    Ok(vec![("sample".into(), dit.forward(&latents, &timestep, &condition)?)])
}

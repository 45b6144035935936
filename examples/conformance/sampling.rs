//! `sampling`: a chain of logits processors.

use musicot::core::tch::{Kind, Tensor};
use musicot::core::{GuidanceScale, tensor};
use musicot::sampling::{Guidance, LogitsTransform, MinP, RepetitionPenalty, Temperature, TopK, TopP};
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {
    chain: Vec<Link>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Link {
    Temperature(f64),
    TopK(usize),
    TopP(f64),
    MinP(f64),
    #[serde(alias = "repetition")]
    RepetitionPenalty(f64),
    #[serde(alias = "guidance_scale", alias = "classifier_free_guidance")]
    Guidance(f64),
}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let options: Options = case.options()?;
    let mut logits = case.floats("logits")?;
    for link in &options.chain {
        logits = match link {
            Link::Temperature(value) => Temperature::new(*value)?.apply(logits, &[])?,
            Link::TopK(count) => TopK::new(*count)?.apply(logits, &[])?,
            Link::TopP(value) => TopP::new(*value)?.apply(logits, &[])?,
            Link::MinP(value) => MinP::new(*value)?.apply(logits, &[])?,
            Link::RepetitionPenalty(value) => {
                RepetitionPenalty::new(*value)?.apply(logits, &history(case)?)?
            }
            Link::Guidance(scale) => guide(case, &logits, *scale)?,
        };
    }
    let probs = logits.f_softmax(-1, Kind::Float)?;
    Ok(vec![("logits".into(), logits), ("probs".into(), probs)])
}

fn guide(case: &Case, logits: &Tensor, scale: f64) -> Outcome<Tensor> {
    Ok(Guidance::new(GuidanceScale::new(scale)?).combine(logits, &case.floats("null_logits")?)?)
}

/// The tokens of each row so far.
fn history(case: &Case) -> Outcome<Vec<Vec<i64>>> {
    let ids = case.ids("input_ids")?;
    let width = ids.size()[1].max(1) as usize;
    Ok(tensor::to_ids(&ids)?.chunks(width).map(<[i64]>::to_vec).collect())
}

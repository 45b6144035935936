//! Whether the plan helps the language model.

use musicot::lm::MusicLm;
use musicot::lm::train::{NllConfig, PlanSource, TokenDataset, audio_nll_per_piece, thought_nll_per_piece};
use musicot_eval::statistics::{bootstrap_mean, paired_difference};

use crate::Context;
use crate::common::{Outcome, note};
use crate::compare::rng;
use crate::corpus::heldout_tokens;
use crate::report::Figure;

pub fn figures(context: &Context) -> Outcome<Vec<Figure>> {
    let lm = context.stages.lm()?;
    let data = heldout_tokens(context)?;
    let right = nll(&lm, &data, PlanSource::Right)?;
    let vocab = &lm.config().vocab;
    let mut figures = vec![
        Figure::of("pieces", right.len() as f64),
        Figure::of("nll of a uniform guess", (vocab.audio_tokens as f64).ln()),
        Figure::mean("nll with the right plan", bootstrap_mean(&right, rng())?),
    ];
    figures.extend(match data.pieces().len() {
        0 | 1 => vec![Figure::missing("another piece's plan", "needs at least two pieces").surely_positive()],
        _ => above("another piece's plan", &nll(&lm, &data, PlanSource::Other)?, &right)?,
    });
    figures.extend(without_plan(context, &data, &right)?);
    let thoughts = thought_nll_per_piece(&lm, &data, &NllConfig::default())?;
    let uniform = (vocab.codebook_size as f64).ln();
    figures.push(Figure::mean(
        format!("nll of the plan's codes (uniform: {uniform:.3})"),
        bootstrap_mean(&thoughts, rng())?,
    ));
    Ok(figures)
}

fn without_plan(context: &Context, data: &TokenDataset, right: &[f64]) -> Outcome<Vec<Figure>> {
    let name = "a model trained without plans";
    let Some(dir) = &context.options.no_plan_lm else {
        return Ok(vec![Figure::missing(name, "needs --no-plan-lm DIR").surely_positive()]);
    };
    let model = MusicLm::load(dir, musicot::core::tch::Device::Cpu)?;
    above(name, &nll(&model, data, PlanSource::None)?, right)
}

/// A likelihood, and how much worse it is than that with the right plan.
fn above(name: &str, other: &[f64], right: &[f64]) -> Outcome<Vec<Figure>> {
    Ok(vec![
        Figure::mean(format!("nll with {name}"), bootstrap_mean(other, rng())?),
        Figure::mean(format!("{name}, minus the right plan"), paired_difference(other, right, rng())?)
            .surely_positive(),
    ])
}

fn nll(model: &MusicLm, data: &TokenDataset, plan: PlanSource) -> Outcome<Vec<f64>> {
    note(format_args!("lm: {plan:?} plan, {} pieces", data.pieces().len()));
    Ok(audio_nll_per_piece(model, data, plan, &NllConfig::default())?)
}

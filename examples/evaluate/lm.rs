//! Whether the plan helps the language model.

use musicot::core::tch::Device;
use musicot::lm::MusicLm;
use musicot::lm::train::{
    Given, NllConfig, PlanSource, TokenDataset, audio_nll_per_piece, thought_nll_per_piece,
};
use musicot_eval::statistics::{bootstrap_mean, paired_difference};

use crate::Context;
use crate::common::{Outcome, note};
use crate::compare::rng;
use crate::corpus::heldout_tokens;
use crate::figure::Figure;

/// What the model knows beside the plan. Tags and sections say much of what a plan says; the paper's model has the embedding alone.
const GIVEN: [(Given, &str); 3] = [
    (Given::All, "all conditions"),
    (Given::Embedding, "the caption's embedding alone"),
    (Given::Nothing, "no condition"),
];

pub fn figures(context: &Context) -> Outcome<Vec<Figure>> {
    let lm = context.stages.lm()?;
    let without =
        context.options.no_plan_lm.as_ref().map(|dir| MusicLm::load(dir, Device::Cpu)).transpose()?;
    let data = heldout_tokens(context)?;
    let vocab = &lm.config().vocab;
    let mut figures = vec![
        Figure::of("pieces", data.pieces().len() as f64),
        Figure::of("nll of a uniform guess", (vocab.audio_tokens as f64).ln()),
    ];
    for (given, name) in GIVEN {
        note(format_args!("lm: {} pieces, {name}", data.pieces().len()));
        figures.extend(comparison(&lm, without.as_ref(), &data, given, name)?);
    }
    let thoughts = thought_nll_per_piece(&lm, &data, &NllConfig::default())?;
    let uniform = (vocab.codebook_size as f64).ln();
    figures.push(Figure::mean(
        format!("nll of the plan's codes (uniform: {uniform:.3})"),
        bootstrap_mean(&thoughts, rng())?,
    ));
    Ok(figures)
}

/// The right plan against another piece's, and against a model that was trained without plans.
fn comparison(
    lm: &MusicLm,
    without: Option<&MusicLm>,
    data: &TokenDataset,
    given: Given,
    name: &str,
) -> Outcome<Vec<Figure>> {
    let config = NllConfig { given, ..NllConfig::default() };
    let nll = |model: &MusicLm, plan| audio_nll_per_piece(model, data, plan, &config);
    let right = nll(lm, PlanSource::Right)?;
    let mut figures =
        vec![Figure::mean(format!("{name}: nll with the right plan"), bootstrap_mean(&right, rng())?)];
    let other = format!("{name}: another piece's plan");
    figures.extend(match data.pieces().len() {
        0 | 1 => vec![Figure::missing(other, "needs at least two pieces").surely_positive()],
        _ => above(&other, &nll(lm, PlanSource::Other)?, &right)?,
    });
    let untaught = format!("{name}: a model trained without plans");
    figures.extend(match without {
        None => vec![Figure::missing(untaught, "needs --no-plan-lm DIR").surely_positive()],
        Some(model) => above(&untaught, &nll(model, PlanSource::None)?, &right)?,
    });
    Ok(figures)
}

/// A likelihood, and how much worse it is than that with the right plan.
fn above(name: &str, other: &[f64], right: &[f64]) -> Outcome<Vec<Figure>> {
    Ok(vec![
        Figure::mean(format!("{name}, nll"), bootstrap_mean(other, rng())?),
        Figure::mean(format!("{name}, minus the right plan"), paired_difference(other, right, rng())?)
            .surely_positive(),
    ])
}

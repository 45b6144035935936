//! Experiment 4: a plan of thoughts, no plan, and a plan in words.

use musicot::lm::MusicLm;
use musicot::lm::train::{Given, NllConfig, PlanSource, audio_nll_per_piece};
use musicot_eval::statistics::{bootstrap, bootstrap_mean, paired_difference};

use crate::arms::{Arm, Way};
use crate::asks::{Ask, asks};
use crate::cell::{Cell, row};
use crate::common::{Outcome, note};
use crate::compare::compare;
use crate::report::Report;
use crate::space::Reference;
use crate::studio::{Studio, write};
use crate::{Context, inputs, rng};

const PROMPTS: usize = 24;

/// Songs whose writing is timed one by one.
const TIMED: usize = 4;

/// An arm: its name, its language model and the token dataset that this was trained on.
struct Model {
    name: &'static str,
    lm: MusicLm,
    data: &'static str,
    /// Whether its plan is made of thoughts.
    has_thoughts: bool,
    source: PlanSource,
}

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let studio = Studio::open(context)?;
    let secs = context.options.secs(40.0);
    let models = models(context, report);
    let asks = asks(context, &studio.clap, context.options.prompts(PROMPTS), Some(secs))?;
    report.text(format!(
        "Three language models of one size, trained for as many steps on the same pieces: thoughts as in the paper, no plan (audio tokens \
         follow the conditions, as in MeLoDy), and a plan in words (per 10 s window the section's label and, family by family, \
         whether it plays). Same sampler, same diffusion, which gets the caption and no thoughts in all three; the arm with thoughts is shown once \
         more with its thoughts given to the diffusion. {} captions of held-out pieces, each with tempo, key and form (in 10 s windows), {secs} s. \
         `fit to the asked form` is the difference of self-similarity between stretches of equally and differently labelled sections, \
         less that of shifted forms; chance is the fit to the forms of others.",
        asks.len()
    ));
    if models.is_empty() {
        return Ok(());
    }
    report.part("likelihood of held-out tokens", |report| likelihood(context, report, &models));
    report.part("generated audio", |report| audio(context, report, &studio, &models, &asks, secs));
    report.part("speed", |report| speed(report, &studio, &models, &asks, secs));
    Ok(())
}

fn models(context: &Context, report: &mut Report<'_>) -> Vec<Model> {
    let arms = [
        ("plan of thoughts", "lm-thoughts", "thoughts", PlanSource::Right),
        ("no plan", "lm-none", "thoughts", PlanSource::None),
        ("plan in words", "lm-words", "words", PlanSource::Right),
    ];
    let mut models = Vec::new();
    for (name, run, data, source) in arms {
        match inputs::lm(context, run) {
            Ok(lm) => models.push(Model { name, lm, data, has_thoughts: run == "lm-thoughts", source }),
            Err(error) => report.missing(name, error),
        }
    }
    models
}

/// Held-out audio tokens under the true plan of each arm.
fn likelihood(context: &Context, report: &mut Report<'_>, models: &[Model]) -> Outcome {
    for (given, name) in [(Given::All, "all conditions"), (Given::Embedding, "the caption's embedding alone")]
    {
        let config = NllConfig { given, ..NllConfig::default() };
        let mut base: Option<Vec<f64>> = None;
        let mut rows = Vec::new();
        for model in models {
            note(format_args!("plan: likelihood, {}, {name}", model.name));
            let measured = inputs::heldout(context, model.data)
                .and_then(|data| Ok(audio_nll_per_piece(&model.lm, &data, model.source, &config)?));
            match measured {
                Err(error) => report.missing(format!("likelihood, {}", model.name), error),
                Ok(nll) => {
                    let above = match &base {
                        Some(base) if base.len() == nll.len() => paired_difference(&nll, base, rng())?.into(),
                        _ => Cell::Empty,
                    };
                    rows.push(row![model.name, bootstrap_mean(&nll, rng())?, above]);
                    base.get_or_insert(nll);
                }
            }
        }
        let title = format!("Held-out audio tokens under their true plan, given {name}, nats per token");
        report.table(title, ["arm", "negative log-likelihood", "minus the first arm"], rows)?;
    }
    Ok(())
}

fn audio(
    context: &Context,
    report: &mut Report<'_>,
    studio: &Studio,
    models: &[Model],
    asks: &[Ask],
    secs: f64,
) -> Outcome {
    let reference = Reference::of(context, studio, asks, secs)?;
    let mut arms = Vec::new();
    for model in models {
        arms.push(Arm::make(studio, model.name, asks, &of(model, studio, secs, false), |_, _| Ok(()))?);
    }
    for model in models.iter().filter(|model| model.has_thoughts) {
        let name = "plan of thoughts, told to the diffusion";
        arms.push(Arm::make(studio, name, asks, &of(model, studio, secs, true), |_, _| Ok(()))?);
    }
    arms.push(Arm::of_pieces(context, studio, asks, secs)?);
    compare(report, "Plan, no plan, plan in words", &arms, 0, asks, &reference)
}

fn of<'a>(model: &'a Model, studio: &Studio, secs: f64, tells_diffusion: bool) -> Way<'a> {
    let (lm, has_thoughts) = (&model.lm, model.has_thoughts);
    Way { lm, policy: studio.policy, secs, given: None, has_thoughts, tells_diffusion }
}

/// Songs written one at a time, and the whole way to the waveform.
fn speed(report: &mut Report<'_>, studio: &Studio, models: &[Model], asks: &[Ask], secs: f64) -> Outcome {
    let timed = &asks[..asks.len().min(TIMED)];
    let mut columns: Vec<(&str, Vec<f64>, Vec<f64>)> =
        models.iter().map(|m| (m.name, vec![], vec![])).collect();
    // Arms take turns, so that what else the machine does falls on all of them.
    for ask in timed {
        for (model, (_, writing, whole)) in models.iter().zip(&mut columns) {
            let started = std::time::Instant::now();
            let one = std::slice::from_ref(ask);
            let written = write(&model.lm, one, secs, &studio.policy, None)?;
            studio.render(one, &written.tokens, None, |_, _| Ok(()))?;
            writing.push(written.secs);
            whole.push(started.elapsed().as_secs_f64());
        }
    }
    let base = columns.iter().position(|(name, ..)| *name == "no plan").unwrap_or(0);
    let (_, base_writing, base_whole) = columns[base].clone();
    let ratio = |own: &[f64], other: &[f64]| {
        bootstrap(own.len(), 1000, rng(), |items| {
            let sum = |of: &[f64]| items.iter().map(|item| of[*item]).sum::<f64>();
            Ok(sum(own) / sum(other).max(f64::MIN_POSITIVE))
        })
    };
    let mut rows = Vec::new();
    for (name, writing, whole) in &columns {
        let factors: Vec<f64> = whole.iter().map(|work| work / secs).collect();
        rows.push(row![
            *name,
            ratio(writing, &base_writing)?,
            ratio(whole, &base_whole)?,
            bootstrap_mean(&factors, rng())?
        ]);
    }
    report.table(
        format!(
            "Seconds of work relative to `{}`, {} songs of {secs} s one by one",
            columns[base].0,
            timed.len()
        ),
        ["arm", "language model", "whole, to the waveform", "real-time factor"],
        rows,
    )
}

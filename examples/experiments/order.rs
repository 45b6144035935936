//! Experiment 6: the order of the codes, and how many levels a plan has.

use musicot::lm::MusicLm;
use musicot::lm::train::{NllConfig, PlanSource, audio_nll_per_piece, thought_nll_per_piece};
use musicot_eval::statistics::{bootstrap_mean, paired_difference};

use crate::arms::{Arm, Way};
use crate::asks::asks;
use crate::cell::{Cell, row};
use crate::common::{Outcome, note};
use crate::compare::compare;
use crate::report::Report;
use crate::space::Reference;
use crate::studio::Studio;
use crate::{Context, inputs, rng};

const PROMPTS: usize = 16;

/// An arm: its name, its language model and the token dataset that this was trained on.
struct Model {
    name: String,
    lm: MusicLm,
    data: &'static str,
}

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let arms = [
        ("time-major", "lm-thoughts", "thoughts"),
        ("level-major", "lm-level-major", "thoughts"),
        ("time-major", "lm-depth-4", "depth-4"),
        ("time-major", "lm-depth-2", "depth-2"),
    ];
    let mut models = Vec::new();
    for (order, run, data) in arms {
        match inputs::lm(context, run) {
            Ok(lm) => {
                models.push(Model { name: format!("{order}, {} levels", lm.config().vocab.levels), lm, data })
            }
            Err(error) => report.missing(format!("{order} ({run})"), error),
        }
    }
    let secs = context.options.secs(40.0);
    report.text(format!(
        "Language models of one size, trained for as many steps on the same pieces. Time-major writes all levels of a window before the next \
         window, level-major one level of all windows before the next level. Fewer levels are the first ones of the same codes. \
         Thoughts of all arms are given to the diffusion. Clips of {secs} s from captions of held-out pieces, with tempo, key and form."
    ));
    if models.is_empty() {
        return Ok(());
    }
    report.part("likelihood", |report| likelihood(context, report, &models));
    report.part("generated audio", |report| audio(context, report, &models, secs));
    Ok(())
}

fn likelihood(context: &Context, report: &mut Report<'_>, models: &[Model]) -> Outcome {
    let (config, mut base, mut rows) = (NllConfig::default(), None::<Vec<f64>>, Vec::new());
    for model in models {
        note(format_args!("order: likelihood, {}", model.name));
        let measured = inputs::heldout(context, model.data).and_then(|data| {
            let audio = audio_nll_per_piece(&model.lm, &data, PlanSource::Right, &config)?;
            Ok((audio, thought_nll_per_piece(&model.lm, &data, &config)?))
        });
        let (audio, thoughts) = match measured {
            Ok(measured) => measured,
            Err(error) => {
                report.missing(format!("likelihood, {}", model.name), error);
                continue;
            }
        };
        let levels = model.lm.config().vocab.levels as f64;
        let per_window: Vec<f64> = thoughts.iter().map(|nll| nll * levels).collect();
        let above = match &base {
            Some(base) if base.len() == audio.len() => paired_difference(&audio, base, rng())?.into(),
            _ => Cell::Empty,
        };
        rows.push(row![
            model.name.as_str(),
            bootstrap_mean(&thoughts, rng())?,
            bootstrap_mean(&per_window, rng())?,
            bootstrap_mean(&audio, rng())?,
            above
        ]);
        base.get_or_insert(audio);
    }
    let uniform = models.first().map_or(1.0, |model| model.lm.config().vocab.codebook_size as f64).ln();
    report.table(
        format!("Held-out likelihood, nats (a uniform guess of a code has {uniform:.3})"),
        ["arm", "per code of a thought", "per thought", "per audio token", "the last, minus the first arm"],
        rows,
    )
}

fn audio(context: &Context, report: &mut Report<'_>, models: &[Model], secs: f64) -> Outcome {
    let studio = Studio::open(context)?;
    let asks = asks(context, &studio.clap, context.options.prompts(PROMPTS), Some(secs))?;
    let reference = Reference::of(context, &studio, &asks, secs)?;
    let mut arms = Vec::new();
    for Model { name, lm, .. } in models {
        let way =
            Way { lm, policy: studio.policy, secs, given: None, has_thoughts: true, tells_diffusion: true };
        arms.push(Arm::make(&studio, name, &asks, &way, |_, _| Ok(()))?);
    }
    arms.push(Arm::of_pieces(context, &studio, &asks, secs)?);
    compare(report, "Order and depth of plans", &arms, 0, &asks, &reference)
}

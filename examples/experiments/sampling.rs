//! Experiment 3: single and dual temperature and guidance scale.

use musicot::lm::MusicLm;
use musicot::sampling::{PhaseConfig, PhasePolicy};

use crate::arms::{Arm, Way};
use crate::asks::{Ask, asks};
use crate::common::Outcome;
use crate::compare::compare;
use crate::report::Report;
use crate::space::Reference;
use crate::studio::Studio;
use crate::{Context, inputs, sweep};

const PROMPTS: usize = 100;

/// The four corner cells: whether the plan has a temperature, and a scale, of its own.
const CELLS: [(&str, bool, bool); 4] = [
    ("dual temperature, dual scale", true, true),
    ("single temperature, dual scale", false, true),
    ("dual temperature, single scale", true, false),
    ("single temperature, single scale", false, false),
];

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let studio = Studio::open(context)?;
    let secs = context.options.secs(10.0);
    let asks = asks(context, &studio.clap, context.options.prompts(PROMPTS), None)?;
    let dual = PhasePolicy::paper();
    report.text(format!(
        "{} captions of held-out pieces, with tempo and key as tags, {secs} s each, one seed. Dual is the paper's {}. Single is one \
         value for both phases: that of the audio tokens, so that cells differ in how the plan is drawn and in nothing else. Beside the cells, the \
         bundle's own settings: {}. Fréchet distances are to the beginnings of held-out pieces that no prompt is from; few clips bias them \
         upwards, all arms alike. Chance is the mean with the prompts (plans, tempi, keys) of others; the held-out pieces \
         are what the prompts were written for.",
        asks.len(),
        settings(&dual),
        settings(&studio.policy)
    ));
    let reference = Reference::of(context, &studio, &asks, secs)?;
    report.text(format!("{} held-out clips are compared with.", reference.clips));
    let lm = context.stages.lm()?;
    report.part("corner cells", |report| {
        let title = format!("Corner cells, language model of {}", size(&lm));
        corners(context, report, &studio, &lm, &title, &asks, &reference)
    });
    report.part("one parameter at a time", |report| sweep::run(context, report, &studio, &lm, &dual));
    report.part("corner cells at a second size of the language model", |report| {
        let second = inputs::second_lm(context)?;
        let title = format!("Second size: corner cells, language model of {}", size(&second));
        corners(context, report, &studio, &second, &title, &asks, &reference)
    });
    Ok(())
}

fn settings(policy: &PhasePolicy) -> String {
    let of = |phase: &PhaseConfig| {
        format!("temperature {} and scale {}", phase.sampling.temperature, phase.guidance.value())
    };
    format!("{} for thoughts, {} for audio tokens", of(&policy.thoughts), of(&policy.audio))
}

fn size(lm: &MusicLm) -> String {
    let llama = &lm.config().llama;
    format!("width {}, {} layers", llama.hidden_size, llama.num_hidden_layers)
}

/// A cell's settings.
pub fn cell(dual: &PhasePolicy, dual_temperature: bool, dual_scale: bool) -> PhasePolicy {
    let mut policy = *dual;
    if !dual_temperature {
        policy.thoughts.sampling.temperature = dual.audio.sampling.temperature;
    }
    if !dual_scale {
        policy.thoughts.guidance = dual.audio.guidance;
    }
    policy
}

fn corners(
    context: &Context,
    report: &mut Report<'_>,
    studio: &Studio,
    lm: &MusicLm,
    title: &str,
    asks: &[Ask],
    reference: &Reference,
) -> Outcome {
    let secs = context.options.secs(10.0);
    let mut arms = Vec::new();
    let cells =
        CELLS.map(|(name, temperature, scale)| (name, cell(&PhasePolicy::paper(), temperature, scale)));
    for (name, policy) in cells.into_iter().chain([("the bundle's own settings", studio.policy)]) {
        let way = Way { lm, policy, secs, given: None, has_thoughts: true, tells_diffusion: true };
        arms.push(Arm::make(studio, name, asks, &way, |_, _| Ok(()))?);
    }
    arms.push(Arm::of_pieces(context, studio, asks, secs)?);
    compare(report, title, &arms, 0, asks, reference)
}

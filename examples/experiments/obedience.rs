//! Experiment 9: what makes songs obey without any training: a guidance scale for the key, and plans to choose from.

use musicot::core::GuidanceScale;
use musicot::core::plot::{LineChart, Series};
use musicot::lm::Plan;
use musicot::sampling::TagGuidance;
use musicot_eval::statistics::bootstrap_mean;

use crate::arms::{Arm, Way};
use crate::asks::{Ask, asks};
use crate::cell::row;
use crate::common::{Outcome, note};
use crate::compare::compare;
use crate::report::Report;
use crate::space::Reference;
use crate::studio::{Studio, think};
use crate::{Context, rng};

const PROMPTS: usize = 100;

/// Scales of the key beside the one that the rest of the condition has.
const KEY_SCALES: [f64; 4] = [4.0, 6.0, 9.0, 13.0];

/// Plans that are drawn.
const DRAFTS: [usize; 4] = [1, 4, 16, 64];

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let studio = Studio::open(context)?;
    let secs = context.options.secs(10.0);
    let asks = asks(context, &studio.clap, context.options.prompts(PROMPTS), None)?;
    let reference = Reference::of(context, &studio, &asks, secs)?;
    report.part("a scale for the key", |report| key(context, report, &studio, &asks, &reference));
    report.part("drafts", |report| drafts(context, report, &studio, &asks, &reference));
    Ok(())
}

/// How much the key counts when audio tokens are drawn.
fn key(
    context: &Context,
    report: &mut Report<'_>,
    studio: &Studio,
    asks: &[Ask],
    reference: &Reference,
) -> Outcome {
    let secs = context.options.secs(10.0);
    let lm = context.stages.lm()?;
    let rest = studio.policy.audio.guidance;
    report.text(format!(
        "{} captions of held-out pieces with tempo and key as tags, {secs} s each, one seed, the bundle's own settings otherwise. Audio tokens are guided from \
         no condition to the condition without its key with the scale {}, and from there to the whole condition with a scale of its own (nested guidance, as \
         InstructPix2Pix has it for text and picture): a third row in the language model's batch. The key is heard by the profiles of pitch classes that \
         measured it in every other experiment; no clip was chosen by them.",
        asks.len(),
        rest.value()
    ));
    let mut arms = Vec::new();
    for scale in [None].into_iter().chain(KEY_SCALES.map(Some)) {
        let mut policy = studio.policy;
        policy.audio.tag_guidance = scale.map(GuidanceScale::new).transpose()?.map(TagGuidance::of_key);
        let name = scale.map_or_else(|| "one scale for all".to_owned(), |scale| format!("key: {scale}"));
        let way = Way { lm: &lm, policy, secs, given: None, has_thoughts: true, tells_diffusion: true };
        arms.push(Arm::make(studio, &name, asks, &way, |_, _| Ok(()))?);
    }
    arms.push(Arm::of_pieces(context, studio, asks, secs)?);
    compare(report, "Scale of the key", &arms, 0, asks, reference)
}

/// A plan's thoughts beside the prompt: of many plans, the nearest is performed.
fn drafts(
    context: &Context,
    report: &mut Report<'_>,
    studio: &Studio,
    asks: &[Ask],
    reference: &Reference,
) -> Outcome {
    let secs = context.options.secs(10.0);
    let lm = context.stages.lm()?;
    let windows = lm.config().windows_for(lm.config().tokens_for(secs)?);
    report.text(
        "Of several plans the one whose thoughts are nearest to the prompt in CLAP's space is performed, with the same draws of audio tokens and \
         one scale for all: what `Request::drafts` does.",
    );
    let mut policy = studio.policy;
    policy.audio.tag_guidance = None;
    let most = DRAFTS[DRAFTS.len() - 1];
    let mut ranked = Vec::new();
    for (index, ask) in asks.iter().enumerate() {
        note(format_args!("drafts: prompt {} of {}", index + 1, asks.len()));
        let draft = |draft: usize| Ask { number: ask.number * most as u64 + draft as u64, ..ask.clone() };
        let plans = think(&lm, &(0..most).map(draft).collect::<Vec<_>>(), windows, &policy)?;
        let fits = plans.iter().map(|plan| studio.fit(ask, plan)).collect::<Outcome<Vec<_>>>()?;
        ranked.push(plans.into_iter().zip(fits).collect::<Vec<_>>());
    }
    let (mut arms, mut rows, mut curve) = (Vec::new(), Vec::new(), Vec::new());
    for count in DRAFTS {
        let best =
            |drafts: &Vec<(Plan, f64)>| drafts[..count].iter().max_by(|a, b| a.1.total_cmp(&b.1)).cloned();
        let best: Vec<(Plan, f64)> = ranked.iter().filter_map(best).collect();
        let (plans, fits): (Vec<Plan>, Vec<f64>) = best.into_iter().unzip();
        let fit = bootstrap_mean(&fits, rng())?;
        rows.push(row![count, fit]);
        curve.push((count as f64, fit.mean));
        let given = Some(plans.as_slice());
        let way = Way { lm: &lm, policy, secs, given, has_thoughts: true, tells_diffusion: true };
        arms.push(Arm::make(studio, &format!("best of {count}"), asks, &way, |_, _| Ok(()))?);
    }
    report.table("Cosine of the best plan's thoughts with the prompt", ["plans", "cosine"], rows)?;
    let chart = LineChart {
        title: "Cosine of the best plan with its prompt".to_owned(),
        x_label: "plans drawn".to_owned(),
        series: vec![Series { name: "mean over prompts".to_owned(), points: curve, step: false }],
        ..LineChart::default()
    };
    report.picture("drafts", "Cosine of the best plan with its prompt", |path| chart.write_svg(path))?;
    compare(report, "Number of drafts", &arms, 0, asks, reference)
}

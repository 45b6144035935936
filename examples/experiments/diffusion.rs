//! Experiment 10: how latents are sampled: from how much noise, and how strongly tokens, thoughts and text count.

use musicot::core::GuidanceScale;
use musicot::diffusion::SamplerConfig;

use crate::Context;
use crate::arms::{Arm, Way};
use crate::asks::{Ask, asks};
use crate::common::Outcome;
use crate::compare::compare;
use crate::report::Report;
use crate::space::Reference;
use crate::studio::Studio;

const PROMPTS: usize = 100;

/// Standard deviations of the first noise.
const TEMPERATURES: [f64; 4] = [1.0, 0.85, 0.7, 0.5];

/// One scale for all, where an arm has no other.
const SCALE: f64 = 1.6;

/// Scales of the semantic tokens, and of thoughts and text; the same twice is one scale for all.
const SCALES: [(f64, f64); 6] =
    [(SCALE, SCALE), (2.0, 2.0), (2.5, 2.5), (SCALE, 2.5), (SCALE, 4.0), (2.0, 4.0)];

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let mut studio = Studio::open(context)?;
    let secs = context.options.secs(10.0);
    let asks = asks(context, &studio.clap, context.options.prompts(PROMPTS), None)?;
    let reference = Reference::of(context, &studio, &asks, secs)?;
    let bundled = studio.sampler().clone();
    report.text(format!(
        "{} captions of held-out pieces with tempo and key as tags, {secs} s each, one seed: the same plans and tokens in all arms. A temperature of 1 and one scale of {SCALE}          where an arm names nothing else; the bundle's own, chosen after these tables, are a temperature of {} and a scale of {} for the tokens, {} for thoughts and text.",
        asks.len(),
        bundled.temperature,
        bundled.guidance.value(),
        bundled.style_guidance.unwrap_or(bundled.guidance).value(),
    ));
    let plain = SamplerConfig {
        temperature: 1.0,
        guidance: GuidanceScale::new(SCALE)?,
        style_guidance: None,
        ..bundled
    };
    report.part("temperature of the diffusion", |report| {
        report.text("A window starts from noise of this standard deviation in place of 1.");
        let arm =
            |temperature: f64| Ok((temperature.to_string(), SamplerConfig { temperature, ..plain.clone() }));
        let arms = TEMPERATURES.map(arm).into_iter().collect::<Outcome<Vec<_>>>()?;
        rendered(context, report, &mut studio, "Temperature of the diffusion", &asks, &reference, arms)
    });
    report.part("guidance scales of the diffusion", |report| {
        report.text(
            "From no condition to the tokens with one scale, and from there to the whole condition with another: where they differ, three rows in place of \
             two go through the transformer.",
        );
        let arm = |(tokens, style): (f64, f64)| {
            let (guidance, style) = (GuidanceScale::new(tokens)?, GuidanceScale::new(style)?);
            let name = format!("tokens {}, thoughts and text {}", guidance.value(), style.value());
            Ok((name, SamplerConfig { guidance, style_guidance: Some(style), ..plain.clone() }))
        };
        let arms = SCALES.map(arm).into_iter().collect::<Outcome<Vec<_>>>()?;
        rendered(context, report, &mut studio, "Scales of the diffusion", &asks, &reference, arms)
    });
    Ok(())
}

/// An arm per way to sample, the first of which the others are compared with.
fn rendered(
    context: &Context,
    report: &mut Report<'_>,
    studio: &mut Studio,
    title: &str,
    asks: &[Ask],
    reference: &Reference,
    ways: Vec<(String, SamplerConfig)>,
) -> Outcome {
    let secs = context.options.secs(10.0);
    let lm = context.stages.lm()?;
    let mut arms = Vec::new();
    for (name, sampler) in ways {
        studio.set_sampler(sampler)?;
        let policy = studio.policy;
        let way = Way { lm: &lm, policy, secs, given: None, has_thoughts: true, tells_diffusion: true };
        arms.push(Arm::make(studio, &name, asks, &way, |_, _| Ok(()))?);
    }
    arms.push(Arm::of_pieces(context, studio, asks, secs)?);
    compare(report, title, &arms, 0, asks, reference)
}

//! Experiment 3, second part: one sampling parameter at a time, on plan and tokens alone.

use musicot::core::GuidanceScale;
use musicot::core::plot::{LineChart, Panel, Panels, Series};
use musicot::lm::MusicLm;
use musicot::sampling::PhasePolicy;
use musicot_eval::statistics::{Interval, bootstrap_mean};

use crate::asks::{Ask, asks};
use crate::cell::{Cell, row};
use crate::common::{Outcome, note};
use crate::report::Report;
use crate::studio::{Studio, write};
use crate::{Context, inputs, rng};

const PROMPTS: usize = 64;

/// Seconds of tokens.
const SECS: f64 = 10.0;

/// Two temperatures on either side.
const TEMPERATURE_STEPS: [f64; 4] = [-0.3, -0.15, 0.15, 0.3];

/// Two scales on either side, as multiples of the guidance beyond the model's own distribution (which has the scale 1).
const SCALE_FACTORS: [f64; 4] = [0.0, 0.5, 1.5, 2.0];

/// What is varied.
#[derive(Clone, Copy)]
enum Parameter {
    ThoughtTemperature,
    AudioTemperature,
    ThoughtScale,
    AudioScale,
}

impl Parameter {
    const ALL: [Self; 4] =
        [Self::ThoughtTemperature, Self::AudioTemperature, Self::ThoughtScale, Self::AudioScale];

    fn name(self) -> &'static str {
        match self {
            Self::ThoughtTemperature => "temperature of thoughts",
            Self::AudioTemperature => "temperature of audio tokens",
            Self::ThoughtScale => "guidance scale of thoughts",
            Self::AudioScale => "guidance scale of audio tokens",
        }
    }

    fn is_of_thoughts(self) -> bool {
        matches!(self, Self::ThoughtTemperature | Self::ThoughtScale)
    }

    fn value(self, policy: &PhasePolicy) -> f64 {
        match self {
            Self::ThoughtTemperature => policy.thoughts.sampling.temperature,
            Self::AudioTemperature => policy.audio.sampling.temperature,
            Self::ThoughtScale => policy.thoughts.guidance.value(),
            Self::AudioScale => policy.audio.guidance.value(),
        }
    }

    fn with(self, policy: &PhasePolicy, value: f64) -> Outcome<PhasePolicy> {
        let mut policy = *policy;
        match self {
            Self::ThoughtTemperature => policy.thoughts.sampling.temperature = value,
            Self::AudioTemperature => policy.audio.sampling.temperature = value,
            Self::ThoughtScale => policy.thoughts.guidance = GuidanceScale::new(value)?,
            Self::AudioScale => policy.audio.guidance = GuidanceScale::new(value)?,
        }
        Ok(policy)
    }

    /// The values around a centre, rising, the centre left out.
    fn around(self, centre: f64) -> [f64; 4] {
        match self {
            Self::ThoughtTemperature | Self::AudioTemperature => {
                TEMPERATURE_STEPS.map(|step| (centre + step).max(0.05))
            }
            Self::ThoughtScale | Self::AudioScale => {
                SCALE_FACTORS.map(|factor| 1.0 + factor * (centre - 1.0))
            }
        }
    }
}

/// What is measured of plan and tokens.
const MEASURES: [&str; 5] = [
    "thoughts: cosine with the prompt",
    "tokens that differ from the one before",
    "different tokens, share of all",
    "longest run of one token",
    "entropy of the tokens (bits)",
];

/// A value per measure; none of a measure that does not apply.
type Found = Vec<Option<Interval>>;

/// What each value of a parameter gives.
type Course = (Parameter, Vec<(f64, Found)>);

pub fn run(
    context: &Context,
    report: &mut Report<'_>,
    studio: &Studio,
    lm: &MusicLm,
    around: &PhasePolicy,
) -> Outcome {
    let asks = asks(context, &studio.clap, context.options.prompts(PROMPTS).min(PROMPTS), None)?;
    let centre = measured(studio, lm, &asks, around)?;
    let mut rows = vec![table_row("all as above", None, &centre)];
    let mut courses = Vec::new();
    for parameter in Parameter::ALL {
        note(format_args!("sampling: {} ...", parameter.name()));
        let middle = parameter.value(around);
        let mut course = vec![(middle, centre.clone())];
        for value in parameter.around(middle) {
            let found = measured(studio, lm, &asks, &parameter.with(around, value)?)?;
            rows.push(table_row(parameter.name(), Some(value), &found));
            course.push((value, found));
        }
        course.sort_by(|a, b| a.0.total_cmp(&b.0));
        courses.push((parameter, course));
    }
    if let Some(truth) = true_tokens(context, lm)? {
        rows.push(table_row("true tokens of held-out pieces", None, &truth));
    }
    let headings = ["parameter", "value"].into_iter().chain(MEASURES);
    let title = format!("One parameter at a time, {} prompts, {SECS} s of tokens each", asks.len());
    report.table(&title, headings, rows)?;
    report.picture("sweep", title, |path| picture(&courses).write_svg(path))
}

fn table_row(name: &str, value: Option<f64>, found: &[Option<Interval>]) -> Vec<Cell> {
    row![name, value; ..found.iter().copied()]
}

/// Means over prompts.
fn measured(studio: &Studio, lm: &MusicLm, asks: &[Ask], policy: &PhasePolicy) -> Outcome<Found> {
    let written = write(lm, asks, SECS, policy, None)?;
    let mut cosines = Vec::new();
    for (ask, plan) in asks.iter().zip(&written.plans) {
        cosines.push(studio.fit(ask, plan)?);
    }
    let mut found = vec![if cosines.is_empty() { None } else { Some(bootstrap_mean(&cosines, rng())?) }];
    found.extend(of_tokens(&written.tokens)?.map(Some));
    Ok(found)
}

/// The beginnings of the held-out pieces, where they are encoded.
fn true_tokens(context: &Context, lm: &MusicLm) -> Outcome<Option<Found>> {
    let count = lm.config().tokens_for(SECS)?;
    if context.options.encoded.is_none() {
        return Ok(None);
    }
    let head = |piece: &musicot::lm::train::TokenPiece| {
        piece.audio.iter().take(count).map(|token| i64::from(token.0)).collect::<Vec<_>>()
    };
    let pieces: Vec<Vec<i64>> = inputs::heldout(context, "thoughts")?.pieces().iter().map(head).collect();
    Ok(Some([None].into_iter().chain(of_tokens(&pieces)?.map(Some)).collect()))
}

fn of_tokens(songs: &[Vec<i64>]) -> Outcome<[Interval; 4]> {
    let mean = |of: fn(&[i64]) -> f64| -> Outcome<Interval> {
        Ok(bootstrap_mean(&songs.iter().map(|song| of(song)).collect::<Vec<_>>(), rng())?)
    };
    Ok([mean(changes)?, mean(distinct)?, mean(longest_run)?, mean(entropy_bits)?])
}

fn changes(tokens: &[i64]) -> f64 {
    let differing = tokens.windows(2).filter(|pair| pair[0] != pair[1]).count();
    differing as f64 / tokens.len().saturating_sub(1).max(1) as f64
}

fn distinct(tokens: &[i64]) -> f64 {
    let mut sorted = tokens.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() as f64 / tokens.len().max(1) as f64
}

fn longest_run(tokens: &[i64]) -> f64 {
    tokens.chunk_by(|a, b| a == b).map(<[i64]>::len).max().unwrap_or(0) as f64
}

fn entropy_bits(tokens: &[i64]) -> f64 {
    let mut sorted = tokens.to_vec();
    sorted.sort_unstable();
    let shares = sorted.chunk_by(|a, b| a == b).map(|run| run.len() as f64 / tokens.len() as f64);
    shares.map(|share| -share * share.log2()).sum()
}

/// A panel per parameter and measure that it can move: audio tokens come after the thoughts.
fn picture(courses: &[Course]) -> Panels {
    let mut panels = Vec::new();
    for (index, measure) in MEASURES.into_iter().enumerate().filter(|(index, _)| [0, 1, 4].contains(index)) {
        for (parameter, course) in
            courses.iter().filter(|(parameter, _)| index > 0 || parameter.is_of_thoughts())
        {
            let end = |of: fn(&Interval) -> f64, name: &str| Series {
                name: name.to_owned(),
                points: course
                    .iter()
                    .filter_map(|(value, found)| Some((*value, of(found[index].as_ref()?))))
                    .collect(),
                step: false,
            };
            panels.push(Panel::Lines(LineChart {
                title: measure.to_owned(),
                x_label: parameter.name().to_owned(),
                series: vec![
                    end(|of| of.mean, "mean"),
                    end(|of| of.low, "2.5 %"),
                    end(|of| of.high, "97.5 %"),
                ],
                ..LineChart::default()
            }));
        }
    }
    Panels { columns: 2, panels }
}

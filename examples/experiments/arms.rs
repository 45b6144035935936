//! The arms of an experiment: the same prompts, made in different ways and measured in the same way.

use musicot::codec::AudioCodec;
use musicot::core::AudioBuffer;
use musicot::core::plot::{Bar, BarChart, Bars, Panel, Panels};
use musicot::lm::{MusicLm, Plan};
use musicot::sampling::PhasePolicy;
use musicot_eval::embeddings::cosine_scores;
use musicot_eval::plan::Obedience;
use musicot_eval::significance::{Against, matched_pairs};
use musicot_eval::statistics::{Interval, bootstrap_mean, paired_difference};
use musicot_eval::tempo::within;
use ndarray::{Array2, Axis};

use crate::asks::Ask;
use crate::common::{Outcome, note};
use crate::heard::{Heard, beginning};
use crate::report::{Cell, Report};
use crate::space::{Reference, Space};
use crate::studio::{Studio, write};
use crate::{Context, rng};

/// Within this share of the asked tempo is a hit.
const TEMPO_TOLERANCE: f64 = 0.08;

/// Clips of one kind, one per prompt.
pub struct Arm {
    pub name: String,
    pub heard: Vec<Heard>,
    /// The thoughts that the clips were written under; empty where there are none to compare with.
    pub thoughts: Vec<Array2<f32>>,
    /// Empty for recordings.
    pub tokens: Vec<Vec<i64>>,
}

/// How an arm is made.
pub struct Way<'a> {
    pub lm: &'a MusicLm,
    pub policy: PhasePolicy,
    pub secs: f64,
    /// Plans in place of the model's own.
    pub given: Option<&'a [Plan]>,
    /// Whether the plan's codes are thoughts, which can be compared with audio.
    pub has_thoughts: bool,
    /// Whether the diffusion is told the thoughts.
    pub tells_diffusion: bool,
}

impl Arm {
    /// Makes a clip of each prompt and hears it; `keep` is given every waveform.
    pub fn make(
        studio: &Studio,
        name: &str,
        asks: &[Ask],
        way: &Way<'_>,
        mut keep: impl FnMut(usize, &AudioBuffer) -> Outcome,
    ) -> Outcome<Self> {
        note(format_args!("{name}: {} clips of {} s", asks.len(), way.secs));
        studio.expect(way.lm)?;
        let written = write(way.lm, asks, way.secs, &way.policy, way.given)?;
        let thoughts = match way.has_thoughts {
            true => written.plans.iter().map(|plan| studio.thoughts(plan)).collect::<Outcome<Vec<_>>>()?,
            false => Vec::new(),
        };
        let told = (way.tells_diffusion && !thoughts.is_empty()).then_some(thoughts.as_slice());
        let mut heard = Vec::new();
        studio.render(asks, &written.tokens, told, |song, audio| {
            keep(song, &audio)?;
            heard.push(Heard::of(&studio.clap, &audio)?);
            Ok(())
        })?;
        Ok(Self { name: name.to_owned(), heard, thoughts, tokens: written.tokens })
    }

    /// The pieces that the prompts are from: what the measures say of real music.
    pub fn of_pieces(context: &Context, studio: &Studio, asks: &[Ask], secs: f64) -> Outcome<Self> {
        let hear = |ask: &Ask| {
            let clip = beginning(&context.heldout, &ask.record, studio.codec.sample_rate_hz(), secs)?;
            Heard::of(&studio.clap, &clip)
        };
        let heard = asks.iter().map(hear).collect::<Outcome<Vec<_>>>()?;
        Ok(Self { name: "the held-out pieces".to_owned(), heard, thoughts: Vec::new(), tokens: Vec::new() })
    }
}

/// A figure per prompt; prompts that it does not apply to are left out.
struct Measure {
    name: &'static str,
    /// Index of the prompt, and the value.
    values: Vec<(usize, f64)>,
    chance: Option<f64>,
}

/// The measures of an arm.
fn measures(arm: &Arm, asks: &[Ask]) -> Outcome<Vec<Measure>> {
    let all: Vec<usize> = (0..asks.len()).collect();
    let scores = clap_scores(arm, asks)?;
    let mut found = vec![measure("CLAP score", &all, |clip, ask| Some(scores[[clip, ask]]))?];
    if !arm.thoughts.is_empty() {
        let obeyed = |clip: usize, plan: usize| {
            Obedience::of(arm.thoughts[plan].view(), arm.heard[clip].windows.view()).ok().map(|of| of.mean)
        };
        found.push(measure("obedience to the plan", &all, obeyed)?);
    }
    let bpm: Vec<Option<f64>> = arm.heard.iter().map(Heard::bpm).collect();
    let asked_tempo: Vec<usize> = all.iter().copied().filter(|ask| asks[*ask].tempo().is_some()).collect();
    for (name, octaves) in [("tempo within 8 %", false), ("the same, octaves allowed", true)] {
        let hit = |clip: usize, ask: usize| {
            let Some(bpm) = bpm[clip] else { return Some(0.0) };
            within(bpm, asks[ask].tempo()?, TEMPO_TOLERANCE, octaves).ok().map(f64::from)
        };
        found.push(measure(name, &asked_tempo, hit)?);
    }
    let asked_key: Vec<usize> = all.iter().copied().filter(|ask| asks[*ask].key().is_some()).collect();
    let hit = |clip: usize, ask: usize| Some(f64::from(arm.heard[clip].key == asks[ask].key()));
    found.push(measure("key", &asked_key, hit)?);
    let labels = |ask: &Ask| ask.form.iter().any(|part| part.label != ask.form[0].label);
    let formed: Vec<usize> = all.into_iter().filter(|ask| labels(&asks[*ask])).collect();
    let fit = |clip: usize, ask: usize| {
        let fit = arm.heard[clip].similarity.as_ref()?.fit(&asks[ask].form).ok()?;
        Some(fit.labels.found - fit.labels.chance)
    };
    found.push(measure("fit to the asked form", &formed, fit)?);
    found.retain(|measure| !measure.values.is_empty());
    Ok(found)
}

/// The value of each prompt with itself, and for chance the mean with the others.
fn measure(
    name: &'static str,
    items: &[usize],
    value: impl Fn(usize, usize) -> Option<f64>,
) -> Outcome<Measure> {
    let usable: Vec<usize> = items.iter().copied().filter(|item| value(*item, *item).is_some()).collect();
    let count = usable.len();
    let scores =
        Array2::from_shape_fn((count, count), |(clip, ask)| value(usable[clip], usable[ask]).unwrap_or(0.0));
    let chance = match count >= 2 {
        true => Some(matched_pairs(scores.view(), rng())?).map(|Against { chance, .. }| chance),
        false => None,
    };
    Ok(Measure { name, values: usable.into_iter().zip(scores.diag().to_vec()).collect(), chance })
}

/// Cosine of each clip with each caption.
fn clap_scores(arm: &Arm, asks: &[Ask]) -> Outcome<Array2<f64>> {
    let means = arm.heard.iter().map(Heard::mean).collect::<Outcome<Vec<_>>>()?;
    let means = ndarray::stack(Axis(0), &means.iter().map(|mean| mean.view()).collect::<Vec<_>>())?;
    let texts = ndarray::stack(Axis(0), &asks.iter().map(|ask| ask.text.view()).collect::<Vec<_>>())?;
    Ok(cosine_scores(means.view(), texts.view())?)
}

/// Tables and a picture of arms with the same prompts; `base` is the arm that others are compared with.
pub fn compare(
    report: &mut Report<'_>,
    title: &str,
    arms: &[Arm],
    base: usize,
    asks: &[Ask],
    reference: &Reference,
) -> Outcome {
    let measured = arms.iter().map(|arm| measures(arm, asks)).collect::<Outcome<Vec<_>>>()?;
    let mut names: Vec<&str> = Vec::new();
    for measure in measured.iter().flatten() {
        if !names.contains(&measure.name) {
            names.push(measure.name);
        }
    }
    let table = Comparison { arms, measured, names, reference };
    report.table(title, table.headings(), table.rows()?)?;
    report.table(
        format!("{title}: difference from `{}`, paired by prompt", arms[base].name),
        table.headings(),
        table.differences(base)?,
    )?;
    report.picture(&part_name(title), title, |path| table.picture().write_svg(path))
}

/// A file name of a heading.
fn part_name(title: &str) -> String {
    let word: String =
        title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    word.split_whitespace().take(3).collect::<Vec<_>>().join("-")
}

struct Comparison<'a> {
    arms: &'a [Arm],
    measured: Vec<Vec<Measure>>,
    names: Vec<&'static str>,
    reference: &'a Reference,
}

impl Comparison<'_> {
    fn headings(&self) -> Vec<String> {
        let spaces = Space::ALL.map(|space| space.name().to_owned());
        let names = self.names.iter().map(|name| (*name).to_owned());
        std::iter::once(String::new()).chain(spaces).chain(names).collect()
    }

    fn rows(&self) -> Outcome<Vec<Vec<Cell>>> {
        let row = |arm: usize| -> Outcome<Vec<Cell>> {
            let mut row = vec![Cell::from(self.arms[arm].name.as_str())];
            for space in Space::ALL {
                row.push(self.distance(arm, space).into());
            }
            for name in &self.names {
                row.push(match self.measure(arm, name) {
                    None => Cell::Empty,
                    Some(measure) => match (interval(measure)?, measure.chance) {
                        (of, Some(chance)) => Cell::Against(of, chance),
                        (of, None) => of.into(),
                    },
                });
            }
            Ok(row)
        };
        (0..self.arms.len()).map(row).collect()
    }

    fn differences(&self, base: usize) -> Outcome<Vec<Vec<Cell>>> {
        let row = |arm: usize| -> Outcome<Vec<Cell>> {
            let mut row = vec![Cell::from(self.arms[arm].name.as_str())];
            for space in Space::ALL {
                let difference =
                    self.reference.difference(space, &self.arms[arm].heard, &self.arms[base].heard);
                row.push(difference.ok().into());
            }
            for name in &self.names {
                row.push(match (self.measure(arm, name), self.measure(base, name)) {
                    (Some(own), Some(other)) => difference(own, other)?.into(),
                    _ => Cell::Empty,
                });
            }
            Ok(row)
        };
        (0..self.arms.len()).filter(|arm| *arm != base).map(row).collect()
    }

    /// None where there are too few clips to fit a distribution to.
    fn distance(&self, arm: usize, space: Space) -> Option<f64> {
        self.reference.distance(space, &self.arms[arm].heard.iter().collect::<Vec<_>>()).ok()
    }

    fn measure(&self, arm: usize, name: &str) -> Option<&Measure> {
        self.measured[arm].iter().find(|measure| measure.name == name)
    }

    /// A panel per measure, the arms in the same order in each.
    fn picture(&self) -> Panels {
        let chart = |title: &str, bars: Vec<Bar>, marks| {
            Panel::Bars(BarChart {
                title: title.to_owned(),
                rows: self.arms.iter().map(|arm| arm.name.clone()).collect(),
                series: vec![Bars { name: String::new(), bars }],
                marks,
                ..BarChart::default()
            })
        };
        let mut panels = Vec::new();
        for space in Space::ALL {
            let value = |arm: usize| self.distance(arm, space).unwrap_or(f64::NAN);
            let bars = (0..self.arms.len()).map(|arm| Bar { value: value(arm), interval: None });
            panels.push(chart(&format!("{} (less is nearer)", space.name()), bars.collect(), Vec::new()));
        }
        for name in &self.names {
            let found: Vec<Option<&Measure>> =
                (0..self.arms.len()).map(|arm| self.measure(arm, name)).collect();
            let bar = |measure: &Option<&Measure>| match measure.and_then(|measure| interval(measure).ok()) {
                Some(of) => Bar { value: of.mean, interval: Some((of.low, of.high)) },
                None => Bar { value: f64::NAN, interval: None },
            };
            let chances: Vec<f64> =
                found.iter().filter_map(|measure| measure.and_then(|m| m.chance)).collect();
            let chance = chances.iter().sum::<f64>() / chances.len().max(1) as f64;
            let marks = if chances.is_empty() { Vec::new() } else { vec![(chance, "chance".to_owned())] };
            panels.push(chart(name, found.iter().map(bar).collect(), marks));
        }
        Panels { columns: 2, panels }
    }
}

fn interval(measure: &Measure) -> Outcome<Interval> {
    Ok(bootstrap_mean(&measure.values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), rng())?)
}

/// Over the prompts that both have a value of; none where there is no such prompt.
fn difference(own: &Measure, other: &Measure) -> Outcome<Option<Interval>> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for (prompt, value) in &own.values {
        if let Some((_, base)) = other.values.iter().find(|(of, _)| of == prompt) {
            a.push(*value);
            b.push(*base);
        }
    }
    if a.is_empty() { Ok(None) } else { Ok(Some(paired_difference(&a, &b, rng())?)) }
}

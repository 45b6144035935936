//! What is measured of an arm, prompt by prompt.

use musicot_eval::embeddings::cosine_scores;
use musicot_eval::plan::Obedience;
use musicot_eval::significance::{Against, matched_pairs};
use musicot_eval::statistics::{Interval, bootstrap_mean, paired_difference};
use musicot_eval::tempo::within;
use ndarray::{Array2, Axis};

use crate::arms::Arm;
use crate::asks::Ask;
use crate::common::Outcome;
use crate::heard::Heard;
use crate::rng;

/// Within this share of the asked tempo is a hit.
const TEMPO_TOLERANCE: f64 = 0.08;

/// A figure per prompt; prompts that it does not apply to are left out.
pub struct Measure {
    pub name: &'static str,
    /// Index of the prompt, and the value.
    pub values: Vec<(usize, f64)>,
    pub chance: Option<f64>,
}

impl Measure {
    /// The mean over prompts.
    pub fn interval(&self) -> Outcome<Interval> {
        Ok(bootstrap_mean(&self.values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), rng())?)
    }

    /// Over the prompts that both have a value of; none where there is no such prompt.
    pub fn minus(&self, other: &Self) -> Outcome<Option<Interval>> {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (prompt, value) in &self.values {
            if let Some((_, base)) = other.values.iter().find(|(of, _)| of == prompt) {
                a.push(*value);
                b.push(*base);
            }
        }
        if a.is_empty() { Ok(None) } else { Ok(Some(paired_difference(&a, &b, rng())?)) }
    }
}

/// The measures of an arm.
pub fn measures(arm: &Arm, asks: &[Ask]) -> Outcome<Vec<Measure>> {
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

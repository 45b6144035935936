//! The joint space of audio and text.

use std::collections::BTreeSet;

use musicot::clap::train::family_words;
use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::tch::Tensor;
use musicot::core::train::Dataset;
use musicot_eval::embeddings::{cosine_scores, mean_off_diagonal, ranks};
use ndarray::{Array2, Axis};

use crate::Context;
use crate::common::Outcome;
use crate::corpus::{rows, samples, spread};
use crate::figure::Figure;
use crate::report::Measured;
use crate::retrieval;
use crate::solos::{Cut, Solo, solos};

/// The eight families that have a name of their own outside synthesizers and choirs, chosen before measuring.
const EIGHT: [&str; 8] = ["piano", "organ", "guitar", "bass", "strings", "brass", "woodwind", "drums"];

/// Least share of solo clips whose family is recognised.
const TARGET: f64 = 0.9;

/// Clips that go through the model at once.
const AT_ONCE: usize = 8;

pub fn figures(context: &Context) -> Outcome<Measured> {
    let clap = context.stages.clap()?;
    let mut found = Measured::default();
    found.add("instrument families", of_solos(context, &clap));
    found.add("figures between pieces", retrieval::figures(context, &clap));
    Ok(found)
}

/// What single instruments are taken for.
fn of_solos(context: &Context, clap: &Clap) -> Outcome<Vec<Figure>> {
    let records = spread(context.heldout.records(), context.options.pieces);
    let cut = Cut { rate_hz: clap.sample_rate_hz(), window: clap.window_samples(), per_family: None };
    let solos = solos(&context.heldout, &records, &cut)?;
    if solos.is_empty() {
        return Err("the held-out pieces have no stems".into());
    }
    let embedded = embed(clap, &solos)?;
    let mut figures = families(clap, &solos, &embedded, &trained_programs(context))?;
    let name = "mean cosine between different solo clips (1 is collapsed)";
    figures.push(match solos.len() {
        1 => Figure::missing(name, "needs at least two stems"),
        _ => Figure::of(name, mean_off_diagonal(embedded.view())?),
    });
    Ok(figures)
}

/// Embeddings `[clips, dim]` of clips of a window each.
pub fn embed(clap: &dyn AudioTextEncoder, solos: &[Solo]) -> Outcome<Array2<f32>> {
    let mut parts = Vec::new();
    for group in solos.chunks(AT_ONCE) {
        let clips = group.iter().map(|solo| samples(&solo.audio)).collect::<Outcome<Vec<_>>>()?;
        parts.push(clap.embed_audio(&Tensor::f_cat(&clips, 0)?)?);
    }
    rows(&Tensor::f_cat(&parts, 0)?)
}

/// Families with the programs that training pieces have, or why they are not known.
fn trained_programs(context: &Context) -> Result<BTreeSet<(String, Option<u8>)>, String> {
    let train = Dataset::open(&context.options.stems).map_err(|e| e.to_string())?;
    let stems = train.records().iter().flat_map(|record| &record.stems);
    Ok(stems.map(|stem| (stem.family.clone(), stem.program)).collect())
}

fn families(
    clap: &Clap,
    solos: &[Solo],
    embedded: &Array2<f32>,
    trained: &Result<BTreeSet<(String, Option<u8>)>, String>,
) -> Outcome<Vec<Figure>> {
    let name = format!("top-1 of {}", EIGHT.join(", "));
    let any = |_: &Solo| true;
    let mut figures = vec![top1(&name, clap, solos, embedded, &EIGHT, any)?.at_least(TARGET)];
    let unknown = "programs never trained on, among the eight";
    figures.push(match trained {
        Err(reason) => Figure::missing(unknown, reason),
        Ok(trained) => {
            let is_new = |solo: &Solo| !trained.contains(&(solo.family.clone(), solo.program));
            top1(unknown, clap, solos, embedded, &EIGHT, is_new)?
        }
    });
    for family in EIGHT {
        let name = format!("{family}, among the eight");
        figures.push(top1(&name, clap, solos, embedded, &EIGHT, |solo| solo.family == family)?);
    }
    let all: BTreeSet<&str> = solos.iter().map(|solo| solo.family.as_str()).collect();
    let all: Vec<&str> = all.into_iter().collect();
    let name = format!("top-1 of all {} families", all.len());
    figures.push(top1(&name, clap, solos, embedded, &all, any)?.at_least(TARGET));
    Ok(figures)
}

/// Share of the solo clips of some families that are nearest to their own family's text.
fn top1(
    name: &str,
    clap: &Clap,
    solos: &[Solo],
    embedded: &Array2<f32>,
    families: &[&str],
    counts: impl Fn(&Solo) -> bool,
) -> Outcome<Figure> {
    let (mut indices, mut truth) = (Vec::new(), Vec::new());
    for (index, solo) in solos.iter().enumerate() {
        let label = families.iter().position(|family| *family == solo.family);
        if let Some(label) = label.filter(|_| counts(solo)) {
            indices.push(index);
            truth.push(label);
        }
    }
    if truth.is_empty() {
        return Ok(Figure::missing(name, "no held-out stem is one"));
    }
    let labels = family_texts(clap, families)?;
    let scores = cosine_scores(embedded.select(Axis(0), &indices).view(), labels.view())?;
    let hits: Vec<f64> = ranks(scores.view(), &truth)?.iter().map(|rank| f64::from(*rank == 1)).collect();
    Figure::mean_of(format!("{name} ({} clips)", truth.len()), &hits)
}

/// The texts that the nearest of tells a clip's family, embedded `[families, dim]`.
pub fn family_texts(clap: &dyn AudioTextEncoder, families: &[&str]) -> Outcome<Array2<f32>> {
    let word =
        |family: &str| family_words(family).first().map_or_else(|| family.to_owned(), ToString::to_string);
    let texts: Vec<String> = families.iter().map(|family| format!("the sound of {}", word(family))).collect();
    rows(&clap.embed_text(&texts.iter().map(String::as_str).collect::<Vec<_>>())?)
}

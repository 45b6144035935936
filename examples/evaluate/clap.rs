//! The joint space of audio and text.

use std::collections::BTreeSet;

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::train::Dataset;
use musicot_eval::embeddings::{cosine_scores, mean_off_diagonal, ranks};
use ndarray::{Array2, Axis};

use crate::Context;
use crate::common::Outcome;
use crate::corpus::{family_phrase, gathered, rows, samples, spread};
use crate::figure::Figure;
use crate::report::Measured;
use crate::retrieval;
use crate::solos::{self, Cut, Solo};

/// The eight families that have a name of their own outside synthesizers and choirs, chosen before measuring.
const EIGHT: [&str; 8] = ["piano", "organ", "guitar", "bass", "strings", "brass", "woodwind", "drums"];

/// Least share of solo clips whose family is recognised.
const TARGET: f64 = 0.9;

/// Family and program of a stem.
type Instrument = (String, Option<u8>);

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
    let (mut solos, mut embedded) = (Vec::new(), Vec::new());
    solos::each(&context.heldout, &records, &cut, |Solo { family, program, audio }| {
        solos.push((family, program));
        embedded.push(rows(&clap.embed_audio(&samples(&audio)?)?)?);
        Ok(())
    })?;
    if solos.is_empty() {
        return Err("the held-out pieces have no stems".into());
    }
    let embedded = gathered(&embedded);
    let mut figures = families(clap, &solos, &embedded, &trained_programs(context))?;
    let name = "mean cosine between different solo clips (1 is collapsed)";
    figures.push(match solos.len() {
        1 => Figure::missing(name, "needs at least two stems"),
        _ => Figure::of(name, mean_off_diagonal(embedded.view())?),
    });
    Ok(figures)
}

/// Families with the programs that training pieces have, or why they are not known.
fn trained_programs(context: &Context) -> Result<BTreeSet<Instrument>, String> {
    let train = Dataset::open(&context.options.stems).map_err(|e| e.to_string())?;
    let stems = train.records().iter().flat_map(|record| &record.stems);
    Ok(stems.map(|stem| (stem.family.clone(), stem.program)).collect())
}

fn families(
    clap: &Clap,
    solos: &[Instrument],
    embedded: &Array2<f32>,
    trained: &Result<BTreeSet<Instrument>, String>,
) -> Outcome<Vec<Figure>> {
    let name = format!("top-1 of {}", EIGHT.join(", "));
    let any = |_: &Instrument| true;
    let mut figures = vec![top1(&name, clap, solos, embedded, &EIGHT, any)?.at_least(TARGET)];
    let unknown = "programs never trained on, among the eight";
    figures.push(match trained {
        Err(reason) => Figure::missing(unknown, reason),
        Ok(trained) => {
            let is_new = |solo: &Instrument| !trained.contains(solo);
            top1(unknown, clap, solos, embedded, &EIGHT, is_new)?
        }
    });
    for family in EIGHT {
        let name = format!("{family}, among the eight");
        figures.push(top1(&name, clap, solos, embedded, &EIGHT, |(name, _)| name == family)?);
    }
    let all: BTreeSet<&str> = solos.iter().map(|(family, _)| family.as_str()).collect();
    let all: Vec<&str> = all.into_iter().collect();
    let name = format!("top-1 of all {} families", all.len());
    figures.push(top1(&name, clap, solos, embedded, &all, any)?.at_least(TARGET));
    Ok(figures)
}

/// Share of the solo clips of some families that are nearest to their own family's text.
fn top1(
    name: &str,
    clap: &Clap,
    solos: &[Instrument],
    embedded: &Array2<f32>,
    families: &[&str],
    counts: impl Fn(&Instrument) -> bool,
) -> Outcome<Figure> {
    let (mut indices, mut truth) = (Vec::new(), Vec::new());
    for (index, solo) in solos.iter().enumerate() {
        let label = families.iter().position(|family| *family == solo.0);
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
    let texts: Vec<String> = families.iter().map(|family| family_phrase(family)).collect();
    rows(&clap.embed_text(&texts.iter().map(String::as_str).collect::<Vec<_>>())?)
}

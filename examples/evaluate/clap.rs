//! The joint space of audio and text.

use std::collections::BTreeSet;

use musicot::clap::train::family_words;
use musicot::clap::windows::{repeat_pad, starts};
use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::tch::Tensor;
use musicot::core::train::{Dataset, Stem};
use musicot_eval::embeddings::{cosine_scores, mean_off_diagonal, recall_at, top1_accuracy};
use ndarray::{Array2, Axis};

use crate::Context;
use crate::common::Outcome;
use crate::corpus::{audio, caption, rows, spread, tell, unit, windows};
use crate::report::Figure;

/// The eight families of the target, chosen before measuring: those that have a name of their own outside synthesizers and choirs.
const EIGHT: [&str; 8] = ["piano", "organ", "guitar", "bass", "strings", "brass", "woodwind", "drums"];

/// Least share of solo clips whose family is recognised.
const TARGET: f64 = 0.7;

/// Clips that go through the model at once.
const AT_ONCE: usize = 8;

/// A stem's clip.
struct Solo {
    family: String,
    program: Option<u8>,
    samples: Vec<f32>,
}

pub fn figures(context: &Context) -> Outcome<Vec<Figure>> {
    let clap = context.stages.clap()?;
    let solos = solos(context, &clap)?;
    if solos.is_empty() {
        return Err("the held-out pieces have no stems".into());
    }
    let embedded = embed(&clap, &solos)?;
    let mut figures = families(&clap, &solos, &embedded, &trained_programs(context))?;
    figures.push(Figure::of(
        "mean cosine between different solo clips (1 is collapsed)",
        mean_off_diagonal(embedded.view())?,
    ));
    figures.extend(retrieval(context, &clap)?);
    Ok(figures)
}

/// One clip of each stem of the held-out pieces.
fn solos(context: &Context, clap: &Clap) -> Outcome<Vec<Solo>> {
    let records = spread(context.heldout.records(), context.options.pieces);
    let mut solos = Vec::new();
    for (index, record) in records.iter().enumerate() {
        tell("clap", index, records.len(), record);
        for Stem { family, program, audio: path } in &record.stems {
            let stem = audio(&context.heldout, path, clap.sample_rate_hz())?;
            let samples: Vec<f32> = stem.into_samples().into_iter().collect();
            if let Some(samples) = loudest(&samples, clap.window_samples())? {
                solos.push(Solo { family: family.clone(), program: *program, samples });
            }
        }
    }
    Ok(solos)
}

/// The window with the most energy, of one every quarter window; none of a silent stem.
fn loudest(samples: &[f32], window: usize) -> Outcome<Option<Vec<f32>>> {
    let (mut best, mut most) = (None, 0.0_f64);
    for start in starts(samples.len(), window, (window / 4).max(1))? {
        let clip = &samples[start..samples.len().min(start + window)];
        let energy = clip.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        if energy > most {
            (best, most) = (Some(clip), energy);
        }
    }
    Ok(best.map(|clip| repeat_pad(clip, window)))
}

fn embed(clap: &Clap, solos: &[Solo]) -> Outcome<Array2<f32>> {
    let mut parts = Vec::new();
    for group in solos.chunks(AT_ONCE) {
        let samples: Vec<f32> = group.iter().flat_map(|solo| solo.samples.iter().copied()).collect();
        let clips = Tensor::f_from_slice(&samples)?.f_reshape([group.len() as i64, -1])?;
        parts.push(clap.embed_audio(&clips)?);
    }
    rows(&Tensor::f_cat(&parts, 0)?)
}

/// Families with the programs that training pieces have, or why they are not known.
fn trained_programs(context: &Context) -> Result<BTreeSet<(String, Option<u8>)>, String> {
    let train = Dataset::open(&context.options.train).map_err(|e| e.to_string())?;
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
    figures.push(top1(&format!("top-1 of all {} families", all.len()), clap, solos, embedded, &all, any)?);
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
    let texts: Vec<String> = families.iter().map(|family| format!("the sound of {}", word(family))).collect();
    let labels = rows(&clap.embed_text(&texts.iter().map(String::as_str).collect::<Vec<_>>())?)?;
    let scores = cosine_scores(embedded.select(Axis(0), &indices).view(), labels.view())?;
    Ok(Figure::of(format!("{name} ({} clips)", truth.len()), top1_accuracy(scores.view(), &truth)?))
}

/// The usual word for a family.
fn word(family: &str) -> String {
    family_words(family).first().map_or_else(|| family.to_owned(), |word| (*word).to_owned())
}

/// Whole pieces and their first captions.
fn retrieval(context: &Context, clap: &Clap) -> Outcome<Vec<Figure>> {
    let records = spread(context.heldout.records(), context.options.pieces);
    if records.len() < 2 {
        return Ok(vec![Figure::missing("figures between pieces", "need at least two pieces")]);
    }
    let captions = records.iter().map(|record| caption(record)).collect::<Outcome<Vec<_>>>()?;
    let texts = rows(&clap.embed_text(&captions)?)?;
    let pieces = windows(context, clap, 1.0)?;
    let firsts: Vec<Tensor> = pieces.iter().map(|piece| piece.f_narrow(0, 0, 1)).collect::<Result<_, _>>()?;
    let firsts = rows(&Tensor::f_cat(&firsts, 0)?)?;
    let means: Vec<Tensor> =
        pieces.iter().map(|piece| piece.f_mean_dim([0].as_slice(), true, None)).collect::<Result<_, _>>()?;
    let means = rows(&unit(&Tensor::f_cat(&means, 0)?)?)?;
    let count = records.len();
    let ten = 10.min(count);
    Ok(vec![
        Figure::of(
            "mean cosine between first windows of different pieces (1 is collapsed)",
            mean_off_diagonal(firsts.view())?,
        ),
        Figure::of(
            format!("own caption nearest of {count} (chance {:.3})", 1.0 / count as f64),
            recall_at(1, means.view(), texts.view())?,
        ),
        Figure::of(
            format!(
                "own caption among the {ten} nearest of {count} (chance {:.3})",
                ten as f64 / count as f64
            ),
            recall_at(ten, means.view(), texts.view())?,
        ),
    ])
}

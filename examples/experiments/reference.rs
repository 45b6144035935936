//! Experiment 7: a reference's style is followed, and nothing of it is copied.

use musicot::codec::AudioCodec;
use musicot::core::plot::{Bar, BarChart, Bars};
use musicot::core::train::{Record, Tags};
use musicot::core::{AudioBuffer, tensor};
use musicot::lm::{MusicLm, Plan};
use musicot::rvq::VectorQuantizer;
use musicot_eval::significance::matched_pairs;
use musicot_eval::statistics::{bootstrap_mean, correlation};
use musicot_eval::tokens::{changes, longest_shared_run};
use ndarray::{Array1, Array2};

use crate::arms::{Arm, Way};
use crate::asks::Ask;
use crate::audit::audit;
use crate::cell::{Cell, row};
use crate::common::{Outcome, note};
use crate::corpus::{spread, tokens};
use crate::heard::{Heard, Likeness, beginning};
use crate::report::Report;
use crate::studio::{Studio, matrix};
use crate::{Context, inputs, rng};

const REFERENCES: usize = 24;

/// A reference: what is heard in it, and what the models are given of it.
pub struct Source {
    pub audio: AudioBuffer,
    pub heard: Heard,
    pub tokens: Vec<i64>,
}

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let studio = Studio::open(context)?;
    let (lm, semantic) = (context.stages.lm()?, context.stages.semantic()?);
    let secs = context.options.secs(20.0);
    let records = spread(context.heldout.records(), Some(context.options.prompts(REFERENCES)));
    if records.len() < 2 {
        return Err("chance needs at least two references".into());
    }
    note(format_args!("reference: {} recordings ...", records.len()));
    let rate = studio.codec.sample_rate_hz();
    let source = |record: &&Record| -> Outcome<Source> {
        let audio = beginning(&context.heldout, record, rate, secs)?;
        let heard = Heard::of(&studio.clap, &audio)?;
        Ok(Source { tokens: tokens(&semantic, &audio)?, heard, audio })
    };
    let sources = records.iter().map(source).collect::<Outcome<Vec<_>>>()?;
    let (asks, plans) = asked(&studio, &lm, &records, &sources, secs)?;
    report.text(format!(
        "The first {secs} s of {} held-out pieces are references: all codes of their thoughts are the plan, the mean of their \
         embeddings the condition, and there are no words and no tags. No sample and no audio token reaches a model after CLAP. Chance: the \
         same clips with the references of others; p from random assignments.",
        sources.len()
    ));
    let way = Way {
        lm: &lm,
        policy: studio.policy,
        secs,
        given: Some(&plans),
        has_thoughts: true,
        tells_diffusion: true,
    };
    let mut waveforms = Vec::new();
    let arm = Arm::make(&studio, "reference", &asks, &way, |_, audio| {
        waveforms.push(audio.clone());
        Ok(())
    })?;
    followed(report, &arm, &sources)?;
    report.part("copy audit", |report| audit(report, &lm, &semantic, &arm, &sources, &waveforms));
    report.part("runs shared with the pieces trained on", |report| {
        memorised(context, report, &lm, &arm, &sources)
    });
    Ok(())
}

/// Requests without words, and the plans that the references are.
fn asked(
    studio: &Studio,
    lm: &MusicLm,
    records: &[&Record],
    sources: &[Source],
    secs: f64,
) -> Outcome<(Vec<Ask>, Vec<Plan>)> {
    let windows = lm.config().windows_for(lm.config().tokens_for(secs)?);
    let (mut asks, mut plans) = (Vec::new(), Vec::new());
    for (number, (record, source)) in records.iter().zip(sources).enumerate() {
        let codes = studio.rvq.encode(&matrix(&source.heard.windows)?)?;
        let (known, levels) = (codes.size()[0] as usize, studio.rvq.levels());
        let codes = tensor::to_ids(&codes)?;
        // A reference that is shorter than the clip begins again.
        let code = |(window, level): (usize, usize)| codes[window % known * levels + level];
        plans.push(Plan::new(Array2::from_shape_fn((windows, levels), code), lm.vocab())?);
        let record = Record {
            captions: vec![String::new()],
            tags: Tags::default(),
            sections: Vec::new(),
            ..(*record).clone()
        };
        asks.push(Ask { record, text: unit(source.heard.mean()?), form: Vec::new(), number: number as u64 });
    }
    Ok((asks, plans))
}

fn unit(vector: Array1<f32>) -> Array1<f32> {
    let norm = vector.dot(&vector).sqrt().max(1e-9);
    vector / norm
}

/// Likeness of each clip with its own reference and with those of others.
fn followed(report: &mut Report<'_>, arm: &Arm, sources: &[Source]) -> Outcome {
    let respects: [(&str, Likeness); 4] = [
        ("sound (CLAP cosine)", |a, b| Some(f64::from(unit(a.mean().ok()?).dot(&unit(b.mean().ok()?))))),
        ("timbre features (correlation)", timbre),
        ("pitch classes (cosine)", |a, b| Some(f64::from(a.pitch_classes().dot(&b.pitch_classes())))),
        ("rhythm (correlation of tempo curves)", |a, b| {
            correlation(&a.tempo.as_ref()?.salience, &b.tempo.as_ref()?.salience).ok()?
        }),
    ];
    let (mut rows, mut own, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (name, likeness) in respects {
        let count = sources.len();
        let scores = Array2::from_shape_fn((count, count), |(clip, source)| {
            likeness(&arm.heard[clip], &sources[source].heard).unwrap_or(0.0)
        });
        let test = matched_pairs(scores.view(), rng())?;
        let diagonal = bootstrap_mean(&scores.diag().to_vec(), rng())?;
        rows.push(row![name, Cell::Against(diagonal, test.chance), test.p]);
        own.push(Bar { value: diagonal.mean, interval: Some((diagonal.low, diagonal.high)) });
        others.push(Bar { value: test.chance, interval: None });
    }
    let names = rows.iter().map(|row| row[0].to_string()).collect();
    report.table("Clips and their references", ["likeness in", "own reference", "p"], rows)?;
    let chart = BarChart {
        title: "Clips made from a reference".to_owned(),
        x_label: "likeness".to_owned(),
        rows: names,
        series: vec![
            Bars { name: "own reference".to_owned(), bars: own },
            Bars { name: "others".to_owned(), bars: others },
        ],
        marks: Vec::new(),
    };
    report.picture("likeness", "Likeness of clips to their own and to other references", |path| {
        chart.write_svg(path)
    })
}

/// Correlation of the mean timbre features of two clips.
fn timbre(a: &Heard, b: &Heard) -> Option<f64> {
    let mean = |heard: &Heard| -> Option<Vec<f64>> {
        let count = heard.timbre.len();
        let width = heard.timbre.first()?.len();
        let sum = |column: usize| heard.timbre.iter().map(|row| f64::from(row[column])).sum::<f64>();
        Some((0..width).map(|column| sum(column) / count as f64).collect())
    };
    correlation(&mean(a)?, &mean(b)?).ok()?
}

/// Runs shared with any piece trained on, of tokens and of their changes; what held-out music shares by chance is beside them.
fn memorised(
    context: &Context,
    report: &mut Report<'_>,
    lm: &MusicLm,
    arm: &Arm,
    sources: &[Source],
) -> Outcome {
    let corpus = inputs::training(context)?;
    let ids =
        |piece: &musicot::lm::train::TokenPiece| piece.audio.iter().map(|token| i64::from(token.0)).collect();
    let corpus: Vec<Vec<i64>> = corpus.pieces().iter().map(ids).collect();
    let changing: Vec<Vec<i64>> = corpus.iter().map(|piece| changes(piece)).collect();
    let mut rows = Vec::new();
    let clips: [(&str, Vec<&Vec<i64>>); 2] = [
        ("generated", arm.tokens.iter().collect()),
        ("held-out references (chance)", sources.iter().map(|source| &source.tokens).collect()),
    ];
    for (name, clips) in clips {
        let (mut secs, mut steps) = (Vec::new(), Vec::new());
        for tokens in clips {
            let run = longest_shared_run(tokens, &corpus)?;
            secs.push(run.map_or(0.0, |run| run.secs(lm.config().token_rate_hz)));
            steps.push(longest_shared_run(&changes(tokens), &changing)?.map_or(0.0, |run| run.tokens as f64));
        }
        let longest = |runs: &[f64]| runs.iter().copied().fold(0.0, f64::max);
        rows.push(row![
            name,
            bootstrap_mean(&secs, rng())?,
            longest(&secs),
            bootstrap_mean(&steps, rng())?,
            longest(&steps)
        ]);
    }
    report.text(
        "A tone held for seconds is one token again and again, in every piece; its changes are the tokens with each held one counted once.",
    );
    report.table(
        format!(
            "Longest run of tokens, and of their changes, shared with any of {} pieces trained on",
            corpus.len()
        ),
        ["clips", "seconds, mean", "seconds, longest", "changes, mean", "changes, longest"],
        rows,
    )
}

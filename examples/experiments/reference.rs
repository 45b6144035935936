//! Experiment 7: a reference's style is followed, and nothing of it is copied.

use musicot::codec::{AudioCodec, NoteTokenizer};
use musicot::core::plot::{Bar, BarChart, Bars};
use musicot::core::train::{Record, Tags};
use musicot::core::{AudioBuffer, tensor};
use musicot::lm::{MusicLm, Plan};
use musicot::rvq::VectorQuantizer;
use musicot_eval::chroma::Chroma;
use musicot_eval::copies::longest_passage;
use musicot_eval::significance::matched_pairs;
use musicot_eval::statistics::{bootstrap_mean, correlation, paired_difference};
use musicot_eval::tokens::longest_shared_run;
use ndarray::{Array1, Array2};

use crate::arms::{Arm, Way};
use crate::asks::Ask;
use crate::common::{Outcome, note};
use crate::corpus::{spread, tokens};
use crate::heard::{Heard, beginning};
use crate::report::{Cell, Report, row};
use crate::studio::{Studio, matrix};
use crate::{Context, inputs, rng};

const REFERENCES: usize = 24;

/// Other references that each clip is compared with for chance: each comparison of chroma takes a moment.
const OTHERS: usize = 6;

/// Share of a clip that is replaced by its reference for the sanity check.
const COPIED: f64 = 0.25;

/// A reference: what is heard in it, and what the models are given of it.
struct Source {
    audio: AudioBuffer,
    heard: Heard,
    tokens: Vec<i64>,
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
    let respects: [(&str, fn(&Heard, &Heard) -> Option<f64>); 4] = [
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

/// A passage that is longer than those shared with others by so much is taken for a copy.
const FOUND_SECS: f64 = 1.0;

/// Clips of one kind against their own reference and some others: longest passage by ear, and longest run of tokens, in seconds.
#[derive(Default)]
struct Audit {
    own: [Vec<f64>; 2],
    /// Means over the others.
    others: [Vec<f64>; 2],
    /// Whether the own is longer than any other by [`FOUND_SECS`].
    found: [Vec<f64>; 2],
}

impl Audit {
    fn of(chromas: &[&Chroma], tokens: &[Vec<i64>], sources: &[Source], rate_hz: f64) -> Outcome<Self> {
        let count = sources.len();
        let mut audit = Self::default();
        for clip in 0..count {
            let shared = |source: usize| -> Outcome<[f64; 2]> {
                let source = &sources[source];
                let run = longest_shared_run(&tokens[clip], std::slice::from_ref(&source.tokens))?;
                let passage = longest_passage(chromas[clip], &source.heard.chroma)?;
                Ok([passage.secs, run.map_or(0.0, |run| run.secs(rate_hz))])
            };
            let own = shared(clip)?;
            let some = OTHERS.min(count - 1);
            let others = (1..=some).map(|step| shared((clip + step) % count)).collect::<Outcome<Vec<_>>>()?;
            for what in 0..2 {
                audit.own[what].push(own[what]);
                let most = others.iter().map(|other| other[what]).fold(0.0, f64::max);
                audit.found[what].push(f64::from(own[what] >= most + FOUND_SECS));
                audit.others[what].push(others.iter().map(|other| other[what]).sum::<f64>() / some as f64);
            }
        }
        Ok(audit)
    }

    fn rows(&self, name: &str) -> Outcome<Vec<Vec<Cell>>> {
        let row = |what: usize| -> Outcome<Vec<Cell>> {
            let (own, others) = (&self.own[what], &self.others[what]);
            let longest = own.iter().copied().fold(0.0, f64::max);
            Ok(row![
                format!("{name}: {}", ["chroma, any key", "tokens"][what]),
                bootstrap_mean(own, rng())?,
                bootstrap_mean(others, rng())?,
                paired_difference(own, others, rng())?,
                longest
            ])
        };
        (0..2).map(row).collect()
    }
}

fn audit(
    report: &mut Report<'_>,
    lm: &MusicLm,
    semantic: &NoteTokenizer,
    arm: &Arm,
    sources: &[Source],
    waveforms: &[AudioBuffer],
) -> Outcome {
    let rate_hz = lm.config().token_rate_hz;
    note("reference: shared passages ...");
    let chromas: Vec<&Chroma> = arm.heard.iter().map(|heard| &heard.chroma).collect();
    let made = Audit::of(&chromas, &arm.tokens, sources, rate_hz)?;
    note("reference: shared passages of clips with a real copy ...");
    let (mut spliced, mut heard) = (Vec::new(), Vec::new());
    for (waveform, source) in waveforms.iter().zip(sources) {
        let copy = splice(waveform, &source.audio)?;
        heard.push(Chroma::of(&copy)?);
        spliced.push(tokens(semantic, &copy)?);
    }
    let copied = Audit::of(&heard.iter().collect::<Vec<_>>(), &spliced, sources, rate_hz)?;
    let secs = COPIED * waveforms.first().map_or(0.0, AudioBuffer::duration_secs);
    let rows = [made.rows("generated")?, copied.rows(&format!("with {secs:.0} s copied"))?].concat();
    report.table(
        "Copy audit: longest passage in common, seconds",
        ["what, and how", "own reference", "other references (chance)", "own minus others", "longest of all"],
        rows,
    )?;
    let is_found = |audit: &Audit, what: usize| bootstrap_mean(&audit.found[what], rng());
    let rows = [("by chroma", 0), ("by tokens", 1)]
        .into_iter()
        .map(|(name, what)| Ok(row![name, is_found(&made, what)?, is_found(&copied, what)?]));
    report.table(
        format!("Share of clips whose passage in common with their own reference is longer than with any other by {FOUND_SECS} s"),
        ["found", "generated", "with a real copy"],
        rows.collect::<Outcome<Vec<_>>>()?,
    )
}

/// The clip, its beginning replaced by the same part of the reference.
fn splice(clip: &AudioBuffer, reference: &AudioBuffer) -> Outcome<AudioBuffer> {
    let frames = ((COPIED * clip.frames() as f64) as usize).min(reference.frames());
    let head = reference.samples().iter().take(frames);
    let samples = head.chain(clip.samples().iter().skip(frames)).copied().collect();
    Ok(AudioBuffer::mono(samples, clip.sample_rate_hz())?)
}

/// Runs of tokens shared with any piece trained on; what held-out music shares by chance is beside it.
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
    let runs = |songs: &mut dyn Iterator<Item = &Vec<i64>>| -> Outcome<Vec<f64>> {
        songs
            .map(|song| {
                let run = longest_shared_run(song, &corpus)?;
                Ok(run.map_or(0.0, |run| run.secs(lm.config().token_rate_hz)))
            })
            .collect()
    };
    let made = runs(&mut arm.tokens.iter())?;
    let heldout = runs(&mut sources.iter().map(|source| &source.tokens))?;
    report.table(
        format!("Longest run of tokens shared with any of {} pieces trained on, seconds", corpus.len()),
        ["clips", "mean", "longest"],
        vec![
            row!["generated", bootstrap_mean(&made, rng())?, made.iter().copied().fold(0.0, f64::max)],
            row![
                "held-out references (chance)",
                bootstrap_mean(&heldout, rng())?,
                heldout.iter().copied().fold(0.0, f64::max)
            ],
        ],
    )
}

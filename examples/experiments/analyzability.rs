//! Experiment 2: the cosine of thoughts with words, against how loud the instruments are.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::plot::{Bar, BarChart, Bars, Cloud, LineChart, Panel, Panels, ScatterChart, Series};
use musicot::core::tch::Tensor;
use musicot::core::train::{Dataset, Record};
use musicot::rvq::{RvqModel, VectorQuantizer};
use musicot::training::read_vectors;
use musicot_eval::calibration::{AnchorCurves, AnchorTest, test_anchors};
use ndarray::Array2;

use crate::anchors::{Anchors, Pairs};
use crate::arms::{Arm, Way};
use crate::asks::asks;
use crate::cell::{Cell, row};
use crate::common::{Outcome, note, recordings};
use crate::corpus::{audio, rows, spread, unit};
use crate::report::Report;
use crate::studio::Studio;
use crate::volumes::{self, Probe, READABLE_R2, Volumes};
use crate::{Context, rng};

/// The stand-in for singing, which no anchor is asked about.
const VOCALS: &str = "choir";

/// Training pieces that the probe is fitted to.
const PROBE_PIECES: usize = 240;

/// Windows of the null set that cosines are calibrated on.
const NULL_WINDOWS: usize = 1000;

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let options = &context.options;
    let studio = Studio::open(context)?;
    let window_secs = studio.clap.window_samples() as f64 / f64::from(studio.clap.sample_rate_hz());
    note("analyzability: levels of the stems of held-out pieces ...");
    let heldout = volumes::read(&context.heldout, options.pieces_read(100), window_secs)?;
    let families: Vec<String> =
        volumes::families(&heldout).into_iter().filter(|family| family != VOCALS).collect();
    let anchors = Anchors::of(&studio.clap, families, &null_set(context, &studio.clap)?)?;
    introduce(report, &anchors, window_secs);
    let truth = pieces(context, &studio, &anchors, &heldout)?;
    tell(report, "True plans of held-out pieces against their stems", &anchors, &truth, &[])?;
    report.part("scatter and curves of single pieces", |report| {
        pictures(report, &anchors, &truth, window_secs)
    });
    report.part("generated audio", |report| generated(context, report, &studio, &anchors, &heldout));
    Ok(())
}

fn introduce(report: &mut Report<'_>, anchors: &Anchors, window_secs: f64) {
    report.text(format!(
        "The cosine of a thought with `the sound of ...` is centred and scaled per phrase on a null set of embeddings of training windows \
         ({window_secs} s each), and held against the level of the instrument in the same window, in decibels relative to the mix (at least \
         -40). Correlations are within pieces: what differs between pieces alone does not count. Their p-values come from circular shifts \
         of the levels along each piece, adjusted for {} anchors (Benjamini and Hochberg). Vocals, the paper's first anchor, are left \
         out: nothing sings in this corpus, and a choir patch without words would be a stand-in for something else.",
        anchors.families.len()
    ));
}

/// Embeddings of training windows `[windows, dim]`.
fn null_set(context: &Context, clap: &Clap) -> Outcome<Array2<f32>> {
    if let Some(file) = &context.options.vectors {
        let all = read_vectors(file)?;
        let count = all.size()[0];
        let taken = (NULL_WINDOWS as i64).min(count);
        let chosen: Vec<i64> = (0..taken).map(|index| index * count / taken).collect();
        return rows(&all.f_index_select(0, &Tensor::f_from_slice(&chosen)?)?);
    }
    let train = Dataset::open(&context.options.train)?;
    let records = spread(train.records(), Some(context.options.usual(NULL_WINDOWS / 4, 4)));
    note(format_args!("analyzability: embedding {} training pieces for the null set ...", records.len()));
    let mut embedded = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let piece = audio(&train, &record.audio, clap.sample_rate_hz())?;
        embedded.push(clap.embed_windows(&piece, clap.window_samples())?);
        recordings(index + 1, records.len());
    }
    rows(&Tensor::f_cat(&embedded, 0)?)
}

/// Thoughts as a plan would hold them: quantised, of unit length.
fn thoughts(clap: &Clap, rvq: &RvqModel, dataset: &Dataset, record: &Record) -> Outcome<Array2<f32>> {
    let piece = audio(dataset, &record.audio, clap.sample_rate_hz())?;
    let windows = clap.embed_windows(&piece, clap.window_samples())?;
    rows(&unit(&rvq.decode(&rvq.encode(&windows)?)?)?)
}

fn pieces(context: &Context, studio: &Studio, anchors: &Anchors, heldout: &[Volumes]) -> Outcome<Pairs> {
    let mut pairs = Pairs { curves: Vec::new(), levels: vec![Vec::new(); anchors.families.len()] };
    for piece in heldout {
        let record = context.heldout.records().iter().find(|record| record.id == piece.id);
        let record = record.ok_or("a piece is not in its manifest")?;
        let thoughts = thoughts(&studio.clap, &studio.rvq, &context.heldout, record)?;
        pairs.push(anchors, &thoughts, |family| Ok(piece.of(&anchors.families[family])))?;
    }
    Ok(pairs)
}

/// The correlations of all families that may be read, with what was said about each before.
fn tell(
    report: &mut Report<'_>,
    title: &str,
    anchors: &Anchors,
    pairs: &Pairs,
    unreadable: &[String],
) -> Outcome {
    let readable: Vec<usize> = (0..anchors.families.len())
        .filter(|family| !unreadable.contains(&anchors.families[*family]))
        .collect();
    let curves: Vec<AnchorCurves> = readable.iter().map(|family| pairs.anchor(anchors, *family)).collect();
    let tests = match test_anchors(&curves, rng()) {
        // Pieces of one window have no course.
        Err(musicot_eval::Error::TooFew { .. }) => Vec::new(),
        tested => tested?,
    };
    let row = |(index, family): (usize, &String)| -> Outcome<Vec<Cell>> {
        let [within, overall] = pairs.correlations(index)?;
        Ok(match tests.iter().find(|test| test.phrase == *family) {
            Some(AnchorTest { correlation, adjusted_p, .. }) => {
                let within = Cell::Against(within, correlation.chance);
                row![family.as_str(), within, correlation.p, *adjusted_p, overall]
            }
            None if unreadable.contains(family) => {
                row![family.as_str(), "not readable", Cell::Empty, Cell::Empty, Cell::Empty]
            }
            None => row![family.as_str(), "never varies", Cell::Empty, Cell::Empty, overall],
        })
    };
    let windows: usize = pairs.curves.iter().map(|curves| curves.values().ncols()).sum();
    report.table(
        format!("{title} ({} pieces, {windows} windows)", pairs.curves.len()),
        ["anchor", "correlation within pieces", "p", "p, adjusted", "correlation over all windows"],
        anchors.families.iter().enumerate().map(row).collect::<Outcome<Vec<_>>>()?,
    )?;
    let bars = |test: &AnchorTest| {
        let family = anchors.families.iter().position(|family| *family == test.phrase);
        let interval = family
            .and_then(|family| pairs.correlations(family).ok())
            .map(|[within, _]| (within.low, within.high));
        Bar { value: test.correlation.found, interval }
    };
    let chart = BarChart {
        title: title.to_owned(),
        x_label: "correlation within pieces".to_owned(),
        rows: tests.iter().map(|test| format!("{} (p {:.3})", test.phrase, test.adjusted_p)).collect(),
        series: vec![Bars { name: String::new(), bars: tests.iter().map(bars).collect() }],
        ..BarChart::default()
    };
    let part = if unreadable.is_empty() { "pieces" } else { "generated" };
    report.picture(part, format!("{title}: correlation per anchor"), |path| chart.write_svg(path))
}

/// All windows of the four families that are heard most often, and the courses of one piece.
fn pictures(report: &mut Report<'_>, anchors: &Anchors, pairs: &Pairs, window_secs: f64) -> Outcome {
    let spread_of = |family: usize| -> f64 {
        let levels = pairs.levels[family].iter();
        levels.map(|levels| levels.iter().fold(0.0, |most: f64, level| most.max(level - levels[0]))).sum()
    };
    let mut order: Vec<usize> = (0..anchors.families.len()).collect();
    order.sort_by(|a, b| spread_of(*b).total_cmp(&spread_of(*a)));
    let mut panels = Vec::new();
    for family in order.iter().copied().take(4) {
        let points = (0..pairs.curves.len()).flat_map(|piece| {
            pairs.levels[family][piece].clone().into_iter().zip(pairs.curve(piece, family))
        });
        panels.push(Panel::Scatter(ScatterChart {
            title: anchors.families[family].clone(),
            x_label: "level relative to the mix (dB)".to_owned(),
            y_label: "calibrated cosine".to_owned(),
            clouds: vec![Cloud { name: String::new(), points: points.collect() }],
        }));
    }
    let longest =
        (0..pairs.curves.len()).max_by_key(|piece| pairs.curves[*piece].values().ncols()).unwrap_or(0);
    for (title, of_levels) in [("one piece: levels (dB)", true), ("one piece: calibrated cosines", false)] {
        let series = order.iter().take(4).map(|family| {
            let values = if of_levels {
                pairs.levels[*family][longest].clone()
            } else {
                pairs.curve(longest, *family)
            };
            let last = values.last().copied();
            let points = values.into_iter().chain(last).enumerate();
            let points = points.map(|(window, value)| (window as f64 * window_secs, value)).collect();
            Series { name: anchors.families[*family].clone(), points, step: true }
        });
        panels.push(Panel::Lines(LineChart {
            title: title.to_owned(),
            x_label: "time (s)".to_owned(),
            series: series.collect(),
            ..LineChart::default()
        }));
    }
    let caption = "Levels of instruments and what true plans say about them: the four anchors whose levels vary most, and one piece";
    report.picture("curves", caption, |path| Panels { columns: 2, panels }.write_svg(path))
}

/// Plans of the model's own against a probe's reading of the audio that was made from them.
fn generated(
    context: &Context,
    report: &mut Report<'_>,
    studio: &Studio,
    anchors: &Anchors,
    heldout: &[Volumes],
) -> Outcome {
    let options = &context.options;
    note("analyzability: levels of the stems of training pieces, for the probe ...");
    let window_secs = studio.clap.window_samples() as f64 / f64::from(studio.clap.sample_rate_hz());
    let train = Dataset::open(&options.train)?;
    let train = volumes::read(&train, options.usual(PROBE_PIECES, 4), window_secs)?;
    let probes = anchors
        .families
        .iter()
        .map(|family| Probe::fit(family, &train, heldout))
        .collect::<Outcome<Vec<_>>>()?;
    let is_weak = |probe: &Probe| probe.r2.mean < READABLE_R2;
    let rows =
        anchors.families.iter().zip(&probes).map(|(family, probe)| {
            row![family.as_str(), probe.r2, if is_weak(probe) { "no" } else { "yes" }]
        });
    report.table(
        format!(
            "Probe of levels in mixes: ridge regression on timbre features, fitted to {} training pieces, validated on {} held-out ones",
            train.len(),
            heldout.len()
        ),
        ["family", "R2 on held-out mixes (chance 0)", "read in generated audio"],
        rows.collect(),
    )?;
    let weak: Vec<String> = anchors
        .families
        .iter()
        .zip(&probes)
        .filter(|(_, probe)| is_weak(probe))
        .map(|(family, _)| family.clone())
        .collect();
    if weak.len() == anchors.families.len() {
        return Err(format!("the probe is too weak for every family (R2 below {READABLE_R2})").into());
    }
    let secs = options.secs(40.0);
    let asks = asks(context, &studio.clap, options.prompts(24), Some(secs))?;
    let lm = context.stages.lm()?;
    let way =
        Way { lm: &lm, policy: studio.policy, secs, given: None, has_thoughts: true, tells_diffusion: true };
    let mut levels: Vec<Vec<Vec<f64>>> = Vec::new();
    let arm = Arm::make(studio, "analyzability", &asks, &way, |_, audio| {
        levels.push(probes.iter().map(|probe| probe.levels(audio, window_secs)).collect::<Outcome<_>>()?);
        Ok(())
    })?;
    let mut pairs = Pairs { curves: Vec::new(), levels: vec![Vec::new(); anchors.families.len()] };
    for (thoughts, levels) in arm.thoughts.iter().zip(levels) {
        pairs.push(anchors, thoughts, |family| Ok(levels[family].clone()))?;
    }
    tell(report, "Generated plans against the probe's reading of their audio", anchors, &pairs, &weak)
}

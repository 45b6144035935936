//! Experiment 5: how alike the seeds of one prompt are, and thoughts of 10 s against thoughts of 5 s.

use musicot::core::AudioBuffer;
use musicot::core::plot::{Bar, BarChart, Bars};
use musicot::lm::MusicLm;
use musicot_eval::reliability::intraclass;
use musicot_eval::significance::group_contrast;
use musicot_eval::statistics::{bootstrap, correlation};
use ndarray::Array2;

use crate::arms::{Arm, Way};
use crate::asks::{Ask, asks};
use crate::cell::row;
use crate::common::Outcome;
use crate::compare::compare;
use crate::heard::{Heard, Likeness};
use crate::report::Report;
use crate::space::Reference;
use crate::studio::Studio;
use crate::{Context, inputs, rng};

const PROMPTS: usize = 12;

/// Prompts of the comparison of windows of 10 s and of 5 s.
const RESOLUTION_PROMPTS: usize = 16;

pub fn run(context: &Context, report: &mut Report<'_>) -> Outcome {
    let studio = Studio::open(context)?;
    let secs = context.options.secs(20.0);
    let (prompts, seeds) = (context.options.prompts(PROMPTS).min(PROMPTS), context.options.seeds());
    report.text(format!(
        "{prompts} captions of held-out pieces with tempo, key and form, {seeds} seeds each, {secs} s. Seeds of a prompt are compared with \
         one another and with clips of other prompts: rhythm by the curves of tempo salience, harmony by the pitch classes used, structure \
         by where a clip repeats and changes, sound by CLAP. The contrast is the mean likeness within prompts less that \
         between prompts; p from rearranged labels."
    ));
    let lm = context.stages.lm()?;
    report.part("seeds of one prompt", |report| {
        seeds_of(context, report, &studio, &lm, (prompts, seeds), secs)
    });
    report.part("thoughts of 10 s and of 5 s", |report| resolution(context, report, &studio));
    Ok(())
}

fn seeds_of(
    context: &Context,
    report: &mut Report<'_>,
    studio: &Studio,
    lm: &MusicLm,
    (prompts, seeds): (usize, usize),
    secs: f64,
) -> Outcome {
    let mut all = Vec::new();
    let mut groups = Vec::new();
    for (prompt, ask) in asks(context, &studio.clap, prompts, Some(secs))?.into_iter().enumerate() {
        for seed in 0..seeds {
            all.push(Ask { number: (prompt * seeds + seed) as u64, ..ask.clone() });
            groups.push(prompt);
        }
    }
    let way = Way { lm, policy: studio.policy, secs, given: None, has_thoughts: true, tells_diffusion: true };
    let arm = Arm::make(studio, "robustness", &all, &way, |_, _: &AudioBuffer| Ok(()))?;
    contrasts(report, &arm.heard, &groups)?;
    scalars(report, &arm.heard, seeds)
}

fn rhythm(a: &Heard, b: &Heard) -> Option<f64> {
    correlation(&a.tempo.as_ref()?.salience, &b.tempo.as_ref()?.salience).ok()?
}

fn harmony(a: &Heard, b: &Heard) -> Option<f64> {
    Some(f64::from(a.pitch_classes().dot(&b.pitch_classes())))
}

fn structure(a: &Heard, b: &Heard) -> Option<f64> {
    a.similarity.as_ref()?.correlation(b.similarity.as_ref()?).ok()?
}

fn sound(a: &Heard, b: &Heard) -> Option<f64> {
    let (a, b) = (a.mean().ok()?, b.mean().ok()?);
    Some(f64::from(a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt().max(1e-9)))
}

fn contrasts(report: &mut Report<'_>, heard: &[Heard], groups: &[usize]) -> Outcome {
    let respects: [(&str, Likeness); 4] =
        [("rhythm", rhythm), ("harmony", harmony), ("structure", structure), ("sound (CLAP)", sound)];
    let (mut rows, mut names, mut within, mut between) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, likeness) in respects {
        let scores = Array2::from_shape_fn((heard.len(), heard.len()), |(a, b)| {
            likeness(&heard[a], &heard[b]).unwrap_or(0.0)
        });
        let test = group_contrast(scores.view(), groups, rng())?;
        let [own, others] = [true, false].map(|is_own| by_prompt(&scores, groups, is_own));
        let count = own.len();
        let over = |values: &[f64]| {
            bootstrap(count, 1000, rng(), |items| {
                Ok(items.iter().map(|item| values[*item]).sum::<f64>() / items.len() as f64)
            })
        };
        let (own, others) = (over(&own)?, over(&others)?);
        rows.push(row![name, own, others, test.found, test.p]);
        names.push(name.to_owned());
        within.push(Bar { value: own.mean, interval: Some((own.low, own.high)) });
        between.push(Bar { value: others.mean, interval: Some((others.low, others.high)) });
    }
    report.table(
        "Likeness of clips (intervals over prompts)",
        ["in", "seeds of one prompt", "other prompts", "contrast", "p"],
        rows,
    )?;
    let chart = BarChart {
        title: "Likeness of clips".to_owned(),
        x_label: "correlation or cosine".to_owned(),
        rows: names,
        series: vec![
            Bars { name: "seeds of one prompt".to_owned(), bars: within },
            Bars { name: "other prompts".to_owned(), bars: between },
        ],
        marks: Vec::new(),
    };
    report.picture("likeness", "Likeness of seeds of one prompt and of other prompts", |path| {
        chart.write_svg(path)
    })
}

/// Mean score of each prompt's clips with its own other clips, or with those of other prompts.
fn by_prompt(scores: &Array2<f64>, groups: &[usize], is_own: bool) -> Vec<f64> {
    let prompts = groups.iter().max().map_or(0, |last| last + 1);
    let mean = |prompt: usize| {
        let pairs = scores
            .indexed_iter()
            .filter(|((a, b), _)| a != b && groups[*a] == prompt && (groups[*b] == prompt) == is_own);
        let (sum, count) = pairs.fold((0.0, 0_usize), |(sum, count), (_, value)| (sum + value, count + 1));
        sum / count.max(1) as f64
    };
    (0..prompts).map(mean).collect()
}

/// A single number of a clip.
type Number = fn(&Heard) -> f64;

/// Share of the variance of single numbers that lies between prompts.
fn scalars(report: &mut Report<'_>, heard: &[Heard], seeds: usize) -> Outcome {
    let numbers: [(&str, Number); 4] = [
        ("tempo (octaves, log2 of bpm)", |clip| clip.bpm().unwrap_or(120.0).log2()),
        ("onsets per second", |clip| clip.onset_rate_hz),
        ("entropy of pitch classes", |clip| clip.chroma.entropy_bits()),
        ("clearness of the beat", |clip| {
            clip.tempo.as_ref().and_then(|curve| curve.tempo()).map_or(0.0, |tempo| tempo.strength)
        }),
    ];
    let mut rows = Vec::new();
    for (name, number) in numbers {
        let groups: Vec<Vec<f64>> =
            heard.chunks(seeds).map(|clips| clips.iter().map(number).collect()).collect();
        let measured = bootstrap(groups.len(), 1000, rng(), |items| {
            let drawn: Vec<&[f64]> = items.iter().map(|item| groups[*item].as_slice()).collect();
            // A resample of one prompt alone has no variance between prompts.
            Ok(intraclass(&drawn)?.unwrap_or(0.0))
        });
        match measured {
            Ok(of) => rows.push(row![name, of]),
            Err(error) => report.missing(name, error),
        }
    }
    report.table(
        "Intraclass correlation of single numbers (0: a prompt decides nothing, 1: it decides all)",
        ["number", "intraclass correlation"],
        rows,
    )
}

/// Two models that differ in the length of their windows.
fn resolution(context: &Context, report: &mut Report<'_>, studio: &Studio) -> Outcome {
    let models = [
        ("thoughts of 10 s", inputs::lm(context, "lm-thoughts")?),
        ("thoughts of 5 s", inputs::lm(context, "lm-5s")?),
    ];
    let secs = context.options.secs(40.0);
    let asks = asks(context, &studio.clap, context.options.prompts(RESOLUTION_PROMPTS), Some(secs))?;
    let reference = Reference::of(context, studio, &asks, secs)?;
    let mut arms = Vec::new();
    for (name, lm) in &models {
        let way =
            Way { lm, policy: studio.policy, secs, given: None, has_thoughts: true, tells_diffusion: false };
        arms.push(Arm::make(studio, name, &asks, &way, |_, _| Ok(()))?);
    }
    report.text(
        "Thoughts of 10 s and of 5 s: two reduced language models, trained alike. A window of 5 s is repeated to fill CLAP's 10 s. The diffusion, which \
         was trained on thoughts of 10 s, is given none in either arm. Obedience compares the first arm alone, because \
         CLAP hears audio in windows of 10 s.",
    );
    compare(report, "Resolution of thoughts", &arms, 0, &asks, &reference)
}

//! A named solo instrument: is it what is heard?

use musicot::Generator;
use musicot::core::AudioBuffer;
use musicot_eval::embeddings::cosine_scores;
use ndarray::{Array2, Axis};

use super::Studio;
use super::prompts::{SOLOS, solo};
use super::stems::{Probe, held_out};
use crate::Context;
use crate::clap::family_texts;
use crate::codec::round_trip;
use crate::common::{Outcome, note};
use crate::corpus::embedded;
use crate::figure::Figure;
use crate::report::Measured;
use crate::wide::{Cell, Wide};

/// Seconds of a clip, which is a window of the plan; shorter where all clips are.
const SECS: f64 = 10.0;

/// Least share of clips in which both judges hear the family.
const TARGET: f64 = 0.8;

const COLUMNS: [&str; 7] =
    ["clips", "CLAP", "probe", "both", "stems: CLAP", "stems: probe", "stems by codec: probe"];

/// What the two judges hear.
struct Verdict {
    asked: &'static str,
    clap: Option<String>,
    probe: Option<String>,
}

/// How a verdict agrees with a family: by CLAP, by the probe, by both.
type Agrees = fn(&Verdict, &str) -> bool;
const JUDGES: [(&str, Agrees); 3] = [
    ("by CLAP", |verdict, family| verdict.clap.as_deref() == Some(family)),
    ("by the probe", |verdict, family| verdict.probe.as_deref() == Some(family)),
    ("by both", |verdict, family| {
        [&verdict.clap, &verdict.probe].iter().all(|f| f.as_deref() == Some(family))
    }),
];

/// Both judges.
struct Judges {
    families: Vec<&'static str>,
    texts: Array2<f32>,
    probe: Probe,
}

impl Judges {
    fn hear(&self, generator: &mut Generator, asked: &'static str, clip: &AudioBuffer) -> Outcome<Verdict> {
        let embedded = embedded(generator, clip)?;
        let scores = cosine_scores(embedded.view().insert_axis(Axis(0)), self.texts.view())?;
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(family, _)| family);
        let clap = best.map(|family| self.families[family].to_owned());
        Ok(Verdict { asked, clap, probe: self.probe.family(clip)? })
    }
}

pub fn figures(context: &Context, studio: &mut Studio) -> Outcome<Measured> {
    let (secs, codec) = (SECS.min(context.options.secs), context.stages.codec()?);
    let probe = Probe::fit(context, &codec, secs)?;
    let known = |name: &str| probe.families().iter().any(|family| family == name);
    let families: Vec<&'static str> =
        SOLOS.map(|(family, _)| family).into_iter().filter(|f| known(f)).collect();
    let texts = family_texts(&context.stages.clap()?, &families)?;
    let judges = Judges { families, texts, probe };
    let made = made(context, studio, &judges, secs)?;
    note("obedience: the same of held-out stems");
    let (mut stems, mut decoded) = (Vec::new(), Vec::new());
    held_out(context, &codec, secs, |solo| {
        if let Some(family) = judges.families.iter().find(|family| **family == solo.family) {
            studio.sanity.push_stem(&solo.audio)?;
            stems.push(judges.hear(&mut studio.generator, family, &solo.audio)?);
            let copy = round_trip(&codec, &solo.audio)?;
            decoded.push(judges.hear(&mut studio.generator, family, &copy)?);
        }
        Ok(())
    })?;
    let mut found = shares(&made, &judges.families)?;
    found.extend(ceilings(&stems, "held-out stems")?);
    found.extend(ceilings(&decoded, "held-out stems by way of the codec")?);
    let tables = vec![table(&judges.families, &made, &stems, &decoded)?];
    Ok(Measured { figures: found, tables })
}

/// A clip for each prompt of each family that both judges know.
fn made(context: &Context, studio: &mut Studio, judges: &Judges, secs: f64) -> Outcome<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    let (each, total) = (context.options.solos, context.options.solos * judges.families.len());
    for (family, (name, _)) in
        SOLOS.iter().enumerate().filter(|(_, (name, _))| judges.families.contains(name))
    {
        for clip in 0..each {
            let song = studio.play(&solo(family, clip), secs, verdicts.len(), total)?;
            verdicts.push(judges.hear(&mut studio.generator, name, &song.audio)?);
        }
    }
    Ok(verdicts)
}

/// Shares of clips with the family of their prompt, and with those of other prompts.
fn shares(made: &[Verdict], families: &[&str]) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, agrees) in JUDGES {
        let own = hits(made, agrees);
        let of_others = |verdict: &Verdict| {
            let others = families.iter().filter(|family| **family != verdict.asked);
            let heard = others.filter(|family| agrees(verdict, family)).count();
            heard as f64 / (families.len() - 1).max(1) as f64
        };
        let others: Vec<f64> = made.iter().map(of_others).collect();
        let figure =
            Figure::mean_of(format!("the named solo instrument's family scores highest {name}"), &own)?;
        figures.push(if name == "by both" { figure.at_least(TARGET) } else { figure });
        figures.push(Figure::mean_of(format!("chance: another prompt's family {name}"), &others)?);
    }
    Ok(figures)
}

fn hits(verdicts: &[Verdict], agrees: Agrees) -> Vec<f64> {
    verdicts.iter().map(|verdict| f64::from(agrees(verdict, verdict.asked))).collect()
}

/// What the judges make of recordings whose family is known.
fn ceilings(verdicts: &[Verdict], what: &str) -> Outcome<Vec<Figure>> {
    if verdicts.is_empty() {
        return Ok(vec![Figure::missing(format!("ceiling: {what}"), "no held-out piece has stems")]);
    }
    let figure = |(name, agrees): (&str, Agrees)| {
        Figure::mean_of(format!("ceiling: {what}, {name}"), &hits(verdicts, agrees))
    };
    JUDGES.into_iter().map(figure).collect()
}

/// A row per family.
fn table(families: &[&str], made: &[Verdict], stems: &[Verdict], decoded: &[Verdict]) -> Outcome<Wide> {
    let mut table = Wide::new("family", &COLUMNS);
    for family in families {
        let share = |verdicts: &[Verdict], judge: usize| {
            let own = verdicts.iter().filter(|verdict| verdict.asked == *family);
            let hits: Vec<f64> = own.map(|verdict| f64::from(JUDGES[judge].1(verdict, family))).collect();
            Cell::mean_of(&hits)
        };
        let clips = made.iter().filter(|verdict| verdict.asked == *family).count();
        table.row(
            *family,
            [
                Cell::of(clips as f64),
                share(made, 0)?,
                share(made, 1)?,
                share(made, 2)?,
                share(stems, 0)?,
                share(stems, 1)?,
                share(decoded, 1)?,
            ],
        );
    }
    Ok(table)
}

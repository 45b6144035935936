//! What clips have in common with their references, by ear and by tokens.

use musicot::codec::NoteTokenizer;
use musicot::core::AudioBuffer;
use musicot::lm::MusicLm;
use musicot_eval::chroma::Chroma;
use musicot_eval::copies::longest_passage;
use musicot_eval::statistics::{bootstrap_mean, paired_difference};
use musicot_eval::tokens::longest_shared_run;

use crate::arms::Arm;
use crate::cell::{Cell, row};
use crate::common::{Outcome, note};
use crate::corpus::tokens;
use crate::reference::Source;
use crate::report::Report;
use crate::rng;

/// Other references that each clip is compared with for chance: each comparison of chroma takes a moment.
const OTHERS: usize = 6;

/// Share of a clip that is replaced by its reference for the sanity check.
const COPIED: f64 = 0.25;

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

/// Tables of what clips share with their references, and of what clips with a real copy do.
pub fn audit(
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

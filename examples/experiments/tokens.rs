//! Token datasets of other plans, made from one that `train encode` wrote: in words, of fewer levels, of shorter windows.

use std::collections::BTreeMap;

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::tch::Tensor;
use musicot::core::tensor;
use musicot::core::train::{Dataset, Record};
use musicot::lm::VocabConfig;
use musicot::lm::train::{TokenDataset, TokenInfo, TokenPiece};
use musicot::rvq::{RvqModel, VectorQuantizer};
use ndarray::{Array2, s};

use crate::asks::most_of;
use crate::common::{Outcome, recordings, say};
use crate::corpus::audio;
use crate::heard::cut;
use crate::options::Options;
use crate::stages::Stages;

/// Length of a short window where no other is asked for.
const SHORT_SECS: f64 = 5.0;

/// Makes the dataset of a kind.
pub fn make(kind: &str, options: &Options) -> Outcome {
    let from =
        options.tokens.as_ref().ok_or("`tokens` needs --tokens DIR, the dataset that it starts from")?;
    let all = TokenDataset::read(from)?;
    let made = match kind {
        "words" => in_words(&all, &records(options)?),
        "levels" => fewer_levels(&all, options.levels),
        "short" => short_windows(&all, options),
        other => {
            Err(format!("there is no kind `{other}` of tokens; there are words, levels and short").into())
        }
    }?;
    made.write(&options.out)?;
    let (pieces, info) = (made.pieces().len(), made.info());
    let windows = info.window_tokens;
    say(format_args!(
        "{pieces} pieces, plans of {} slots with {} codes each, a window of {windows} tokens, in {}",
        info.levels,
        info.codebook_size,
        options.out.display()
    ))
}

/// The records of the manifest by their names.
fn records(options: &Options) -> Outcome<BTreeMap<String, Record>> {
    let manifest =
        options.manifest.as_ref().ok_or("`tokens words` and `tokens short` need --manifest FILE")?;
    let dataset = Dataset::open(manifest)?;
    Ok(dataset.records().iter().map(|record| (record.id.clone(), record.clone())).collect())
}

fn named<'a>(records: &'a BTreeMap<String, Record>, id: &str) -> Outcome<&'a Record> {
    Ok(records.get(id).ok_or_else(|| format!("the manifest has no piece `{id}`"))?)
}

/// Plans in words: in the first slot of a window the section that covers most of it, in one slot per instrument family whether it plays there.
/// Code 0 of a slot says that nothing is known, or that the family is silent.
fn in_words(all: &TokenDataset, records: &BTreeMap<String, Record>) -> Outcome<TokenDataset> {
    let vocab = VocabConfig::default();
    let (labels, families) = (&vocab.section_labels, &vocab.tags.instruments);
    let info =
        TokenInfo { levels: 1 + families.len(), codebook_size: labels.len() + 1, ..all.info().clone() };
    // The length of a token is that of the piece over their number.
    let piece = |piece: &TokenPiece| -> Outcome<TokenPiece> {
        let record = named(records, &piece.id)?;
        let window_secs = info.window_tokens as f64 * record.duration_secs / piece.audio.len() as f64;
        let mut codes = Array2::zeros((piece.thoughts.nrows(), info.levels));
        for (window, mut slots) in codes.rows_mut().into_iter().enumerate() {
            let (start, end) = (window as f64 * window_secs, (window + 1) as f64 * window_secs);
            let spans = record.sections.iter().map(|section| (section.start_secs, section.end_secs));
            let Some(section) = most_of(spans, start, end).map(|index| &record.sections[index]) else {
                continue;
            };
            slots[0] =
                labels.iter().position(|label| *label == section.label).map_or(0, |label| label as i64 + 1);
            for (slot, family) in families.iter().enumerate() {
                slots[slot + 1] = i64::from(section.instruments.contains(family));
            }
        }
        Ok(TokenPiece { thoughts: codes, ..piece.clone() })
    };
    let pieces = all.pieces().iter().map(piece).collect::<Outcome<Vec<_>>>()?;
    Ok(TokenDataset::new(info, pieces)?)
}

/// The first levels of each thought.
fn fewer_levels(all: &TokenDataset, levels: usize) -> Outcome<TokenDataset> {
    if levels > all.info().levels {
        return Err(
            format!("expected at most the dataset's {} levels, got {levels}", all.info().levels).into()
        );
    }
    let cut = |piece: &TokenPiece| TokenPiece {
        thoughts: piece.thoughts.slice(s![.., ..levels]).to_owned(),
        ..piece.clone()
    };
    let info = TokenInfo { levels, ..all.info().clone() };
    Ok(TokenDataset::new(info, all.pieces().iter().map(cut).collect())?)
}

/// Thoughts of shorter windows, each filled up to CLAP's by repetition, as it fills short recordings.
fn short_windows(all: &TokenDataset, options: &Options) -> Outcome<TokenDataset> {
    let manifest = options.manifest.as_ref().ok_or("`tokens short` needs --manifest FILE")?;
    let (dataset, records) = (Dataset::open(manifest)?, records(options)?);
    let stages = Stages::open(options)?;
    let (clap, rvq) = (stages.clap()?, stages.rvq()?);
    let window_secs = clap.window_samples() as f64 / f64::from(clap.sample_rate_hz());
    let secs = options.secs(SHORT_SECS);
    let tokens = secs * all.info().window_tokens as f64 / window_secs;
    if (tokens - tokens.round()).abs() > 1e-6 || tokens < 1.0 || secs > window_secs {
        return Err(format!("--secs {secs}: expected whole tokens and at most CLAP's {window_secs} s").into());
    }
    let info = TokenInfo { window_tokens: tokens.round() as usize, ..all.info().clone() };
    let total = all.pieces().len();
    let mut pieces = Vec::with_capacity(total);
    for (index, piece) in all.pieces().iter().enumerate() {
        let record = named(&records, &piece.id)?;
        let thoughts = short_thoughts(&clap, &rvq, &dataset, record, secs)?;
        let windows = piece.audio.len().div_ceil(info.window_tokens).min(thoughts.nrows());
        pieces.push(TokenPiece { thoughts: thoughts.slice(s![..windows, ..]).to_owned(), ..piece.clone() });
        recordings(index + 1, total);
    }
    Ok(TokenDataset::new(info, pieces)?)
}

/// Codes `[windows, levels]`.
fn short_thoughts(
    clap: &Clap,
    rvq: &RvqModel,
    dataset: &Dataset,
    record: &Record,
    secs: f64,
) -> Outcome<Array2<i64>> {
    let parts = cut(&audio(dataset, &record.audio, clap.sample_rate_hz())?, secs)?;
    let clips: Vec<f32> = parts
        .iter()
        .flat_map(|part| clap.fill(&part.samples().iter().copied().collect::<Vec<_>>()))
        .collect();
    let clips = Tensor::f_from_slice(&clips)?.f_reshape([parts.len() as i64, -1])?;
    let codes = rvq.encode(&clap.embed_audio(&clips)?)?;
    Ok(Array2::from_shape_vec((parts.len(), rvq.levels()), tensor::to_ids(&codes)?)?)
}

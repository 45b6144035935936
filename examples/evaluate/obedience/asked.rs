//! Tempo and key that a prompt names.

use musicot::codec::AudioCodec;
use musicot::lm::tags::{TagVocab, parse};

use super::Studio;
use super::prompts::{Named, by_number, by_word};
use crate::Context;
use crate::common::Outcome;
use crate::corpus::{audio, head, spread, tell};
use crate::figure::Figure;
use crate::music::{Hits, Music, key, mirex, octaves, tempo};
use crate::report::Measured;
use crate::wide::Wide;

/// Least share of clips with the tempo, and with the key, of their prompt.
const TARGETS: (f64, f64) = (0.7, 0.5);

/// One prompt with a word of tempo for so many with a number.
const NUMBERS_PER_WORD: usize = 4;

/// Each measure, and after it what the same clips score against what other prompts asked for.
const COLUMNS: [&str; 9] =
    ["clips", "tempo 8 %", "others'", "or octave", "others'", "key", "others'", "MIREX", "others'"];

pub fn figures(context: &Context, studio: &mut Studio) -> Outcome<Measured> {
    let prompts = context.options.prompts;
    let numbers: Vec<Named> = (0..prompts).map(by_number).collect();
    let words: Vec<Named> = (0..prompts.div_ceil(NUMBERS_PER_WORD)).map(by_word).collect();
    let (numbers, words) = (played(context, studio, &numbers)?, played(context, studio, &words)?);
    let mut table = Wide::new("asked for", &COLUMNS);
    for (name, clips) in [
        ("tempo as a number", &numbers),
        ("tempo as a word (what the reader of prompts makes of it)", &words),
        ("ceiling: held-out pieces, their tags", &tagged(context)?),
    ] {
        table.row(name, row(clips)?);
    }
    let (of_tempo, of_key) = (Hits::of(tempo, &numbers)?, Hits::of(key, &[numbers, words].concat())?);
    let mut found = Measured::from(vec![
        Figure::mean_of("tempo within 8 % of the prompt's number", &of_tempo.own)?.at_least(TARGETS.0),
        Figure::mean_of("tonic and mode of the prompt's key", &of_key.own)?.at_least(TARGETS.1),
    ]);
    for (name, hits) in [("the same tempo", of_tempo), ("the same key", of_key)] {
        let name = format!("chance: {name}, asked for by other prompts");
        found.figures.push(match hits.others.is_empty() {
            true => Figure::missing(name, "needs at least two prompts"),
            false => Figure::mean_of(name, &hits.others)?,
        });
    }
    found.tables.push(table);
    Ok(found)
}

/// What is heard of each prompt's clip, and what was asked for.
fn played(context: &Context, studio: &mut Studio, prompts: &[Named]) -> Outcome<Vec<(Music, Music)>> {
    let mut clips = Vec::new();
    for (number, named) in prompts.iter().enumerate() {
        let song = studio.play(&named.prompt, context.options.secs, number, prompts.len())?;
        let read = || parse(&named.prompt, &TagVocab::default()).tempo_bpm;
        let asked = Music::tagged(named.bpm.or_else(read), Some(named.key))?;
        clips.push((Music::heard(&song.audio)?, asked));
    }
    Ok(clips)
}

/// As much of held-out pieces, and their tags: what the estimators can reach.
fn tagged(context: &Context) -> Outcome<Vec<(Music, Music)>> {
    let rate = context.stages.codec()?.sample_rate_hz();
    let records = spread(context.heldout.records(), Some(context.options.pieces.unwrap_or(PIECES)));
    let mut pieces = Vec::new();
    for (index, record) in records.iter().enumerate() {
        tell("obedience", index, records.len(), record);
        let clip = head(&audio(&context.heldout, &record.audio, rate)?, context.options.secs)?;
        pieces
            .push((Music::heard(&clip)?, Music::tagged(record.tags.tempo_bpm, record.tags.key.as_deref())?));
    }
    Ok(pieces)
}

/// Pieces of the ceiling, where no other number is asked for.
const PIECES: usize = 60;

fn row(clips: &[(Music, Music)]) -> Outcome<Vec<Option<crate::wide::Cell>>> {
    let mut cells = vec![crate::wide::Cell::of(clips.len() as f64)];
    for hit in [tempo, octaves, key, mirex] {
        cells.extend(Hits::of(hit, clips)?.cells()?);
    }
    Ok(cells)
}

//! Reading a score: a MIDI file and the provenance beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use midly::{MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metre::Metre;
use crate::piece::{Note, TICKS_PER_BEAT};

/// Where a piece that was not composed here comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The work.
    pub title: String,
    /// Who composed it.
    pub composer: String,
    /// The licence, or that it is in the public domain.
    pub licence: String,
    /// The collection.
    pub origin: String,
    /// The file in the collection.
    pub file: String,
}

/// A stretch of bars of one metre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) metre: Metre,
    pub(super) start: u32,
    pub(super) bars: u32,
}

/// A score on the grid of this crate.
#[derive(Clone, Debug)]
pub(super) struct Score {
    pub(super) provenance: Provenance,
    /// Quarter notes per minute.
    pub(super) tempo_bpm: f64,
    /// The voices, highest first; velocities mean nothing yet.
    pub(super) voices: Vec<Vec<Note>>,
    pub(super) runs: Vec<Run>,
}

/// Reads `path` and the JSON file of the same name.
pub(super) fn read(path: &Path) -> Result<Score> {
    let beside = path.with_extension("json");
    let text = fs::read_to_string(&beside).map_err(|source| Error::io(&beside, source))?;
    let provenance = serde_json::from_str(&text).map_err(|source| Error::Json {
        path: beside.clone(),
        line: source.line(),
        source,
    })?;
    let bytes = fs::read(path).map_err(|source| Error::io(path, source))?;
    let wrong = |what: String| Error::Score { path: path.to_path_buf(), what };
    let smf = Smf::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
    let Timing::Metrical(ticks) = smf.header.timing else {
        return Err(wrong("its time is not counted in quarter notes".to_owned()));
    };
    let ticks = u64::from(ticks.as_int().max(1));
    let scale = |tick: u64| (tick * u64::from(TICKS_PER_BEAT) / ticks) as u32;
    let mut voices: Vec<Vec<Note>> =
        smf.tracks.iter().map(|track| notes(track, &scale)).filter(|notes| !notes.is_empty()).collect();
    if voices.is_empty() {
        return Err(wrong("it has no notes".to_owned()));
    }
    voices.sort_by_key(|notes| std::cmp::Reverse(mean_key(notes)));
    let end = voices.iter().flatten().map(Note::end).max().unwrap_or(0);
    let conductor = smf.tracks.first().map_or(&[][..], |track| &track[..]);
    let (tempo_bpm, metres) = conducted(conductor, &scale);
    Ok(Score { provenance, tempo_bpm, voices, runs: runs(&metres, end) })
}

/// Mean key in hundredths of a semitone.
fn mean_key(notes: &[Note]) -> u32 {
    notes.iter().map(|note| u32::from(note.key) * 100).sum::<u32>() / notes.len().max(1) as u32
}

fn notes(track: &[midly::TrackEvent<'_>], scale: &impl Fn(u64) -> u32) -> Vec<Note> {
    let mut now = 0u64;
    let mut open: BTreeMap<u8, u64> = BTreeMap::new();
    let mut found = Vec::new();
    for event in track {
        now += u64::from(event.delta.as_int());
        let TrackEventKind::Midi { message, .. } = event.kind else {
            continue;
        };
        let (key, struck) = match message {
            MidiMessage::NoteOn { key, vel } => (key.as_int(), vel.as_int() > 0),
            MidiMessage::NoteOff { key, .. } => (key.as_int(), false),
            _ => continue,
        };
        if let Some(began) = open.remove(&key) {
            let start = scale(began);
            found.push(Note { start, length: scale(now).saturating_sub(start).max(1), key, velocity: 80 });
        }
        if struck {
            open.insert(key, now);
        }
    }
    found.sort_by_key(|note| (note.start, note.key));
    found
}

/// The first tempo (100 where none is told), and the metres with their first ticks.
fn conducted(track: &[midly::TrackEvent<'_>], scale: &impl Fn(u64) -> u32) -> (f64, Vec<(u32, u8, u8)>) {
    let mut now = 0u64;
    let mut tempo = None;
    let mut metres = Vec::new();
    for event in track {
        now += u64::from(event.delta.as_int());
        match event.kind {
            TrackEventKind::Meta(MetaMessage::Tempo(micros)) => {
                tempo = tempo.or(Some(60e6 / f64::from(micros.as_int().max(1))));
            }
            TrackEventKind::Meta(MetaMessage::TimeSignature(upper, power, ..)) => {
                metres.push((scale(now), upper, power));
            }
            _ => {}
        }
    }
    (tempo.unwrap_or(100.0), metres)
}

/// The stretches of a metre that this crate knows; two bars of 2/4 make one of 4/4.
fn runs(metres: &[(u32, u8, u8)], end: u32) -> Vec<Run> {
    let ends = metres.iter().skip(1).map(|metre| metre.0).chain([end]);
    let known = |(&(start, upper, power), end): (&(u32, u8, u8), u32)| {
        let metre = match (upper, power) {
            (4, 2) | (2, 1 | 2) => Metre::FourFour,
            (3, 2) => Metre::ThreeFour,
            (6, 3) => Metre::SixEight,
            _ => return None,
        };
        Some(Run { metre, start, bars: end.saturating_sub(start) / metre.bar_ticks() })
    };
    metres.iter().zip(ends).filter_map(known).filter(|run| run.bars > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_whole_bars_of_known_metres() {
        let found = runs(&[(0, 4, 2), (7680, 5, 2), (12480, 2, 2), (20000, 6, 3)], 26000);
        let told: Vec<(Metre, u32, u32)> = found.iter().map(|run| (run.metre, run.start, run.bars)).collect();
        assert_eq!(told, [(Metre::FourFour, 0, 2), (Metre::FourFour, 12480, 1), (Metre::SixEight, 20000, 2)]);
    }
}

//! Standard MIDI files: the ground truth of what is played.

use std::collections::BTreeMap;

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, Track, TrackEvent, TrackEventKind};

use crate::family::Family;
use crate::piece::{Part, Piece, TICKS_PER_BEAT};
use crate::theory::Mode;

/// Channel of drum kits, from 0.
pub(crate) const DRUM_CHANNEL: u8 = 9;

/// The piece as a format 1 file: a track of tempo, metre, key, section markers and lyrics, then one per part.
///
/// Ticks are those of the piece, so that the notes are exactly those rendered.
pub fn to_midi(piece: &Piece) -> Vec<u8> {
    let header = Header::new(Format::Parallel, Timing::Metrical(u15::new(TICKS_PER_BEAT as u16)));
    let mut smf = Smf::new(header);
    smf.tracks.push(conductor(piece));
    for (index, part) in piece.parts.iter().enumerate() {
        smf.tracks.push(track(part, channel(index, part.family), piece.end()));
    }
    let mut bytes = Vec::new();
    // Writing to memory does not fail; midly's own error type allows for other writers.
    if smf.write_std(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}

/// The channel of a part: 9 for drums, the others in order.
pub(crate) fn channel(index: usize, family: Family) -> u8 {
    match family {
        Family::Drums => DRUM_CHANNEL,
        // At most five parts, so this never reaches the drum channel.
        _ => (index as u8) % DRUM_CHANNEL,
    }
}

fn conductor(piece: &Piece) -> Track<'_> {
    let micros = (60_000_000.0 / f64::from(piece.tempo_bpm)).round() as u32;
    let minor = piece.key.mode == Mode::Minor;
    let (beats, unit) = piece.metre.signature();
    let mut timed: Vec<(u32, TrackEventKind<'_>)> = vec![
        (0, meta(MetaMessage::Tempo(u24::new(micros)))),
        (0, meta(MetaMessage::TimeSignature(beats, unit, 24, 8))),
        (0, meta(MetaMessage::KeySignature(piece.key.signature(), minor))),
    ];
    let marker = |name: &'static str| meta(MetaMessage::Marker(name.as_bytes()));
    timed.extend(piece.sections.iter().map(|section| (section.start, marker(section.label.name()))));
    timed.extend(
        piece.lyrics.iter().map(|lyric| (lyric.start, meta(MetaMessage::Lyric(lyric.text.as_bytes())))),
    );
    timed.sort_by_key(|(tick, _)| *tick);
    to_track(timed, piece.end())
}

fn meta(message: MetaMessage<'_>) -> TrackEventKind<'_> {
    TrackEventKind::Meta(message)
}

fn track(part: &Part, channel: u8, end: u32) -> Track<'_> {
    let event = |message| TrackEventKind::Midi { channel: u4::new(channel), message };
    let mut timed = vec![
        (0, meta(MetaMessage::TrackName(part.family.name().as_bytes()))),
        (0, event(MidiMessage::ProgramChange { program: u7::new(part.program.number) })),
    ];
    for (tick, strokes) in note_events(part) {
        for stroke in strokes {
            let (key, vel) = (u7::new(stroke.key), u7::new(stroke.velocity));
            let message = if stroke.velocity == 0 {
                MidiMessage::NoteOff { key, vel }
            } else {
                MidiMessage::NoteOn { key, vel }
            };
            timed.push((tick, event(message)));
        }
    }
    to_track(timed, end)
}

fn to_track(timed: Vec<(u32, TrackEventKind<'_>)>, end: u32) -> Track<'_> {
    let mut now = 0;
    let mut track = Track::new();
    let closing = (end, meta(MetaMessage::EndOfTrack));
    for (tick, kind) in timed.into_iter().chain([closing]) {
        track.push(TrackEvent { delta: u28::new(tick.saturating_sub(now)), kind });
        now = now.max(tick);
    }
    track
}

/// A key struck (velocity at least 1) or released (velocity 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stroke {
    pub(crate) key: u8,
    pub(crate) velocity: u8,
}

/// A part's strokes by tick, releases before new strokes.
pub(crate) fn note_events(part: &Part) -> BTreeMap<u32, Vec<Stroke>> {
    let mut events: BTreeMap<u32, Vec<Stroke>> = BTreeMap::new();
    for note in &part.notes {
        events.entry(note.end()).or_default().push(Stroke { key: note.key, velocity: 0 });
    }
    for note in &part.notes {
        events.entry(note.start).or_default().push(Stroke { key: note.key, velocity: note.velocity });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Split, compose};

    #[test]
    fn file_holds_every_note() {
        for index in 0..20 {
            let piece = compose(4, index, Split::Train);
            let bytes = to_midi(&piece);
            let smf = Smf::parse(&bytes).unwrap();
            assert_eq!(smf.tracks.len(), piece.parts.len() + 1);
            for (track, part) in smf.tracks[1..].iter().zip(&piece.parts) {
                let struck = track.iter().filter(|event| {
                    matches!(event.kind, TrackEventKind::Midi { message: MidiMessage::NoteOn { .. }, .. })
                });
                assert_eq!(struck.count(), part.notes.len());
            }
            let ticks: u32 = smf.tracks[0].iter().map(|event| event.delta.as_int()).sum();
            assert_eq!(ticks, piece.end());
        }
    }
}

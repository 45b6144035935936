//! What can be told of a piece beside its instruments: found in its notes, chords and sections.

use crate::metre::Metre;
use crate::piece::{Label, Part, Piece, Role, TICKS_PER_BEAT};
use crate::rng::Rng;
use crate::style::Style;
use crate::theory::Mode;

const KICK: u8 = 36;

/// Noun phrases that are true of the piece; at least one.
pub(super) fn facts(piece: &Piece, style: &Style, rng: &mut Rng) -> Vec<&'static str> {
    let mut found = vec![metre(piece, style, rng)];
    found.extend(keys(piece, rng));
    found.extend(form(piece, style, rng));
    found.extend(rhythm(piece, rng));
    found.extend(tune(piece, rng));
    found.push(dynamics(piece, rng));
    found
}

fn metre(piece: &Piece, style: &Style, rng: &mut Rng) -> &'static str {
    match piece.metre {
        Metre::SixEight => {
            rng.word(&["a lilting 6/8 metre", "a rocking six-eight feel", "a compound 6/8 rhythm"])
        }
        Metre::ThreeFour => rng.word(&["a waltz rhythm", "a 3/4 metre", "three beats to the bar"]),
        Metre::FourFour if style.swing >= 0.57 => {
            rng.word(&["a swung feel", "swinging eighths", "a shuffle feel"])
        }
        Metre::FourFour => {
            rng.word(&["a straight 4/4 metre", "an even four-four pulse", "four straight beats to the bar"])
        }
    }
}

/// Changes of key.
fn keys(piece: &Piece, rng: &mut Rng) -> Option<&'static str> {
    let away = piece.sections.iter().find(|section| piece.has_key() && section.key != piece.key)?;
    Some(match away.label {
        Label::Bridge if away.key.mode != piece.key.mode => match away.key.mode {
            Mode::Major => rng.word(&["a bridge that turns to major", "a brighter bridge in another key"]),
            Mode::Minor => rng.word(&["a bridge that turns to minor", "a darker bridge in another key"]),
        },
        Label::Bridge => rng.word(&["a bridge in another key", "a modulation in the bridge"]),
        _ => {
            rng.word(&["a last chorus in a higher key", "a lift in key near the end", "a key change upward"])
        }
    })
}

fn form(piece: &Piece, style: &Style, rng: &mut Rng) -> Option<&'static str> {
    let bars = |label| {
        let section = piece.sections.iter().find(|section| section.label == label);
        section.map_or(0, |section| (section.end - section.start) / piece.metre.bar_ticks())
    };
    let is_twelve = matches!((bars(Label::Verse), bars(Label::Chorus)), (12, 12) | (8, 4));
    (style.has_twelve_bars() && is_twelve)
        .then(|| rng.word(&["a twelve-bar form", "twelve-bar blues changes"]))
}

/// What bass and drums do.
fn rhythm(piece: &Piece, rng: &mut Rng) -> Option<&'static str> {
    let part = |role| piece.parts.iter().find(|part| part.role == role);
    if part(Role::Bass).is_some_and(|bass| is_walking(bass, piece)) {
        return Some(rng.word(&["a walking bass", "a bass that walks in quarter notes"]));
    }
    let drums = part(Role::Drums)?;
    is_on_the_floor(drums, piece).then(|| rng.word(&["a four-on-the-floor kick", "a kick on every beat"]))
}

/// Whether nearly all bass notes are a beat long and on the beat.
fn is_walking(bass: &Part, piece: &Piece) -> bool {
    let beat = piece.metre.beat_ticks();
    let even =
        |pair: &&[crate::piece::Note]| (pair[1].start - pair[0].start).abs_diff(beat) < TICKS_PER_BEAT / 8;
    let pairs = bass.notes.len().saturating_sub(1);
    piece.metre != Metre::SixEight && bass.notes.windows(2).filter(even).count() * 10 > pairs * 8
}

/// Whether most bars with drums have a kick on each of their four beats.
fn is_on_the_floor(drums: &Part, piece: &Piece) -> bool {
    let bar = piece.metre.bar_ticks();
    let slack = TICKS_PER_BEAT / 8;
    let bars = |on_beats: bool| {
        let mut hits: Vec<u32> = drums
            .notes
            .iter()
            .filter(|note| {
                !on_beats || (note.key == KICK && (note.start + slack) % TICKS_PER_BEAT < 2 * slack)
            })
            .map(|note| (note.start + slack) / if on_beats { TICKS_PER_BEAT } else { bar })
            .collect();
        hits.dedup();
        hits.len()
    };
    piece.metre == Metre::FourFour && bars(true) * 10 > bars(false) * 4 * 6
}

/// How the tune moves.
fn tune(piece: &Piece, rng: &mut Rng) -> Option<&'static str> {
    let tune = piece.parts.iter().find(|part| part.role == Role::Melody)?;
    let per_sec = tune.notes.len() as f64 / piece.duration_secs();
    let keys: u32 = tune.notes.iter().map(|note| u32::from(note.key)).sum();
    let mean = keys / tune.notes.len().max(1) as u32;
    if per_sec > 2.6 {
        Some(rng.word(&["a busy melody", "a quick-fingered tune", "many short notes in the tune"]))
    } else if per_sec < 0.9 {
        Some(rng.word(&["a sparse melody", "long notes in the tune", "a slow-moving melody"]))
    } else if mean < 62 {
        Some(rng.word(&["a low-lying melody", "a tune in a low register"]))
    } else if mean > 75 {
        Some(rng.word(&["a high melody", "a tune in a high register"]))
    } else {
        None
    }
}

/// Loudness over time.
fn dynamics(piece: &Piece, rng: &mut Rng) -> &'static str {
    let energies = || piece.sections.iter().map(|section| section.energy);
    let (low, high) = (energies().fold(1.0, f64::min), energies().fold(0.0, f64::max));
    if high < 0.6 {
        rng.word(&["soft dynamics throughout", "a hushed touch", "gentle playing"])
    } else if high - low > 0.45 {
        rng.word(&["wide contrasts of loudness", "quiet and loud sections", "a big build into the chorus"])
    } else {
        rng.word(&["an even level of energy", "steady dynamics"])
    }
}

//! From a seed and an index to a finished piece.

mod arrange;
mod bass;
mod chordal;
mod counter;
mod drums;
mod finish;
mod form;
mod harmony;
mod melody;
mod plan;
mod progression;
mod voicing;

use crate::family::{Family, Split};
use crate::piece::{ChordSpan, Label, Lyric, Note, Part, Piece, Role, STEP, Section};
use crate::rng::{Purpose, Rng};
use crate::{lyrics, words};
pub(crate) use finish::separate;
use plan::Plan;

/// Composes piece `index` of the corpus of `seed`. The result depends on nothing else.
pub fn compose(seed: u64, index: u64, split: Split) -> Piece {
    written(seed, index, split, None)
}

/// Composes piece `index` for one instrument of a family (drums, too).
pub fn compose_solo(seed: u64, index: u64, split: Split, soloist: Family) -> Piece {
    written(seed, index, split, Some(soloist))
}

fn written(seed: u64, index: u64, split: Split, soloist: Option<Family>) -> Piece {
    let mut rng = Rng::for_piece(seed, index, Purpose::Music);
    let plan = Plan::draw(&mut rng, split, soloist);
    let mut parts: Vec<Part> =
        (0..plan.players.len()).map(|player| write_part(&plan, player, &mut rng)).collect();
    let mut humanise = Rng::for_piece(seed, index, Purpose::Humanise);
    finish::finish(&plan, &mut parts, &mut humanise);
    let sections = sections(&plan, &parts);
    let mut piece = Piece {
        index,
        split,
        style: plan.style.name,
        key: plan.key,
        tempo_bpm: plan.tempo_bpm,
        metre: plan.metre,
        mood: "",
        parts,
        chords: chords(&plan),
        sections,
        lyrics: Vec::new(),
        captions: Vec::new(),
        source: None,
    };
    piece.mood = words::mood(&piece, plan.style, &mut rng);
    piece.lyrics = sung(&piece, &mut Rng::for_piece(seed, index, Purpose::Lyrics));
    words::describe(&mut piece, plan.style, &mut Rng::for_piece(seed, index, Purpose::Words));
    piece
}

fn write_part(plan: &Plan, player: usize, rng: &mut Rng) -> Part {
    let who = &plan.players[player];
    let notes = match who.role {
        Role::Solo => solo(plan, player, rng),
        Role::Melody => melody::tune(plan, player, rng),
        Role::Counter => counter::counter(plan, player),
        Role::Chords | Role::Pad | Role::Arpeggio => chordal::chords(plan, player, rng),
        Role::Bass => bass::line(plan, player, rng),
        Role::Drums => drums::groove(plan, player, rng),
    };
    Part { family: who.family, program: who.program, role: who.role, notes }
}

/// A tune, and beneath it chords if the instrument can play them.
fn solo(plan: &Plan, player: usize, rng: &mut Rng) -> Vec<Note> {
    let mut notes = melody::tune(plan, player, rng);
    if plan.players[player].program.poly {
        notes.extend(chordal::chords(plan, player, rng));
    }
    notes
}

fn chords(plan: &Plan) -> Vec<ChordSpan> {
    plan.harmony
        .spans()
        .iter()
        .map(|span| ChordSpan { start: span.start, end: span.end, chord: span.chord.clone(), key: span.key })
        .collect()
}

fn sections(plan: &Plan, parts: &[Part]) -> Vec<Section> {
    let last = plan.sections.len().saturating_sub(1);
    plan.sections
        .iter()
        .enumerate()
        .map(|(index, planned)| {
            let start = planned.first_bar * plan.bar_ticks();
            let end = if index == last { plan.end() } else { start + planned.bars * plan.bar_ticks() };
            let plays = |part: &&Part| part.notes.iter().any(|note| is_within(note, start, end));
            let families = parts.iter().filter(plays).map(|part| part.family).collect();
            Section {
                label: planned.label,
                key: planned.key,
                start,
                end,
                energy: planned.energy,
                families,
                caption: String::new(),
            }
        })
        .collect()
}

/// Whether a note belongs between two bar lines, though human timing may have moved it a little before the first.
///
/// Notes are written on sixteenths and moved by at most 31 ms, which is less than half a sixteenth at any tempo.
fn is_within(note: &Note, start: u32, end: u32) -> bool {
    (start..end).contains(&(note.start + STEP / 2))
}

/// Lyrics for about a quarter of all pieces, on the tune's notes in verses and choruses.
fn sung(piece: &Piece, rng: &mut Rng) -> Vec<Lyric> {
    /// Not every piece has a tune of its own, so that a quarter of all takes a little more of those that do.
    const SHARE: f64 = 0.3;
    let tune = piece
        .parts
        .iter()
        .find(|part| part.role == Role::Melody || (part.role == Role::Solo && !part.program.poly));
    let Some(tune) = tune.filter(|_| rng.chance(SHARE)) else {
        return Vec::new();
    };
    let sections: Vec<(Label, Vec<Note>)> = piece
        .sections
        .iter()
        .filter(|section| matches!(section.label, Label::Verse | Label::Chorus))
        .map(|section| {
            let inside = tune.notes.iter().filter(|note| is_within(note, section.start, section.end));
            (section.label, inside.copied().collect())
        })
        .collect();
    lyrics::write(&sections, rng)
}

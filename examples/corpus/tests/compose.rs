//! Laws of composed pieces; nothing is rendered here.

mod common;

use std::collections::BTreeSet;

use common::check;
use musicot_corpus::{
    Chord, Family, Key, Label, Metre, Note, Piece, Role, STYLES, Section, Split, TICKS_PER_BEAT, compose,
    compose_solo, mentioned, to_midi,
};
use proptest::prelude::*;

const COUNT: u64 = 300;

fn pieces(split: Split) -> Vec<Piece> {
    (0..COUNT).map(|index| compose(7, index, split)).collect()
}

#[test]
fn same_seed_same_bytes() {
    for index in [0, 1, 77] {
        let (first, second) = (compose(9, index, Split::Train), compose(9, index, Split::Train));
        assert_eq!(first, second);
        assert_eq!(to_midi(&first), to_midi(&second));
        assert_ne!(to_midi(&first), to_midi(&compose(10, index, Split::Train)));
    }
}

#[test]
fn styles_keys_and_tempi_are_covered() {
    let pieces = pieces(Split::Train);
    let styles: BTreeSet<_> = pieces.iter().map(|piece| piece.style).collect();
    assert_eq!(styles.len(), STYLES.len());
    let keys: BTreeSet<_> = pieces.iter().map(|piece| piece.key.name()).collect();
    assert_eq!(keys.len(), 24);
    for low in (60..180).step_by(10) {
        let found = pieces.iter().any(|piece| (low..=low + 10).contains(&piece.beats_per_minute()));
        assert!(found, "no tempo of {low} to {} bpm", low + 10);
    }
    let metres: BTreeSet<_> = pieces.iter().map(|piece| piece.metre).collect();
    assert_eq!(metres.len(), Metre::ALL.len());
    let families: BTreeSet<_> =
        pieces.iter().flat_map(|piece| &piece.parts).map(|part| part.family).collect();
    assert_eq!(families.len(), Family::ALL.len());
}

#[test]
fn solos_duos_and_lyrics_have_their_shares() {
    let pieces = pieces(Split::Train);
    let share =
        |test: fn(&Piece) -> bool| pieces.iter().filter(|piece| test(piece)).count() as f64 / COUNT as f64;
    // Three standard deviations of a share of 0.15 (or 0.25) among 300 are 0.06 (0.075).
    assert!((share(|piece| piece.parts.len() == 1) - 0.15).abs() < 0.06);
    assert!((share(|piece| piece.parts.len() == 2) - 0.15).abs() < 0.06);
    assert!((share(|piece| !piece.lyrics.is_empty()) - 0.25).abs() < 0.075);
    assert!(pieces.iter().all(|piece| (1..=5).contains(&piece.parts.len())));
    let soloists: BTreeSet<_> =
        pieces.iter().filter(|piece| piece.parts.len() == 1).map(|piece| piece.parts[0].family).collect();
    assert!(soloists.len() >= 8 && !soloists.contains(&Family::Drums), "{soloists:?}");
}

#[test]
fn a_solo_is_for_one_instrument_of_the_family_in_every_section() {
    for family in Family::ALL {
        for split in [Split::Train, Split::Heldout] {
            for index in 0..20 {
                let piece = compose_solo(7, index, split, family);
                let families: Vec<Family> = piece.parts.iter().map(|part| part.family).collect();
                assert_eq!(families, [family]);
                assert!(piece.sections.iter().all(|section| section.families == [family]), "{piece:?}");
                let captions =
                    piece.captions.iter().chain(piece.sections.iter().map(|section| &section.caption));
                for caption in captions {
                    assert!(mentioned(caption).iter().all(|named| *named == family), "{caption}");
                    let tells_key = caption.contains("major") || caption.contains("minor");
                    assert!(family != Family::Drums || !tells_key, "drums have no key: {caption}");
                }
                check(&piece).unwrap();
            }
        }
    }
}

#[test]
fn held_out_programs_are_only_in_held_out_pieces() {
    let has_new = |piece: &Piece| piece.parts.iter().any(|part| part.program.held_out);
    assert!(!pieces(Split::Train).iter().any(has_new));
    let share = pieces(Split::Heldout).iter().filter(|piece| has_new(piece)).count() as f64 / COUNT as f64;
    // A third; three standard deviations are 0.08.
    assert!((share - 1.0 / 3.0).abs() < 0.08, "{share}");
}

#[test]
fn captions_of_both_halves_name_what_plays() {
    for piece in pieces(Split::Train).into_iter().chain(pieces(Split::Heldout)) {
        let mut families: Vec<Family> = piece.parts.iter().map(|part| part.family).collect();
        families.sort_unstable();
        assert!(piece.captions.len() >= 3);
        for caption in &piece.captions {
            let named = mentioned(caption);
            assert!(!named.is_empty(), "{caption}");
            assert!(named.iter().all(|family| families.contains(family)), "{families:?}: {caption}");
            assert!(!caption.contains(['{', '}']), "{caption}");
        }
        assert!(piece.captions.iter().any(|caption| mentioned(caption) == families), "{:?}", piece.captions);
        for section in &piece.sections {
            let mut playing = section.families.clone();
            playing.sort_unstable();
            assert_eq!(mentioned(&section.caption), playing, "{}", section.caption);
        }
    }
}

#[test]
fn captions_vary() {
    let all: Vec<String> = pieces(Split::Train).into_iter().flat_map(|piece| piece.captions).collect();
    let distinct: BTreeSet<&String> = all.iter().collect();
    // The shortest solo templates may meet again.
    assert!(distinct.len() * 10 >= all.len() * 9, "{} of {}", distinct.len(), all.len());
}

#[test]
fn pieces_end_on_their_tonic() {
    for piece in pieces(Split::Train) {
        let last_bar = piece.end() - tail_ticks(&piece) - piece.metre.bar_ticks();
        let slack = TICKS_PER_BEAT / 8;
        // A last chorus may have been raised, and ends in its own key.
        let tonic_chord = Chord::tonic(last_key(&piece));
        for part in piece.parts.iter().filter(|part| part.family != Family::Drums) {
            for note in part.notes.iter().filter(|note| note.start + slack >= last_bar) {
                assert!(tonic_chord.contains(note.key), "{} {:?}: {note:?}", piece.index, part.role);
            }
        }
    }
}

fn last_key(piece: &Piece) -> Key {
    piece.sections.last().map_or(piece.key, |section| section.key)
}

/// Ticks of the 1.8 s in which the last chord rings out.
fn tail_ticks(piece: &Piece) -> u32 {
    (1.8 * f64::from(piece.tempo_bpm) * f64::from(TICKS_PER_BEAT) / 60.0).round() as u32
}

/// The section that a note begins in.
fn section_of(piece: &Piece, note: &Note) -> Option<Section> {
    let slack = TICKS_PER_BEAT / 8;
    let inside = |section: &&Section| (section.start..section.end).contains(&(note.start + slack));
    piece.sections.iter().find(inside).cloned()
}

#[test]
fn melodies_fit_their_key() {
    let (mut inside, mut all) = (0usize, 0usize);
    for piece in pieces(Split::Train) {
        for part in piece.parts.iter().filter(|part| part.role == Role::Melody) {
            for note in &part.notes {
                let scale = section_of(&piece, note).map_or(piece.key, |section| section.key).scale();
                inside += usize::from(scale.contains(&(note.key % 12)));
                all += 1;
            }
        }
    }
    // The rest are leading tones, blue notes, and tones of borrowed chords.
    assert!(inside * 100 >= all * 90, "{inside} of {all}");
}

#[test]
fn choruses_come_back_with_the_same_tune() {
    let mut compared = 0;
    for piece in pieces(Split::Train) {
        let Some(tune) = piece.parts.iter().find(|part| part.role == Role::Melody) else { continue };
        let choruses: Vec<_> =
            piece.sections.iter().filter(|section| section.label == Label::Chorus).collect();
        let [first, second] = choruses[..] else { continue };
        let pitches = |section: &Section| -> Vec<u8> {
            // The first bar: the close, and the chord before it, may differ. Raised choruses are taken back.
            let slack = TICKS_PER_BEAT / 8;
            let end = section.start + piece.metre.bar_ticks();
            let inside = |tick: u32| (section.start..end).contains(&(tick + slack));
            let notes = tune.notes.iter().filter(|note| inside(note.start));
            notes.map(|note| (note.key + 12 - section.key.tonic) % 12).collect()
        };
        let is_short = first.end - first.start <= 4 * piece.metre.bar_ticks();
        let is_last = piece.sections.last().is_some_and(|last| last.label == Label::Chorus);
        if !is_short && !is_last {
            compared += 1;
            assert_eq!(pitches(first), pitches(second), "piece {}", piece.index);
        }
    }
    assert!(compared >= 5, "{compared}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_piece_is_well_formed(seed in any::<u64>(), index in any::<u64>(), held_out in any::<bool>()) {
        let split = if held_out { Split::Heldout } else { Split::Train };
        check(&compose(seed, index, split))?;
    }
}

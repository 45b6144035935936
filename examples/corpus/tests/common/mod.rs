//! What is true of every piece, composed or arranged.

use std::collections::{BTreeMap, BTreeSet};

use musicot_corpus::{Part, Piece, Program, SAMPLE_RATE_HZ};
use proptest::prelude::*;

/// Whether a piece is well formed: its length, its sections, its parts, their notes.
pub fn check(piece: &Piece) -> Result<(), TestCaseError> {
    let secs = piece.duration_secs();
    prop_assert!((30.0..=60.0).contains(&secs), "{secs}");
    prop_assert_eq!(piece.frames(), (secs * f64::from(SAMPLE_RATE_HZ)).round() as usize);
    prop_assert!((3..=6).contains(&piece.sections.len()));
    prop_assert_eq!(piece.sections[0].start, 0);
    for pair in piece.sections.windows(2) {
        prop_assert_eq!(pair[0].end, pair[1].start);
    }
    prop_assert!(piece.sections.iter().all(|section| !section.families.is_empty()));
    let families: BTreeSet<_> = piece.parts.iter().map(|part| part.family).collect();
    prop_assert_eq!(families.len(), piece.parts.len());
    for lyric in &piece.lyrics {
        prop_assert!(lyric.start < lyric.end && lyric.end <= piece.end() && !lyric.text.is_empty());
    }
    piece.parts.iter().try_for_each(|part| check_part(part, piece.end()))
}

fn check_part(part: &Part, end: u32) -> Result<(), TestCaseError> {
    let Program { low, high, .. } = *part.program;
    prop_assert!(!part.notes.is_empty(), "{:?}", part.role);
    prop_assert!(part.family.programs().contains(part.program));
    let mut free: BTreeMap<u8, u32> = BTreeMap::new();
    for note in &part.notes {
        prop_assert!((low..=high).contains(&note.key), "{:?} {note:?}", part.program);
        prop_assert!((1..=127).contains(&note.velocity) && note.length >= 1 && note.end() <= end);
        let from = free.insert(note.key, note.end()).unwrap_or(0);
        prop_assert!(note.start >= from, "{:?}: {note:?} overlaps", part.program);
    }
    Ok(())
}

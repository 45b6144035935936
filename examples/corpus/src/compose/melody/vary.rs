//! Variation of what comes back.

use crate::piece::{Note, STEP};

/// The notes with a passing note in the middle of those that are long and a third from the next.
///
/// `scale_at` tells the pitch classes of the scale at a tick.
pub(super) fn with_passing_notes(notes: &[Note], scale_at: impl Fn(u32) -> Vec<u8>) -> Vec<Note> {
    let mut varied = Vec::with_capacity(notes.len() * 2);
    for (index, note) in notes.iter().enumerate() {
        match notes.get(index + 1).and_then(|next| passing(note, next, &scale_at)) {
            Some(between) => {
                varied.push(Note { length: between.length, ..*note });
                varied.push(between);
            }
            None => varied.push(*note),
        }
    }
    varied
}

/// The note between two that are a third apart and follow each other after a quarter to a half note.
fn passing(note: &Note, next: &Note, scale_at: &impl Fn(u32) -> Vec<u8>) -> Option<Note> {
    let gap = next.start.saturating_sub(note.start);
    let fits = (4 * STEP..=8 * STEP).contains(&gap) && gap.is_multiple_of(4 * STEP);
    let is_legato = note.length + 2 * STEP > gap;
    let is_third = (3..=4).contains(&note.key.abs_diff(next.key));
    if !(fits && is_legato && is_third) {
        return None;
    }
    let start = note.start + gap / 2;
    let scale = scale_at(start);
    let key = (note.key.min(next.key) + 1..note.key.max(next.key)).find(|key| scale.contains(&(key % 12)))?;
    Some(Note { start, length: gap / 2 * 9 / 10, key, velocity: note.velocity.saturating_sub(8) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_are_filled_and_nothing_else() {
        let note =
            |start: u32, key: u8| Note { start: start * STEP, length: 4 * STEP - 20, key, velocity: 90 };
        let varied =
            with_passing_notes(&[note(0, 60), note(4, 64), note(8, 65)], |_| vec![0, 2, 4, 5, 7, 9, 11]);
        let told: Vec<(u32, u8)> = varied.iter().map(|note| (note.start / STEP, note.key)).collect();
        assert_eq!(told, [(0, 60), (2, 62), (4, 64), (8, 65)]);
        assert!(varied.windows(2).all(|pair| pair[0].end() <= pair[1].start));
    }
}

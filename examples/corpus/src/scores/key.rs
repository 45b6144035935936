//! The key of some notes, by correlation with key profiles.

use crate::piece::Note;
use crate::theory::{Key, Mode, all_keys};

/// Krumhansl and Kessler's probe-tone profiles (Krumhansl, "Cognitive Foundations of Musical Pitch", 1990, table 2.1).
const MAJOR: [f64; 12] = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88];
const MINOR: [f64; 12] = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17];

/// The best key of the notes, and by how much its correlation is ahead of the second.
pub(super) fn estimate<'a>(notes: impl Iterator<Item = &'a Note>) -> (Key, f64) {
    let mut weights = [0.0f64; 12];
    for note in notes {
        weights[usize::from(note.key % 12)] += f64::from(note.length);
    }
    let mut best = (Key { tonic: 0, mode: Mode::Major }, f64::NEG_INFINITY);
    let mut second = f64::NEG_INFINITY;
    for key in all_keys() {
        let score = correlation(&weights, key);
        if score > best.1 {
            second = best.1;
            best = (key, score);
        } else if score > second {
            second = score;
        }
    }
    (best.0, best.1 - second)
}

fn correlation(weights: &[f64; 12], key: Key) -> f64 {
    let profile = if key.mode == Mode::Major { &MAJOR } else { &MINOR };
    let mean = |values: &[f64; 12]| values.iter().sum::<f64>() / 12.0;
    let (mean_weight, mean_profile) = (mean(weights), mean(profile));
    let (mut product, mut power, mut other) = (0.0, 0.0, 0.0);
    for (step, weight) in weights.iter().enumerate() {
        let expected = profile[(step + 12 - usize::from(key.tonic)) % 12] - mean_profile;
        let found = weight - mean_weight;
        product += found * expected;
        power += found * found;
        other += expected * expected;
    }
    product / (power * other).sqrt().max(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_tell_their_key() {
        for key in all_keys() {
            let mut tones = key.scale().to_vec();
            tones.extend(crate::theory::Chord::tonic(key).pitch_classes());
            let notes: Vec<Note> = tones
                .iter()
                .map(|tone| Note { start: 0, length: 100, key: 60 + tone, velocity: 80 })
                .collect();
            let (found, lead) = estimate(notes.iter());
            assert_eq!(found, key);
            assert!(lead > 0.0);
        }
    }

    #[test]
    fn clear_keys_of_composed_pieces_are_mostly_right() {
        let (mut right, mut clear) = (0, 0);
        for piece in (0..400).map(|index| crate::compose(5, index, crate::Split::Train)) {
            let pitched = piece.parts.iter().filter(|part| part.family != crate::Family::Drums);
            let (found, lead) = estimate(pitched.flat_map(|part| &part.notes));
            if piece.style == "classical" && lead >= super::super::arrange::CLEAR_KEY {
                right += usize::from(found == piece.key);
                clear += 1;
            }
        }
        assert!(clear >= 10 && right * 10 >= clear * 8, "{right} of {clear}");
    }
}

//! Voice leading: how a chord is spread over the voices of a part.

use crate::theory::Chord;

/// Where a voicing may lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register {
    pub(crate) low: u8,
    pub(crate) high: u8,
    pub(crate) centre: u8,
}

/// What a parallel fifth or octave costs, in semitones of movement (our choice).
const PARALLEL_COST: f64 = 7.0;

/// Spreads a chord in `voices` notes within the register, as near as can be to the voicing before.
///
/// `bass` are the lowest notes of the chord before and of this one, as far as they are known: fifths and octaves
/// in parallel, between voices or with the bass, are avoided. The cost is the movement of the voices, half the
/// distance of their mean from the register's centre, and the parallels.
pub(crate) fn voice(
    chord: &Chord,
    before: &[u8],
    bass: Option<(u8, u8)>,
    register: Register,
    voices: usize,
) -> Vec<u8> {
    let mut best: (f64, Vec<u8>) = (f64::INFINITY, Vec::new());
    for voicing in candidates(&essential_tones(chord, voices), register, voices) {
        let crowd = bass.is_some_and(|(_, now)| voicing.first().is_some_and(|low| *low <= now));
        let cost = movement(&voicing, before)
            + 0.5 * (mean(&voicing) - f64::from(register.centre)).abs()
            + PARALLEL_COST * f64::from(parallels(before, &voicing, bass))
            + if crowd { 4.0 } else { 0.0 };
        if cost < best.0 {
            best = (cost, voicing);
        }
    }
    best.1
}

/// All close positions of the tones, and each with its second-highest note an octave lower.
fn candidates(tones: &[u8], register: Register, voices: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for lowest in register.low..=register.high {
        let Some(rotation) = tones.iter().position(|tone| *tone == lowest % 12) else {
            continue;
        };
        let close = stack(lowest, tones, rotation, voices);
        let open = dropped(&close);
        for voicing in [close, open] {
            let fits = voicing.iter().all(|key| (register.low..=register.high).contains(key));
            if fits && !voicing.is_empty() {
                found.push(voicing);
            }
        }
    }
    found
}

/// The pitch classes to play, sorted: without the fifth, then the root, when there are too many.
fn essential_tones(chord: &Chord, voices: usize) -> Vec<u8> {
    let mut intervals = chord.intervals.clone();
    for spare in [7, 0] {
        if intervals.len() > voices {
            intervals.retain(|interval| *interval != spare);
        }
    }
    let mut tones: Vec<u8> = intervals.iter().map(|interval| (chord.root + interval) % 12).collect();
    tones.sort_unstable();
    tones.dedup();
    tones
}

/// The tones upward from `lowest`, and again an octave higher while voices are left.
fn stack(lowest: u8, tones: &[u8], rotation: usize, voices: usize) -> Vec<u8> {
    let first = tones[rotation];
    let mut keys: Vec<u8> = tones.iter().map(|tone| lowest + (tone + 12 - first) % 12).collect();
    keys.sort_unstable();
    for index in 0..voices.saturating_sub(keys.len()) {
        keys.push(keys[index] + 12);
    }
    keys
}

/// The second-highest note an octave lower (nothing for fewer than three notes).
fn dropped(close: &[u8]) -> Vec<u8> {
    let mut keys = close.to_vec();
    match keys.len().checked_sub(2) {
        Some(second) if second > 0 && keys[second] >= 12 => keys[second] -= 12,
        _ => return Vec::new(),
    }
    keys.sort_unstable();
    keys
}

/// Semitones that the voices move: one by one where their number stays, else each to its nearest.
fn movement(voicing: &[u8], before: &[u8]) -> f64 {
    if before.is_empty() {
        return 0.0;
    }
    if before.len() == voicing.len() {
        return voicing.iter().zip(before).map(|(key, old)| f64::from(old.abs_diff(*key))).sum();
    }
    let nearest = |key: &u8| before.iter().map(|old| old.abs_diff(*key)).min().unwrap_or(0);
    voicing.iter().map(|key| f64::from(nearest(key))).sum()
}

/// Pairs of voices (the bass among them) that move in parallel fifths or octaves.
fn parallels(before: &[u8], now: &[u8], bass: Option<(u8, u8)>) -> u32 {
    if before.len() != now.len() {
        return 0;
    }
    let mut moves: Vec<(u8, u8)> = before.iter().copied().zip(now.iter().copied()).collect();
    moves.extend(bass);
    let mut count = 0;
    for (index, lower) in moves.iter().enumerate() {
        count += moves[index + 1..].iter().filter(|upper| is_parallel(*lower, **upper)).count();
    }
    count as u32
}

/// Whether two voices, each from one key to another, move the same way and stay a fifth or an octave apart.
pub(crate) fn is_parallel(one: (u8, u8), other: (u8, u8)) -> bool {
    let moves = |voice: (u8, u8)| i16::from(voice.1) - i16::from(voice.0);
    let apart = |a: u8, b: u8| a.abs_diff(b) % 12;
    let interval = apart(one.0, other.0);
    moves(one) * moves(other) > 0 && [0, 7].contains(&interval) && interval == apart(one.1, other.1)
}

fn mean(keys: &[u8]) -> f64 {
    keys.iter().map(|key| f64::from(*key)).sum::<f64>() / keys.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: Register = Register { low: 48, high: 74, centre: 60 };

    #[test]
    fn voices_move_little_and_not_in_parallel() {
        let mut before = Vec::new();
        let mut bass = None;
        for symbol in ["I", "vi", "IV", "V", "I", "ii7", "V7", "Imaj7", "IV", "V", "vi"] {
            let chord = Chord::parse(symbol, 0).unwrap();
            let low = 36 + chord.root;
            let pair = bass.map(|old| (old, low));
            let voicing = voice(&chord, &before, pair, REGISTER, 3);
            assert_eq!(voicing.len(), 3, "{symbol}");
            assert!(voicing.iter().all(|key| chord.contains(*key)), "{symbol}: {voicing:?}");
            if !before.is_empty() {
                // Each of three voices moves at most a major third on average.
                assert!(movement(&voicing, &before) <= 12.0, "{symbol}: {before:?} {voicing:?}");
                assert_eq!(parallels(&before, &voicing, pair), 0, "{symbol}: {before:?} {voicing:?}");
            }
            before = voicing;
            bass = Some(low);
        }
    }

    #[test]
    fn four_voices_double_a_triad() {
        let voicing = voice(&Chord::parse("I", 0).unwrap(), &[], None, REGISTER, 4);
        assert_eq!(voicing.len(), 4);
    }

    #[test]
    fn parallel_motion() {
        assert!(is_parallel((48, 50), (55, 57)), "fifths");
        assert!(is_parallel((48, 50), (72, 74)), "octaves");
        assert!(!is_parallel((48, 50), (52, 53)), "thirds");
        assert!(!is_parallel((48, 50), (55, 55)), "oblique");
        assert!(!is_parallel((48, 53), (72, 65)), "contrary");
    }
}

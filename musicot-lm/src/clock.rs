//! What a position is told of time: where in the beat and the bar it is, as a tempo says, and how far the end of the piece is.

use std::f64::consts::TAU;

/// Periods that a position's phase is told in, beats: fractions of a beat for what is played, bars of three and four beats, phrases.
const PERIODS_BEATS: [f64; 11] = [1.0 / 4.0, 1.0 / 3.0, 1.0 / 2.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0];

/// Values per position: a one, which says that there is a clock, then cosine and sine of each phase.
pub(crate) const BEAT_FEATURES: usize = 1 + 2 * PERIODS_BEATS.len();

/// Times within which the end is near, seconds: a last note's decay, a last bar. Not a last section: pieces end quietly, and a clip of ten seconds
/// would be nothing but such an end.
const REACHES_SECS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// Values per position: a one, which says that the end is known, then how near it is on each scale.
pub(crate) const END_FEATURES: usize = 1 + REACHES_SECS.len();

/// Features of a moment so many seconds before the end.
pub(crate) fn end_features(secs: f64) -> [f32; END_FEATURES] {
    let mut features = [1.0; END_FEATURES];
    for (place, reach) in features[1..].iter_mut().zip(REACHES_SECS) {
        *place = (-secs / reach).exp() as f32;
    }
    features
}

/// Beats as a piece goes on; its first token begins on the first beat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BeatClock {
    beats_per_token: f64,
}

impl BeatClock {
    pub(crate) fn new(tempo_bpm: f64, token_rate_hz: f64) -> Self {
        Self { beats_per_token: tempo_bpm / 60.0 / token_rate_hz }
    }

    /// Features of the moment at which a token begins.
    pub(crate) fn features(self, token: usize) -> [f32; BEAT_FEATURES] {
        let beats = token as f64 * self.beats_per_token;
        let mut features = [1.0; BEAT_FEATURES];
        for (pair, period) in features[1..].chunks_exact_mut(2).zip(PERIODS_BEATS) {
            let phase = TAU * (beats / period).fract();
            pair.copy_from_slice(&[phase.cos() as f32, phase.sin() as f32]);
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_return_with_their_periods() {
        // A beat is 10 tokens.
        let clock = BeatClock::new(150.0, 25.0);
        let close = |a: [f32; BEAT_FEATURES], b: [f32; BEAT_FEATURES], count: usize| {
            a.iter().zip(b).take(1 + 2 * count).all(|(a, b)| (a - b).abs() < 1e-4)
        };
        let (start, beat, bar) = (clock.features(0), clock.features(10), clock.features(40));
        assert!(close(start, beat, 4) && !close(start, beat, 5));
        assert!(close(start, bar, 5) && !close(start, bar, 6));
        assert!(close(start, clock.features(480), 11));
        // A quarter into the beat.
        assert!((BeatClock::new(60.0, 4.0).features(1)[8] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_end_comes_nearer_on_every_scale() {
        assert_eq!(end_features(0.0), [1.0; END_FEATURES]);
        for (far, near) in [(40.0, 20.0), (20.0, 3.0), (3.0, 0.1)] {
            let (far, near) = (end_features(far), end_features(near));
            assert!(far[1..].iter().zip(&near[1..]).all(|(far, near)| far < near), "{far:?} {near:?}");
        }
        assert!((end_features(4.0)[5] - (-1.0_f32).exp()).abs() < 1e-6);
    }
}

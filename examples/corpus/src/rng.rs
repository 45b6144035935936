//! Seeded randomness: every draw of a piece depends only on the corpus seed and the piece's index.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream of draws is for.
///
/// Each purpose has its own stream, so that a new caption template never changes a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Style, key, form, parts and notes.
    Music = 0,
    /// Small deviations of time and velocity.
    Humanise = 1,
    /// Captions.
    Words = 2,
    /// Lyrics.
    Lyrics = 3,
    /// Whether a piece is arranged from a score, and how.
    Scores = 4,
}

/// A small wrapper of ChaCha8 whose draws are the same on every platform.
pub(crate) struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream of piece `index` for one purpose.
    pub(crate) fn for_piece(seed: u64, index: u64, purpose: Purpose) -> Self {
        let mut inner = ChaCha8Rng::seed_from_u64(seed);
        inner.set_stream(index.wrapping_mul(8).wrapping_add(purpose as u64));
        Self(inner)
    }

    /// Uniform in `[0, 1)`, from 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform integer in `low..=high` (`low` when the range is empty).
    pub(crate) fn int(&mut self, low: usize, high: usize) -> usize {
        if high <= low {
            return low;
        }
        let span = (high - low + 1) as f64;
        low + ((self.unit() * span) as usize).min(high - low)
    }

    /// True with probability `share`.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One element, or `None` of an empty slice.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let last = items.len().checked_sub(1)?;
        items.get(self.int(0, last))
    }

    /// One string of a list (empty of an empty list).
    pub(crate) fn word(&mut self, items: &[&'static str]) -> &'static str {
        self.pick(items).copied().unwrap_or("")
    }

    /// An index drawn in proportion to non-negative `weights` (0 when all are zero).
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        let mut left = self.unit() * total;
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// Approximately normal with zero mean and unit deviation, within +-3 (a sum of uniforms).
    pub(crate) fn normal(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum();
        (sum - 6.0).clamp(-3.0, 3.0)
    }

    /// Fisher-Yates shuffle.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.int(0, last);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, index: u64, purpose: Purpose) -> Vec<u64> {
        let mut rng = Rng::for_piece(seed, index, purpose);
        (0..8).map(|_| (rng.unit() * 1e12) as u64).collect()
    }

    #[test]
    fn streams_repeat_and_differ() {
        let base = draws(1, 5, Purpose::Music);
        assert_eq!(base, draws(1, 5, Purpose::Music));
        assert_ne!(base, draws(1, 6, Purpose::Music));
        assert_ne!(base, draws(2, 5, Purpose::Music));
        assert_ne!(base, draws(1, 5, Purpose::Words));
    }

    #[test]
    fn weighted_follows_its_weights() {
        let mut rng = Rng::for_piece(3, 0, Purpose::Music);
        let mut counts = [0usize; 3];
        for _ in 0..3000 {
            counts[rng.weighted(&[1.0, 0.0, 3.0])] += 1;
        }
        assert_eq!(counts[1], 0);
        // Expected 750 of 3000; five standard deviations (24 each) are about 120.
        assert!(counts[0].abs_diff(750) < 120, "{counts:?}");
    }
}

//! Where a session's positions go, and what they see: the same for every decoder.
//!
//! Positions `0..prefix` stay visible; rolled positions follow in a ring of the window's size. Rolled position i is rotated as sequence
//! position `prefix + i`. Once its distance from the prefix passes the reach, all keys of the prefix are turned forward by a whole number of
//! strides, so that the model sees the end of the prefix at a distance of at most `reach`, and of more than `reach - STRIDE`.
//! Distances within the window are untouched.

use musicot_core::shape;
use musicot_core::tch::{Kind, Tensor};

use super::attention::Slots;
use crate::causal::SessionShape;
use crate::{Error, Result};

/// Positions by which the prefix is moved at once: one second at 25 tokens per second, so that moving costs next to nothing per token.
const STRIDE: i64 = 25;

/// How far the prefix has moved for a position at `distance` from its end, so that it is seen at one of at most `reach`.
fn prefix_shift(distance: i64, reach: i64) -> i64 {
    let stride = STRIDE.min(reach.max(1));
    ((distance - reach).max(0) + stride - 1) / stride * stride
}

/// Counts the positions of a session.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) shape: SessionShape,
    pub(super) prefix: i64,
    rolled: i64,
}

/// Where a rolled position goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rolled {
    pub(super) slots: Slots,
    /// Its place in the sequence, which its rotation follows.
    pub(super) position: i64,
    /// How far the prefix has moved by then.
    pub(super) shift: i64,
}

impl Places {
    pub(super) fn new(shape: &SessionShape) -> Self {
        Self { shape: shape.clone(), prefix: 0, rolled: 0 }
    }

    /// Refuses embeddings that are not `[batch, new, dim]` of `kind`.
    pub(super) fn check(&self, embeddings: &Tensor, new: i64, dim: i64, kind: Kind) -> Result<()> {
        let sizes = [self.shape.batch(), new, dim];
        shape::expect("embeddings [batch, new, dim]", embeddings, &sizes)?;
        Ok(shape::expect_kind("embeddings", embeddings, kind)?)
    }

    /// Where new prefix positions go.
    pub(super) fn extend(&self, new: i64) -> Result<Slots> {
        if self.rolled > 0 {
            return Err(Error::input("session", "the prefix cannot grow once positions are rolled"));
        }
        let free = self.shape.prefix_positions - self.prefix;
        if !(1..=free).contains(&new) {
            return Err(Error::input("session", format!("expected 1 to {free} new positions, got {new}")));
        }
        Ok(Slots { start: self.prefix, visible: self.prefix + new })
    }

    pub(super) fn extended(&mut self, new: i64) {
        self.prefix += new;
    }

    /// Where the next rolled position goes.
    pub(super) fn roll(&self) -> Result<Rolled> {
        let window = self.shape.window_positions;
        if window == 0 || self.prefix == 0 {
            return Err(Error::input("session", "needs a window and a prefix before positions are rolled"));
        }
        Ok(Rolled {
            slots: Slots {
                start: self.prefix + self.rolled % window,
                visible: self.prefix + window.min(self.rolled + 1),
            },
            position: self.prefix + self.rolled,
            // The first rolled position is at distance 1 from the end of the prefix.
            shift: prefix_shift(self.rolled + 1, self.shape.reach_positions),
        })
    }

    pub(super) fn rolled(&mut self) {
        self.rolled += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::prefix_shift;

    #[test]
    fn the_prefix_is_never_seen_from_beyond_the_reach() {
        for reach in [1, 3, 24, 25, 26, 1000] {
            for distance in 1..3000 {
                let seen = distance - prefix_shift(distance, reach);
                assert!((1..=reach).contains(&seen), "reach {reach}: {distance} is seen as {seen}");
                assert!(distance > reach || seen == distance, "moved within the reach");
            }
        }
    }
}

//! Decoding with a cache of fixed size.
//!
//! Positions `0..prefix` stay visible; rolled positions follow in a ring of the window's size. Rolled position i is rotated as sequence
//! position `prefix + i`. Once its distance from the prefix passes the reach, all keys of the prefix are turned forward by a whole number of
//! strides, so that the model sees the end of the prefix at a distance of at most `reach`, and of more than `reach - STRIDE`.
//! Distances within the window are untouched.

use musicot_core::nn::RopeTable;
use musicot_core::shape;
use musicot_core::tch::{Tensor, no_grad_guard};

use super::Llama;
use super::attention::{LayerCache, Slots};
use crate::causal::{CausalLm, LmSession, SessionShape};
use crate::{Error, Result, mask};

/// Positions by which the prefix is moved at once: one second at 25 tokens per second, so that moving costs next to nothing per token.
const STRIDE: i64 = 25;

/// How far the prefix has moved for a position at `distance` from its end, so that it is seen at one of at most `reach`.
fn prefix_shift(distance: i64, reach: i64) -> i64 {
    let stride = STRIDE.min(reach.max(1));
    ((distance - reach).max(0) + stride - 1) / stride * stride
}

pub(super) struct Session<'a> {
    llama: &'a Llama,
    caches: Vec<LayerCache>,
    shape: SessionShape,
    prefix: i64,
    rolled: i64,
    shift: i64,
    /// `[batch, 1, 1, slots]`, added to scores, where a row is padded.
    padding: Option<Tensor>,
}

impl<'a> Session<'a> {
    pub(super) fn new(llama: &'a Llama, shape: &SessionShape) -> Result<Self> {
        let slots = shape.prefix_positions.saturating_add(shape.window_positions);
        let new_cache =
            |_| LayerCache::new(&llama.config, shape.batch(), slots, llama.kind(), llama.device());
        let caches = (0..llama.layers.len()).map(new_cache).collect::<Result<_>>()?;
        let padding = mask::padding(&shape.padding, slots, llama.device())?;
        Ok(Self { llama, caches, shape: shape.clone(), prefix: 0, rolled: 0, shift: 0, padding })
    }

    /// Runs all layers; returns the last position's final hidden state `[batch, dim]`.
    fn run(
        &self,
        embeddings: &Tensor,
        rope: &RopeTable,
        mask: Option<&Tensor>,
        slots: Slots,
    ) -> Result<Tensor> {
        let mask = mask.map(|mask| mask::in_kind(mask, self.llama.kind())).transpose()?;
        let mut x = embeddings.shallow_clone();
        for (layer, cache) in self.llama.layers.iter().zip(&self.caches) {
            x = layer.cached(&x, rope, mask.as_ref(), cache, slots)?;
        }
        let last = x.f_select(1, -1)?;
        Ok(self.llama.norm.forward(&last)?)
    }

    fn check(&self, embeddings: &Tensor, new: i64) -> Result<()> {
        shape::expect(
            "embeddings [batch, new, dim]",
            embeddings,
            &[self.shape.batch(), new, self.llama.dim()],
        )?;
        Ok(shape::expect_kind("embeddings", embeddings, self.llama.kind())?)
    }

    /// Mask of new prefix positions, `[batch, 1, new, visible]`; `None` where one position sees all.
    fn extend_mask(&self, new: i64) -> Result<Option<Tensor>> {
        let visible = self.prefix + new;
        if new == 1 {
            return self.padding.as_ref().map(|padding| Ok(padding.f_narrow(3, 0, visible)?)).transpose();
        }
        Ok(Some(match &self.padding {
            None => mask::causal(new, visible, self.llama.device())?,
            Some(padding) => mask::causal_after(&padding.f_narrow(3, 0, visible)?, new)?,
        }))
    }

    fn move_prefix(&mut self, shift: i64) -> Result<()> {
        if shift != self.shift {
            let rope = self.llama.rope.shift(self.prefix, shift)?;
            for cache in &mut self.caches {
                cache.move_prefix(self.prefix, &rope)?;
            }
            self.shift = shift;
        }
        Ok(())
    }
}

impl LmSession for Session<'_> {
    fn extend(&mut self, embeddings: &Tensor) -> Result<Tensor> {
        let _no_grad = no_grad_guard();
        self.check(embeddings, shape::ANY)?;
        let new = embeddings.size()[1];
        if self.rolled > 0 {
            return Err(Error::input("session", "the prefix cannot grow once positions are rolled"));
        }
        if new == 0 || self.prefix + new > self.shape.prefix_positions {
            let free = self.shape.prefix_positions - self.prefix;
            return Err(Error::input("session", format!("expected 1 to {free} new positions, got {new}")));
        }
        let mask = self.extend_mask(new)?;
        let rope = self.llama.rope.slots(self.prefix, new, &self.shape.padding)?;
        let slots = Slots { start: self.prefix, visible: self.prefix + new };
        let hidden = self.run(embeddings, &rope, mask.as_ref(), slots)?;
        self.prefix += new;
        Ok(hidden)
    }

    fn roll(&mut self, embedding: &Tensor) -> Result<Tensor> {
        let _no_grad = no_grad_guard();
        self.check(embedding, 1)?;
        let window = self.shape.window_positions;
        if window == 0 || self.prefix == 0 {
            return Err(Error::input("session", "needs a window and a prefix before positions are rolled"));
        }
        // The first rolled position is at distance 1 from the end of the prefix.
        self.move_prefix(prefix_shift(self.rolled + 1, self.shape.reach_positions))?;
        let rope = self.llama.rope.slots(self.prefix + self.rolled, 1, &self.shape.padding)?;
        let slots = Slots {
            start: self.prefix + self.rolled % window,
            visible: self.prefix + window.min(self.rolled + 1),
        };
        let mask = match &self.padding {
            Some(padding) => Some(padding.f_narrow(3, 0, slots.visible)?),
            None => None,
        };
        let hidden = self.run(embedding, &rope, mask.as_ref(), slots)?;
        self.rolled += 1;
        Ok(hidden)
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

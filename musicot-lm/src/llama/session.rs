//! Decoding with a cache of fixed size, by libtorch.

use musicot_core::nn::RopeTable;
use musicot_core::shape;
use musicot_core::tch::{Tensor, no_grad_guard};

use super::Llama;
use super::attention::{LayerCache, Slots};
use super::places::Places;
use crate::causal::{CausalLm, LmSession, SessionShape};
use crate::{Result, mask};

pub(super) struct Session<'a> {
    llama: &'a Llama,
    caches: Vec<LayerCache>,
    places: Places,
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
        Ok(Self { llama, caches, places: Places::new(shape), shift: 0, padding })
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

    /// Mask of new prefix positions, `[batch, 1, new, visible]`; `None` where one position sees all.
    fn extend_mask(&self, new: i64) -> Result<Option<Tensor>> {
        let visible = self.places.prefix + new;
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
            let prefix = self.places.prefix;
            let rope = self.llama.rope.shift(prefix, shift)?;
            for cache in &mut self.caches {
                cache.move_prefix(prefix, &rope)?;
            }
            self.shift = shift;
        }
        Ok(())
    }
}

impl LmSession for Session<'_> {
    fn extend(&mut self, embeddings: &Tensor) -> Result<Tensor> {
        let _no_grad = no_grad_guard();
        self.places.check(embeddings, shape::ANY, self.llama.dim(), self.llama.kind())?;
        let new = embeddings.size()[1];
        let slots = self.places.extend(new)?;
        let mask = self.extend_mask(new)?;
        let rope = self.llama.rope.slots(slots.start, new, &self.places.shape.padding)?;
        let hidden = self.run(embeddings, &rope, mask.as_ref(), slots)?;
        self.places.extended(new);
        Ok(hidden)
    }

    fn roll(&mut self, embedding: &Tensor) -> Result<Tensor> {
        let _no_grad = no_grad_guard();
        self.places.check(embedding, 1, self.llama.dim(), self.llama.kind())?;
        let rolled = self.places.roll()?;
        self.move_prefix(rolled.shift)?;
        let rope = self.llama.rope.slots(rolled.position, 1, &self.places.shape.padding)?;
        let mask = match &self.padding {
            Some(padding) => Some(padding.f_narrow(3, 0, rolled.slots.visible)?),
            None => None,
        };
        let hidden = self.run(embedding, &rope, mask.as_ref(), rolled.slots)?;
        self.places.rolled();
        Ok(hidden)
    }
}

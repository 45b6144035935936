//! Decoding with a cache of fixed size, by our own kernels.

use musicot_core::tch::{Kind, Tensor};
use musicot_core::{shape, tensor};
use musicot_kernels::{CacheShape, Turn, rms_norm};

use super::FastLlama;
use super::group::Group;
use super::layer::Place;
use crate::Result;
use crate::causal::{CausalLm, LmSession, SessionShape};
use crate::llama::places::Places;

/// Positions of a row that pass through the layers together: enough that reading the weights costs little, few enough that what they hold stays in
/// the caches.
const TOGETHER: usize = 32;

pub(super) struct FastSession<'a> {
    llama: &'a FastLlama,
    groups: Vec<Group>,
    places: Places,
    shift: i64,
}

/// Positions to be added, the same ones of every row.
#[derive(Debug, Clone, Copy)]
struct New {
    /// Slot of the first.
    slot: usize,
    /// Its place in the sequence of a row without padding.
    position: i64,
    count: usize,
    /// Slots that are visible besides those up to its own: all of the ring, where the positions roll.
    visible: usize,
}

impl<'a> FastSession<'a> {
    pub(super) fn new(llama: &'a FastLlama, shape: &SessionShape) -> Result<Self> {
        let config = &llama.llama.config;
        let cache = CacheShape {
            rows: 1,
            kv_heads: config.num_key_value_heads as usize,
            head_dim: config.head_size() as usize,
            slots: shape.prefix_positions.saturating_add(shape.window_positions) as usize,
        };
        let groups = Group::share_out(shape.padding.len(), &llama.stack(), cache, llama.threads.count())?;
        Ok(Self { llama, groups, places: Places::new(shape), shift: 0 })
    }

    /// Runs all layers over embeddings `[batch, new.count, dim]`; the last position's final hidden state `[batch, dim]`.
    fn run(&mut self, embeddings: &[f32], new: New) -> Result<Tensor> {
        let (dim, batch) = (self.llama.sizes.dim, self.places.shape.padding.len());
        let mut last = Vec::with_capacity(batch * dim);
        for start in (0..new.count).step_by(TOGETHER) {
            let count = TOGETHER.min(new.count - start);
            let part = New { slot: new.slot + start, position: new.position + start as i64, count, ..new };
            let rows = embeddings.chunks_exact(new.count * dim);
            let mut x: Vec<f32> =
                rows.flat_map(|row| &row[start * dim..(start + count) * dim]).copied().collect();
            self.layers(&mut x, part)?;
            if start + count == new.count {
                last.extend(x.chunks_exact(count * dim).flat_map(|row| &row[(count - 1) * dim..]));
            }
        }
        let mut hidden = vec![0.0; last.len()];
        rms_norm(self.llama.isa, &last, &self.llama.norm, self.llama.sizes.eps, &mut hidden)?;
        Ok(Tensor::f_from_slice(&hidden)?.f_reshape([batch as i64, dim as i64])?)
    }

    fn layers(&mut self, x: &mut [f32], new: New) -> Result<()> {
        let places = self.new_places(new);
        Group::run_all(&mut self.groups, self.llama.stack(), x, &places, &self.llama.threads)
    }

    /// Row by row.
    fn new_places(&self, new: New) -> Vec<Place> {
        let frequencies = self.llama.llama.rope.frequencies();
        let row = |pad: &i64| {
            let (first, padding) = (*pad as usize, *pad);
            (0..new.count).map(move |index| {
                let (slot, position) = (new.slot + index, new.position + index as i64);
                let end = new.visible.max(slot + 1);
                Place {
                    slot,
                    // A padded position sees itself, or it would see nothing; nobody sees it.
                    visible: if slot < first { slot..slot + 1 } else { first..end },
                    turn: Turn::new((position - padding).max(0) as f32, frequencies),
                }
            })
        };
        self.places.shape.padding.iter().flat_map(row).collect()
    }

    fn move_prefix(&mut self, shift: i64) -> Result<()> {
        if shift != self.shift {
            let turn = Turn::new(shift as f32, self.llama.llama.rope.frequencies());
            for group in &mut self.groups {
                group.turn_first(self.llama.isa, self.places.prefix as usize, &turn)?;
            }
            self.shift = shift;
        }
        Ok(())
    }
}

impl LmSession for FastSession<'_> {
    fn extend(&mut self, embeddings: &Tensor) -> Result<Tensor> {
        self.places.check(embeddings, shape::ANY, self.llama.dim(), Kind::Float)?;
        let count = embeddings.size()[1];
        let slots = self.places.extend(count)?;
        let slot = slots.start as usize;
        let new = New { slot, position: slots.start, count: count as usize, visible: 0 };
        let hidden = self.run(&tensor::to_vec(embeddings)?, new)?;
        self.places.extended(count);
        Ok(hidden)
    }

    fn roll(&mut self, embedding: &Tensor) -> Result<Tensor> {
        self.places.check(embedding, 1, self.llama.dim(), Kind::Float)?;
        let rolled = self.places.roll()?;
        self.move_prefix(rolled.shift)?;
        let new = New {
            slot: rolled.slots.start as usize,
            position: rolled.position,
            count: 1,
            visible: rolled.slots.visible as usize,
        };
        let hidden = self.run(&tensor::to_vec(embedding)?, new)?;
        self.places.rolled();
        Ok(hidden)
    }
}

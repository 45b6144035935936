//! Attention of one query position against a cache.

use std::ops::Range;

use crate::cache::{BLOCK, CacheShape, KvCache};
use crate::error::{Error, Result, expect_len};
use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::{Eight, LANES, add_scaled, exp, sum_of};

/// Memory that attention needs, kept from call to call.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    scores: Vec<f32>,
    sums: Vec<f32>,
}

impl KvCache {
    /// Attention of one position's `query [heads, head_dim]` over the slots of `visible`: softmax of the scaled products with their keys,
    /// times their values, into `y` of the same shape. Consecutive query heads share a head of keys.
    ///
    /// The same visible slots give the same bytes wherever they lie in the cache.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn attend(
        &self,
        isa: Isa,
        row: usize,
        query: &[f32],
        visible: Range<usize>,
        scratch: &mut Scratch,
        y: &mut [f32],
    ) -> Result<()> {
        let CacheShape { kv_heads, head_dim, .. } = self.shape;
        self.shape.expect_row(row)?;
        self.shape.expect_slots(visible.end)?;
        if visible.is_empty() {
            return Err(Error::shape("visible slots", "at least 1", 0));
        }
        if query.is_empty() || !query.len().is_multiple_of(kv_heads * head_dim) {
            return Err(Error::shape("query", format!("a multiple of {}", kv_heads * head_dim), query.len()));
        }
        expect_len("results", query.len(), y.len())?;
        let group = query.len() / kv_heads;
        for (head, (query, y)) in query.chunks_exact(group).zip(y.chunks_exact_mut(group)).enumerate() {
            let keys = &self.keys[self.shape.keys_of(row, head)];
            let values = &self.values[self.shape.values_of(row, head)];
            isa.run(Attend { shape: self.shape, keys, values, query, visible: visible.clone(), scratch, y });
        }
        Ok(())
    }
}

/// One head of keys and its group of query heads.
struct Attend<'a> {
    shape: CacheShape,
    keys: &'a [f32],
    values: &'a [f32],
    query: &'a [f32],
    visible: Range<usize>,
    scratch: &'a mut Scratch,
    y: &'a mut [f32],
}

impl Work for Attend<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(mut self) {
        let head = self.shape.head_dim;
        let mut heads = self.query.len() / head;
        // As many at once as there are registers for their sums.
        while heads > 0 {
            let done = self.query.len() / head - heads;
            let taken = match heads {
                4.. => self.heads::<M, 4>(done),
                2.. => self.heads::<M, 2>(done),
                _ => self.heads::<M, 1>(done),
            };
            heads -= taken;
        }
    }
}

impl Attend<'_> {
    /// Query heads from `first` on.
    #[inline(always)]
    fn heads<M: MulAdd, const H: usize>(&mut self, first: usize) -> usize {
        let head = self.shape.head_dim;
        let query = &self.query[first * head..(first + H) * head];
        // From the block in which the first visible slot lies.
        let skipped = self.visible.start / BLOCK;
        let blocks = self.visible.end.div_ceil(BLOCK) - skipped;
        let stride = blocks * BLOCK;
        self.scratch.scores.resize(H * stride, 0.0);
        let keys = self.keys[skipped * BLOCK * head..].chunks_exact(BLOCK * head).take(blocks);
        let scale = 1.0 / (head as f32).sqrt();
        for (block, keys) in keys.enumerate() {
            let scores = block_scores::<M, H>(keys, query, head);
            for (own, scores) in self.scratch.scores.chunks_exact_mut(stride).zip(scores) {
                let own = &mut own[block * BLOCK..(block + 1) * BLOCK];
                own.iter_mut().zip(scores.as_flattened()).for_each(|(own, score)| *own = score * scale);
            }
        }
        let seen = self.visible.start - skipped * BLOCK..self.visible.end - skipped * BLOCK;
        let mut totals = [0.0; H];
        for (scores, total) in self.scratch.scores.chunks_exact_mut(stride).zip(&mut totals) {
            *total = exponentials::<M>(&mut scores[seen.clone()]);
        }
        self.weigh::<M, H>(stride, seen);
        let width = self.shape.value_width();
        let y = self.y[first * head..(first + H) * head].chunks_exact_mut(head);
        for ((y, sums), total) in y.zip(self.scratch.sums.chunks_exact(width)).zip(totals) {
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum / total);
        }
        H
    }

    /// Sums of the visible values times their weights, `[H, value_width]`, into the scratch.
    #[inline(always)]
    fn weigh<M: MulAdd, const H: usize>(&mut self, stride: usize, seen: Range<usize>) {
        let width = self.shape.value_width();
        let values = &self.values[self.visible.start * width..self.visible.end * width];
        let Scratch { scores, sums } = &mut *self.scratch;
        sums.resize(H * width, 0.0);
        for (scores, sums) in scores.chunks(2 * stride).zip(sums.chunks_mut(2 * width)) {
            let weights = |head: usize| &scores[head * stride..][seen.clone()];
            let mut start = 0;
            while start < width {
                let wide = width - start >= 4 * LANES;
                if scores.len() == stride {
                    let weights = [weights(0)];
                    if wide {
                        weigh_tile::<M, 1, 4>(values, weights, (width, start), sums);
                    } else {
                        weigh_tile::<M, 1, 1>(values, weights, (width, start), sums);
                    }
                } else {
                    let weights = [weights(0), weights(1)];
                    if wide {
                        weigh_tile::<M, 2, 4>(values, weights, (width, start), sums);
                    } else {
                        weigh_tile::<M, 2, 1>(values, weights, (width, start), sums);
                    }
                }
                start += if wide { 4 * LANES } else { LANES };
            }
        }
    }
}

/// Products of a block of keys `[head_dim, BLOCK]` with query heads `[H, head_dim]`.
#[inline(always)]
fn block_scores<M: MulAdd, const H: usize>(keys: &[f32], query: &[f32], head: usize) -> [[Eight; 2]; H] {
    let mut scores = [[[0.0; LANES]; 2]; H];
    let (keys, _) = keys.as_chunks::<LANES>();
    let (keys, _) = keys.as_chunks::<2>();
    // Arrays, not slices of slices: only loops whose length is known become registers.
    let queries: [&[f32]; H] = std::array::from_fn(|index| &query[index * head..(index + 1) * head]);
    for (dim, keys) in keys.iter().enumerate().take(head) {
        for (scores, query) in scores.iter_mut().zip(queries) {
            add_scaled::<M>(&mut scores[0], query[dim], &keys[0]);
            add_scaled::<M>(&mut scores[1], query[dim], &keys[1]);
        }
    }
    scores
}

/// Scores to `e^(score - largest)`; their sum.
#[inline(always)]
fn exponentials<M: MulAdd>(scores: &mut [f32]) -> f32 {
    let (eights, rest) = scores.as_chunks::<LANES>();
    let mut largest = [f32::NEG_INFINITY; LANES];
    for eight in eights {
        for (largest, score) in largest.iter_mut().zip(eight) {
            *largest = if *score > *largest { *score } else { *largest };
        }
    }
    let largest = largest.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, score| largest.max(*score));
    scores.iter_mut().for_each(|score| *score = exp::<M>(*score - largest));
    sum_of::<M>(scores, |weight, sum| sum + weight)
}

/// `V` vectors of `H` heads' sums from `start` on.
#[inline(always)]
fn weigh_tile<M: MulAdd, const H: usize, const V: usize>(
    values: &[f32],
    weights: [&[f32]; H],
    (width, start): (usize, usize),
    sums: &mut [f32],
) {
    let mut own = [[[0.0; LANES]; V]; H];
    for (slot, values) in values.chunks_exact(width).enumerate() {
        let (values, _) = values[start..start + V * LANES].as_chunks::<LANES>();
        let (values, _) = values.as_chunks::<V>();
        let Some(values) = values.first() else { return };
        for (own, weights) in own.iter_mut().zip(weights) {
            let weight = weights[slot];
            for (own, values) in own.iter_mut().zip(values) {
                add_scaled::<M>(own, weight, values);
            }
        }
    }
    for (sums, own) in sums.chunks_exact_mut(width).zip(own) {
        sums[start..start + V * LANES].copy_from_slice(own.as_flattened());
    }
}

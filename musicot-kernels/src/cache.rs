//! Keys and values of one layer.

use crate::error::{Error, Result, expect_len};
use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::LANES;
use crate::rotary::{Turn, turned};

/// Slots of a block of keys: two vectors.
pub(crate) const BLOCK: usize = 2 * LANES;

/// Sizes of a [`KvCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Independent rows (the batch).
    pub rows: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Room for positions.
    pub slots: usize,
}

/// Keys and values of one layer in f32, for the attention of one query position at a time ([`KvCache::attend`]).
#[derive(Debug)]
pub struct KvCache {
    pub(crate) shape: CacheShape,
    /// `[rows, kv_heads, blocks, head_dim, BLOCK]`: the scores of a block's slots are computed side by side.
    pub(crate) keys: Vec<f32>,
    /// `[rows, kv_heads, slots, value_width]`.
    pub(crate) values: Vec<f32>,
    /// Keys as they were before [`KvCache::turn_first`].
    unturned: Option<Vec<f32>>,
}

impl KvCache {
    /// An empty cache.
    ///
    /// # Errors
    /// [`Error::Shape`] when a size is 0, or there is no memory for it.
    pub fn new(shape: CacheShape) -> Result<Self> {
        let CacheShape { rows, kv_heads, head_dim, slots } = shape;
        let sizes = [rows, kv_heads, head_dim, slots];
        if sizes.contains(&0) {
            return Err(Error::shape("sizes of a cache", "at least 1", 0));
        }
        let zeros = |width: usize, slots: usize| {
            let size = [kv_heads, width, slots].iter().try_fold(rows, |size, next| size.checked_mul(*next));
            let mut zeros = Vec::new();
            let reserved = size.filter(|size| zeros.try_reserve_exact(*size).is_ok());
            zeros.resize(reserved.ok_or_else(|| Error::shape("slots", "what fits into memory", slots))?, 0.0);
            Ok::<_, Error>(zeros)
        };
        let keys = zeros(head_dim, slots.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX))?;
        Ok(Self { shape, keys, values: zeros(shape.value_width(), slots)?, unturned: None })
    }

    /// The sizes.
    pub fn shape(&self) -> CacheShape {
        self.shape
    }

    /// Puts the key and the value of a position, each `[kv_heads, head_dim]`, into a slot.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn put(&mut self, row: usize, slot: usize, key: &[f32], value: &[f32]) -> Result<()> {
        let CacheShape { kv_heads, head_dim, .. } = self.shape;
        self.shape.expect_row(row)?;
        self.shape.expect_slots(slot.saturating_add(1))?;
        expect_len("key", kv_heads * head_dim, key.len())?;
        expect_len("value", kv_heads * head_dim, value.len())?;
        let heads = key.chunks_exact(head_dim).zip(value.chunks_exact(head_dim));
        for (head, (key, value)) in heads.enumerate() {
            let (keys, values) = (self.shape.keys_of(row, head), self.shape.values_of(row, head));
            let place = slot / BLOCK * BLOCK * head_dim + slot % BLOCK;
            let lanes = self.keys[keys].iter_mut().skip(place).step_by(BLOCK);
            lanes.zip(key).for_each(|(place, key)| *place = *key);
            let start = values.start + slot * self.shape.value_width();
            self.values[start..start + head_dim].copy_from_slice(value);
        }
        Ok(())
    }

    /// Turns the keys of the first `slots` slots of all rows from where they were first put, and not from where the last call left them.
    /// They must not be put again after the first call.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn turn_first(&mut self, isa: Isa, slots: usize, turn: &Turn) -> Result<()> {
        self.shape.expect_slots(slots)?;
        expect_len("pairs of a turn", self.shape.head_dim, 2 * turn.pairs())?;
        let shape = self.shape;
        let before = self.unturned.get_or_insert_with(|| {
            let first = |head: &[f32]| head[..slots.div_ceil(BLOCK) * BLOCK * shape.head_dim].to_vec();
            self.keys.chunks_exact(shape.key_size()).flat_map(first).collect()
        });
        isa.run(TurnFirst { shape, keys: &mut self.keys, before, slots, turn });
        Ok(())
    }
}

impl CacheShape {
    /// Width of a stored value: a whole number of vectors.
    pub(crate) fn value_width(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Keys of one row and head.
    fn key_size(self) -> usize {
        self.slots.next_multiple_of(BLOCK) * self.head_dim
    }

    pub(crate) fn keys_of(self, row: usize, head: usize) -> std::ops::Range<usize> {
        let (size, index) = (self.key_size(), row * self.kv_heads + head);
        index * size..(index + 1) * size
    }

    pub(crate) fn values_of(self, row: usize, head: usize) -> std::ops::Range<usize> {
        let (size, index) = (self.slots * self.value_width(), row * self.kv_heads + head);
        index * size..(index + 1) * size
    }

    pub(crate) fn expect_row(self, row: usize) -> Result<()> {
        if row < self.rows {
            Ok(())
        } else {
            Err(Error::shape("row", format!("less than {}", self.rows), row))
        }
    }

    pub(crate) fn expect_slots(self, slots: usize) -> Result<()> {
        if slots <= self.slots {
            return Ok(());
        }
        Err(Error::shape("slots", format!("at most {}", self.slots), slots))
    }
}

struct TurnFirst<'a> {
    shape: CacheShape,
    keys: &'a mut [f32],
    /// The first blocks of each row and head.
    before: &'a [f32],
    slots: usize,
    turn: &'a Turn,
}

impl Work for TurnFirst<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let head_dim = self.shape.head_dim;
        let before = self.before.chunks_exact(self.slots.div_ceil(BLOCK).max(1) * BLOCK * head_dim);
        for (keys, before) in self.keys.chunks_exact_mut(self.shape.key_size()).zip(before) {
            let blocks = keys.chunks_exact_mut(BLOCK * head_dim).zip(before.chunks_exact(BLOCK * head_dim));
            for (index, (keys, before)) in blocks.enumerate() {
                let slots = (self.slots - index * BLOCK).min(BLOCK);
                turn_block::<M>(keys, before, slots, self.turn);
            }
        }
    }
}

/// Turns the first slots of a block `[head_dim, BLOCK]`.
#[inline(always)]
fn turn_block<M: MulAdd>(keys: &mut [f32], before: &[f32], slots: usize, turn: &Turn) {
    let half = turn.pairs() * BLOCK;
    let (low, high) = keys.split_at_mut(half);
    for (pair, turn) in turn.cos.iter().zip(&turn.sin).enumerate() {
        let at = pair * BLOCK;
        for lane in at..at + slots {
            let pair = (before[lane], before[half + lane]);
            (low[lane], high[lane]) = turned::<M>(pair, (*turn.0, *turn.1));
        }
    }
}

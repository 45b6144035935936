//! Activations as 16-bit integers, for weights of 8 bits.
//!
//! An integer `256 h + l` is kept as its two signed bytes, too, because the fastest products are those of bytes. So many are summed up in 32 bits that
//! nothing can overflow, whichever way the products are made: all give the same integer.

use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::LANES;

use super::{Steps, nearest};

/// Values of a block of int8 weights.
const BLOCK: usize = 32;

/// Blocks that share a scale: 32 values of a lane, whose products with 8-bit weights stay below 2^28.
pub(crate) const WORD_GROUP: usize = 8;

/// The largest integer both of whose bytes are signed: `256 * 127 + 127`.
const MOST: f32 = 32_639.0;

/// One row of [`Words`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct WordRow<'a> {
    /// `[blocks]`
    pub(crate) whole: &'a [[i16; BLOCK]],
    /// `[blocks]`
    pub(crate) bytes: &'a [TwoBytes],
    /// `[blocks / WORD_GROUP]`
    pub(crate) scales: &'a [f32],
    /// `[blocks / WORD_GROUP][LANES]`
    pub(crate) offsets: &'a [[i32; LANES]],
}

/// The bytes of a block's integers: a line of a cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct TwoBytes {
    pub(crate) high: [i8; BLOCK],
    pub(crate) low: [i8; BLOCK],
}

/// Activations in groups of 256, each with a scale of its own: a value is off by at most 1/65278 of the largest of its group.
#[derive(Debug)]
pub(crate) struct Words {
    /// Of a row.
    blocks: usize,
    /// Apart from their bytes: products read one or the other, and what passes by with every panel of weights has to fit into the nearest cache.
    whole: Vec<[i16; BLOCK]>,
    bytes: Vec<TwoBytes>,
    scales: Vec<f32>,
    /// Weights are stored with 128 added: what that adds to the product of each lane's values, taken back.
    offsets: Vec<[i32; LANES]>,
}

impl Words {
    pub(super) fn new(isa: Isa, columns: usize, blocks: usize, x: &[f32]) -> Self {
        let (rows, groups) = (x.len() / columns, blocks.div_ceil(WORD_GROUP));
        let mut whole = vec![[0; BLOCK]; rows * blocks];
        let mut bytes = vec![TwoBytes { high: [0; BLOCK], low: [0; BLOCK] }; rows * blocks];
        let (mut scales, mut offsets) = (vec![0.0; rows * groups], vec![[0; LANES]; rows * groups]);
        let words = whole.chunks_exact_mut(blocks).zip(bytes.chunks_exact_mut(blocks));
        let facts = scales.chunks_exact_mut(groups).zip(offsets.chunks_exact_mut(groups));
        for ((x, (whole, bytes)), (scales, offsets)) in x.chunks_exact(columns).zip(words).zip(facts) {
            isa.run(Round { x, whole, bytes, scales, offsets });
        }
        Self { blocks, whole, bytes, scales, offsets }
    }

    pub(super) fn count(&self) -> usize {
        self.whole.len() / self.blocks
    }

    pub(crate) fn row(&self, row: usize) -> WordRow<'_> {
        let groups = self.blocks.div_ceil(WORD_GROUP);
        let (blocks, groups) = (row * self.blocks..(row + 1) * self.blocks, row * groups..(row + 1) * groups);
        WordRow {
            whole: &self.whole[blocks.clone()],
            bytes: &self.bytes[blocks],
            scales: &self.scales[groups.clone()],
            offsets: &self.offsets[groups],
        }
    }
}

/// Writes a row.
struct Round<'a> {
    x: &'a [f32],
    /// Zeros, as what follows.
    whole: &'a mut [[i16; BLOCK]],
    bytes: &'a mut [TwoBytes],
    scales: &'a mut [f32],
    offsets: &'a mut [[i32; LANES]],
}

impl Work for Round<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        for (group, x) in self.x.chunks(WORD_GROUP * BLOCK).enumerate() {
            let (largest, steps) = match Steps::of(x, MOST) {
                Steps::NotFinite => {
                    self.scales[group] = f32::NAN;
                    continue;
                }
                Steps::None => continue,
                Steps::Some { largest, steps } => (largest, steps),
            };
            self.scales[group] = largest / MOST;
            for (block, x) in (group * WORD_GROUP..).zip(x.chunks(BLOCK)) {
                let whole = whole(x, steps);
                self.whole[block] = whole.map(|x| x as i16);
                // What is left when the lower byte, which is signed, is taken away.
                self.bytes[block] =
                    TwoBytes { high: whole.map(|x| ((x + 128) >> 8) as i8), low: whole.map(|x| x as i8) };
                for (offset, four) in self.offsets[group].iter_mut().zip(whole.as_chunks::<4>().0) {
                    *offset -= 128 * four.iter().sum::<i32>();
                }
            }
        }
    }
}

/// The integers of a block, filled up with zeros.
#[inline(always)]
fn whole(x: &[f32], steps: f32) -> [i32; BLOCK] {
    if let Ok(x) = <&[f32; BLOCK]>::try_from(x) {
        return x.map(|x| nearest(x * steps));
    }
    let mut padded = [0.0; BLOCK];
    padded[..x.len()].copy_from_slice(x);
    padded.map(|x| nearest(x * steps))
}

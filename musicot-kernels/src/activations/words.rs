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
    pub(crate) words: &'a [WordBlock],
    /// `[blocks / WORD_GROUP]`
    pub(crate) scales: &'a [f32],
    /// `[blocks / WORD_GROUP][LANES]`
    pub(crate) offsets: &'a [[i32; LANES]],
}

/// The activations of a block of weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WordBlock {
    pub(crate) whole: [i16; BLOCK],
    pub(crate) high: [i8; BLOCK],
    pub(crate) low: [i8; BLOCK],
}

/// Activations in groups of 256, each with a scale of its own: a value is off by at most 1/65278 of the largest of its group.
#[derive(Debug)]
pub(crate) struct Words {
    /// Of a row.
    blocks: usize,
    words: Vec<WordBlock>,
    scales: Vec<f32>,
    /// Weights are stored with 128 added: what that adds to the product of each lane's values, taken back.
    offsets: Vec<[i32; LANES]>,
}

impl Words {
    pub(super) fn new(isa: Isa, columns: usize, blocks: usize, x: &[f32]) -> Self {
        let (rows, groups) = (x.len() / columns, blocks.div_ceil(WORD_GROUP));
        let none = WordBlock { whole: [0; BLOCK], high: [0; BLOCK], low: [0; BLOCK] };
        let mut words = vec![none; rows * blocks];
        let (mut scales, mut offsets) = (vec![0.0; rows * groups], vec![[0; LANES]; rows * groups]);
        let facts = scales.chunks_exact_mut(groups).zip(offsets.chunks_exact_mut(groups));
        for ((x, words), (scales, offsets)) in
            x.chunks_exact(columns).zip(words.chunks_exact_mut(blocks)).zip(facts)
        {
            isa.run(Round { x, words, scales, offsets });
        }
        Self { blocks, words, scales, offsets }
    }

    pub(super) fn count(&self) -> usize {
        self.words.len() / self.blocks
    }

    pub(crate) fn row(&self, row: usize) -> WordRow<'_> {
        let groups = self.blocks.div_ceil(WORD_GROUP);
        let range = row * groups..(row + 1) * groups;
        WordRow {
            words: &self.words[row * self.blocks..][..self.blocks],
            scales: &self.scales[range.clone()],
            offsets: &self.offsets[range],
        }
    }
}

/// Writes a row.
struct Round<'a> {
    x: &'a [f32],
    /// Zeros, as what follows.
    words: &'a mut [WordBlock],
    scales: &'a mut [f32],
    offsets: &'a mut [[i32; LANES]],
}

impl Work for Round<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let groups = self.x.chunks(WORD_GROUP * BLOCK).zip(self.words.chunks_mut(WORD_GROUP));
        for ((x, words), (scale, offsets)) in groups.zip(self.scales.iter_mut().zip(self.offsets)) {
            match Steps::of(x, MOST) {
                Steps::NotFinite => *scale = f32::NAN,
                Steps::None => {}
                Steps::Some { largest, steps } => {
                    *scale = largest / MOST;
                    put_group(x, steps, words, offsets);
                }
            }
        }
    }
}

#[inline(always)]
fn put_group(x: &[f32], steps: f32, words: &mut [WordBlock], offsets: &mut [i32; LANES]) {
    let (wholes, rest) = x.as_chunks::<BLOCK>();
    for (x, word) in wholes.iter().zip(words.iter_mut()) {
        put(x, steps, word, offsets);
    }
    if !rest.is_empty() {
        let mut padded = [0.0; BLOCK];
        padded[..rest.len()].copy_from_slice(rest);
        put(&padded, steps, &mut words[wholes.len()], offsets);
    }
}

#[inline(always)]
fn put(x: &[f32; BLOCK], steps: f32, word: &mut WordBlock, offsets: &mut [i32; LANES]) {
    let whole = x.map(|x| nearest(x * steps));
    word.whole = whole.map(|x| x as i16);
    word.low = whole.map(|x| x as i8);
    // What is left when the lower byte, which is signed, is taken away.
    word.high = whole.map(|x| ((x + 128) >> 8) as i8);
    for (offset, four) in offsets.iter_mut().zip(whole.as_chunks::<4>().0) {
        *offset -= 128 * four.iter().sum::<i32>();
    }
}

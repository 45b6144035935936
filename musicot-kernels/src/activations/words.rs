//! Activations as 16-bit integers, for weights of 8 bits.
//!
//! An integer `256 h + l` is kept as its two signed bytes, too, because the fastest products are those of bytes. So many are summed up in 32 bits that
//! nothing can overflow, whichever way the products are made: all give the same integer.

use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::LANES;
use crate::pack::NEGLIGIBLE;

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
        let rows = x.len() / columns;
        let none = WordBlock { whole: [0; BLOCK], high: [0; BLOCK], low: [0; BLOCK] };
        let mut words = vec![none; rows * blocks];
        let (mut scales, mut offsets) = (Vec::new(), Vec::new());
        for (row, words) in x.chunks_exact(columns).zip(words.chunks_exact_mut(blocks)) {
            for (group, words) in row.chunks(WORD_GROUP * BLOCK).zip(words.chunks_mut(WORD_GROUP)) {
                scales.push(isa.run(Round { group, words }));
                offsets.push(offsets_of(words));
            }
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

fn offsets_of(words: &[WordBlock]) -> [i32; LANES] {
    let mut sums = [0; LANES];
    for word in words {
        let (fours, _) = word.whole.as_chunks::<4>();
        for (sum, four) in sums.iter_mut().zip(fours) {
            *sum -= 128 * four.iter().map(|value| i32::from(*value)).sum::<i32>();
        }
    }
    sums
}

/// Writes the integers of a group; gives its scale.
struct Round<'a> {
    group: &'a [f32],
    /// Zeros.
    words: &'a mut [WordBlock],
}

impl Work for Round<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<M: MulAdd>(self) -> f32 {
        let (mut largest, mut all_finite) = (0.0_f32, true);
        for x in self.group {
            largest = if x.abs() > largest { x.abs() } else { largest };
            // Comparisons are false for what is no number: it would be lost among the integers.
            all_finite &= x.is_finite();
        }
        if !all_finite {
            return f32::NAN;
        }
        if largest < NEGLIGIBLE {
            return 0.0;
        }
        let steps = MOST / largest;
        for (word, block) in self.words.iter_mut().zip(self.group.chunks(BLOCK)) {
            let mut padded = [0.0; BLOCK];
            padded[..block.len()].copy_from_slice(block);
            let whole = padded.map(|x| (x * steps).round_ties_even() as i32);
            let low = whole.map(|x| x as i8);
            word.whole = whole.map(|x| x as i16);
            word.low = low;
            for ((high, x), low) in word.high.iter_mut().zip(whole).zip(low) {
                *high = ((x - i32::from(low)) >> 8) as i8;
            }
        }
        largest / MOST
    }
}

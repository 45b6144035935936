//! Codewords as 8-bit integers, and what their rounding costs.

use super::query::Query;
use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::sum_of;

/// Codewords of a list: four registers.
pub(super) const LIST: usize = 64;

/// Four neighbouring values of each codeword of a list.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Fours(pub(super) [[i8; 4]; LIST]);

/// Of each codeword of a list.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(super) struct Facts {
    /// Values of vectors are stored with 128 added: what that adds to a product, taken back.
    pub(super) offsets: [i32; LIST],
    pub(super) scales: [f32; LIST],
    /// Half the squared length. Infinite where a list has no more codewords, so that none of those ever wins.
    pub(super) halves: [f32; LIST],
    /// Length, at most.
    pub(super) lengths: [f32; LIST],
    /// Length of what rounding changed.
    pub(super) errors: [f32; LIST],
    /// What f32 may lose on the side of the codeword.
    pub(super) slacks: [f32; LIST],
}

/// What f32 may lose of a score or of half a squared distance, of the squared lengths of vector and codeword: eight chains of additions, each of which
/// rounds by at most 6e-8, and some roundings beside them.
pub(super) fn f32_loss(dim: usize) -> f32 {
    1.2e-7 * (dim as f32 / 8.0 + 16.0)
}

/// Lists of codewords.
#[derive(Debug)]
pub(super) struct Packed {
    /// Of a list.
    depth: usize,
    /// `[lists][depth]`
    fours: Vec<Fours>,
    facts: Vec<Facts>,
}

impl Packed {
    pub(super) fn new(isa: Isa, words: &[f32], dim: usize) -> Self {
        let (depth, lists) = (dim.div_ceil(4), (words.len() / dim).div_ceil(LIST));
        let mut packed = Self {
            depth,
            fours: vec![Fours([[0; 4]; LIST]); lists * depth],
            facts: vec![Facts::NONE; lists],
        };
        // A codeword is rounded as vectors are.
        let mut rounded = Query::default();
        for (index, word) in words.chunks_exact(dim).enumerate() {
            rounded.set(isa, word);
            packed.put(index, &rounded, isa.run(Squares(word)));
        }
        packed
    }

    pub(super) fn lists(&self) -> usize {
        self.facts.len()
    }

    pub(super) fn list(&self, list: usize) -> (&[Fours], &Facts) {
        (&self.fours[list * self.depth..][..self.depth], &self.facts[list])
    }

    fn put(&mut self, index: usize, word: &Query, squares: f32) {
        let (list, place) = (index / LIST, index % LIST);
        let mut sum = 0;
        for (fours, codes) in self.fours[list * self.depth..].iter_mut().zip(&word.fours) {
            let codes = codes.map(|code| code.wrapping_sub(128) as i8);
            sum += codes.iter().map(|code| i32::from(*code)).sum::<i32>();
            fours.0[place] = codes;
        }
        let facts = &mut self.facts[list];
        facts.offsets[place] = -128 * sum;
        facts.scales[place] = word.scale;
        facts.halves[place] = squares / 2.0;
        facts.lengths[place] = word.length + word.error;
        facts.errors[place] = word.error;
        facts.slacks[place] = word.slack;
    }
}

struct Squares<'a>(&'a [f32]);

impl Work for Squares<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<M: MulAdd>(self) -> f32 {
        sum_of::<M>(self.0, |x, sum| M::mul_add(x, x, sum))
    }
}

impl Facts {
    const NONE: Self = Self {
        offsets: [0; LIST],
        scales: [0.0; LIST],
        halves: [f32::INFINITY; LIST],
        lengths: [0.0; LIST],
        errors: [0.0; LIST],
        slacks: [0.0; LIST],
    };
}

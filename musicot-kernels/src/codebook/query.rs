//! A vector, or a codeword, as 8-bit integers, and what its rounding costs.

use super::pack::f32_loss;
use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::LANES;
use crate::pack::NEGLIGIBLE;
use crate::portable::sum_lanes;

/// A vector whose nearest codeword is searched, or a codeword.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// Four values each, with 128 added.
    pub(super) fours: Vec<[u8; 4]>,
    pub(super) scale: f32,
    /// Length of what the integers stand for.
    pub(super) length: f32,
    /// Length of what rounding changed.
    pub(super) error: f32,
    /// What f32 may lose on the side of the vector.
    pub(super) slack: f32,
}

/// Where squared differences may leave the range of f32, every codeword stays possible.
const MOST_LENGTH: f32 = 4e18;

/// More than products of small numbers lose because f32 has no smaller ones.
const UNDERFLOW: f32 = 1e-36;

/// What is lost in sums of f32, of the sum; lengths are made longer by it.
const WIDER: f32 = 1.0 + 1e-4;

impl Query {
    pub(super) fn set(&mut self, isa: Isa, vector: &[f32]) {
        self.fours.clear();
        self.fours.resize(vector.len().div_ceil(4), [128; 4]);
        let round = Round { vector, codes: self.fours.as_flattened_mut() };
        (self.scale, self.length, self.error) = isa.run(round);
        let length = self.length + self.error;
        self.slack = if length < MOST_LENGTH {
            length * length * f32_loss(vector.len()) + UNDERFLOW
        } else {
            f32::INFINITY
        };
    }
}

/// Writes the codes; gives scale, length and error.
struct Round<'a> {
    vector: &'a [f32],
    codes: &'a mut [u8],
}

impl Work for Round<'_> {
    type Out = (f32, f32, f32);

    #[inline(always)]
    fn run<M: MulAdd>(self) -> Self::Out {
        let (eights, rest) = self.vector.as_chunks::<LANES>();
        let mut largest = [0.0_f32; LANES];
        for eight in eights {
            for (largest, x) in largest.iter_mut().zip(eight) {
                *largest = if x.abs() > *largest { x.abs() } else { *largest };
            }
        }
        let largest = largest.iter().chain(rest).fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let scale = if largest < NEGLIGIBLE { 0.0 } else { largest / 127.0 };
        let steps = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let (mut squares, mut errors) = ([0.0; LANES], [0.0; LANES]);
        let mut one = |x: f32, code: &mut u8, lane: usize| {
            // Adding 1.5 * 2^23 rounds to an integer, whose lowest bits are then those of the sum.
            const ROUND: f32 = 12_582_912.0;
            let rounded = M::mul_add(x, steps, ROUND);
            *code = (rounded.to_bits() as u8).wrapping_add(128);
            let stands_for = (rounded - ROUND) * scale;
            let error = x - stands_for;
            squares[lane] = M::mul_add(stands_for, stands_for, squares[lane]);
            errors[lane] = M::mul_add(error, error, errors[lane]);
        };
        let (code_eights, code_rest) = self.codes.as_chunks_mut::<LANES>();
        for (eight, codes) in eights.iter().zip(&mut *code_eights) {
            for (lane, (x, code)) in eight.iter().zip(codes).enumerate() {
                one(*x, code, lane);
            }
        }
        // Codes are filled up to fours: what is left over of the vector may be a whole eight of them.
        let left = code_eights.iter_mut().skip(eights.len()).flatten().chain(code_rest);
        for (x, code) in rest.iter().zip(left) {
            one(*x, code, 0);
        }
        (scale, sum_lanes(squares).sqrt() * WIDER, sum_lanes(errors).sqrt() * WIDER)
    }
}

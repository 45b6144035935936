//! Activations as 8-bit integers, for weights of 4 bits.

use crate::isa::{Isa, MulAdd, Work};
use crate::kind::INT4_GROUP;
use crate::lanes::LANES;
use crate::pack::NEGLIGIBLE;

/// One row of [`Bytes`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteRow<'a> {
    /// `[groups][INT4_GROUP]`
    pub(crate) codes: &'a [[i8; INT4_GROUP]],
    /// `[groups]`
    pub(crate) scales: &'a [f32],
    /// `[groups][LANES]`
    pub(crate) offsets: &'a [[i32; LANES]],
}

/// Activations in groups of 32, each with a scale of its own: a value is off by at most 1/254 of the largest of its group.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    /// Of a row.
    groups: usize,
    codes: Vec<[i8; INT4_GROUP]>,
    scales: Vec<f32>,
    /// Weights are stored with 8 added: what that adds to the product of each lane's four neighbours, taken back.
    offsets: Vec<[i32; LANES]>,
}

impl Bytes {
    pub(super) fn new(isa: Isa, columns: usize, groups: usize, x: &[f32]) -> Self {
        let mut bytes = Self { groups, ..Self::default() };
        for row in x.chunks_exact(columns) {
            for group in 0..groups {
                let start = (group * INT4_GROUP).min(columns);
                let own = &row[start..(start + INT4_GROUP).min(columns)];
                let mut padded = [0.0; INT4_GROUP];
                padded[..own.len()].copy_from_slice(own);
                let (codes, scale) = isa.run(Round(padded));
                bytes.codes.push(codes);
                bytes.scales.push(scale);
                bytes.offsets.push(offsets(&codes));
            }
        }
        bytes
    }

    pub(super) fn count(&self) -> usize {
        self.scales.len() / self.groups
    }

    pub(crate) fn row(&self, row: usize) -> ByteRow<'_> {
        let range = row * self.groups..(row + 1) * self.groups;
        ByteRow {
            codes: &self.codes[range.clone()],
            scales: &self.scales[range.clone()],
            offsets: &self.offsets[range],
        }
    }
}

fn offsets(codes: &[i8; INT4_GROUP]) -> [i32; LANES] {
    let (fours, _) = codes.as_chunks::<4>();
    std::array::from_fn(|lane| -8 * fours[lane].iter().map(|code| i32::from(*code)).sum::<i32>())
}

/// Codes and scale of a group.
struct Round([f32; INT4_GROUP]);

impl Work for Round {
    type Out = ([i8; INT4_GROUP], f32);

    #[inline(always)]
    fn run<M: MulAdd>(self) -> Self::Out {
        let largest =
            self.0.iter().fold(0.0_f32, |largest, x| if x.abs() > largest { x.abs() } else { largest });
        // Comparisons are false for what is no number: it would be lost among the codes.
        if !self.0.iter().all(|x| x.is_finite()) {
            return ([0; INT4_GROUP], f32::NAN);
        }
        if largest < NEGLIGIBLE {
            return ([0; INT4_GROUP], 0.0);
        }
        let steps = 127.0 / largest;
        (self.0.map(|x| (x * steps).round_ties_even() as i8), largest / 127.0)
    }
}

//! Activations as 8-bit integers, for weights of 4 bits.

use crate::isa::{Isa, MulAdd, Work};
use crate::kind::INT4_GROUP;
use crate::lanes::LANES;

use super::{Steps, nearest};

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
#[derive(Debug)]
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
        let count = x.len() / columns * groups;
        let (codes, scales, offsets) =
            (vec![[0; INT4_GROUP]; count], vec![0.0; count], vec![[0; LANES]; count]);
        let mut bytes = Self { groups, codes, scales, offsets };
        for (row, x) in x.chunks_exact(columns).enumerate() {
            isa.run(Round { x, first: row * groups, bytes: &mut bytes });
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

/// Writes the groups of a row, from group `first` on.
struct Round<'a> {
    x: &'a [f32],
    first: usize,
    /// Zeros.
    bytes: &'a mut Bytes,
}

impl Work for Round<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let (wholes, rest) = self.x.as_chunks::<INT4_GROUP>();
        for (group, x) in (self.first..).zip(wholes) {
            self.bytes.put(group, x);
        }
        if !rest.is_empty() {
            let mut padded = [0.0; INT4_GROUP];
            padded[..rest.len()].copy_from_slice(rest);
            self.bytes.put(self.first + wholes.len(), &padded);
        }
    }
}

impl Bytes {
    #[inline(always)]
    fn put(&mut self, group: usize, x: &[f32; INT4_GROUP]) {
        match Steps::of(x, 127.0) {
            Steps::NotFinite => self.scales[group] = f32::NAN,
            Steps::None => {}
            Steps::Some { largest, steps } => {
                let whole = x.map(|x| nearest(x * steps));
                self.codes[group] = whole.map(|x| x as i8);
                self.scales[group] = largest / 127.0;
                for (offset, four) in self.offsets[group].iter_mut().zip(whole.as_chunks::<4>().0) {
                    *offset = -8 * four.iter().sum::<i32>();
                }
            }
        }
    }
}

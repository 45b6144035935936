//! Rows of activations as products read them.

use crate::isa::{Isa, MulAdd, Work};
use crate::kind::{INT4_GROUP, WeightKind};
use crate::lanes::LANES;
use crate::pack::{NEGLIGIBLE, Packed};

/// Rows as long as the blocks of a row of weights.
#[derive(Debug)]
pub(crate) enum Activations<'x> {
    /// `[rows, width]`, as they are.
    Plain(std::borrow::Cow<'x, [f32]>, usize),
    /// For [`WeightKind::Int4`].
    Rounded(Rounded),
}

/// One row of [`Rounded`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundedRow<'a> {
    /// `[groups][INT4_GROUP]`
    pub(crate) codes: &'a [[i8; INT4_GROUP]],
    /// `[groups]`
    pub(crate) scales: &'a [f32],
    /// `[groups][LANES]`
    pub(crate) offsets: &'a [[i32; LANES]],
}

/// Activations as 8-bit integers in groups of 32, each with a scale of its own: a value is off by at most 1/254 of the largest of its group.
#[derive(Debug, Default)]
pub(crate) struct Rounded {
    /// Of a row.
    groups: usize,
    codes: Vec<[i8; INT4_GROUP]>,
    scales: Vec<f32>,
    /// Weights are stored with 8 added: what that adds to the product of each lane's four neighbours, taken back.
    offsets: Vec<[i32; LANES]>,
}

impl<'x> Activations<'x> {
    /// `x [rows, columns]` for products with `packed`.
    pub(crate) fn new(isa: Isa, packed: &Packed, x: &'x [f32]) -> Self {
        let (columns, width) = (packed.columns, packed.blocks * packed.kind.block());
        if packed.kind == WeightKind::Int4 {
            return Self::Rounded(Rounded::new(isa, columns, width / INT4_GROUP, x));
        }
        if columns == width {
            return Self::Plain(x.into(), width);
        }
        let mut padded = vec![0.0; x.len() / columns * width];
        for (padded, x) in padded.chunks_exact_mut(width).zip(x.chunks_exact(columns)) {
            padded[..columns].copy_from_slice(x);
        }
        Self::Plain(padded.into(), width)
    }

    pub(crate) fn into_owned(self) -> Activations<'static> {
        match self {
            Self::Plain(x, width) => Activations::Plain(x.into_owned().into(), width),
            Self::Rounded(rounded) => Activations::Rounded(rounded),
        }
    }

    /// Rows.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Plain(x, width) => x.len() / width,
            Self::Rounded(rounded) => rounded.scales.len() / rounded.groups,
        }
    }
}

impl Rounded {
    fn new(isa: Isa, columns: usize, groups: usize, x: &[f32]) -> Self {
        let mut rounded = Self { groups, ..Self::default() };
        for row in x.chunks_exact(columns) {
            for group in 0..groups {
                let start = (group * INT4_GROUP).min(columns);
                let own = &row[start..(start + INT4_GROUP).min(columns)];
                let mut padded = [0.0; INT4_GROUP];
                padded[..own.len()].copy_from_slice(own);
                let (codes, scale) = isa.run(Round(padded));
                rounded.codes.push(codes);
                rounded.scales.push(scale);
                rounded.offsets.push(offsets(&codes));
            }
        }
        rounded
    }

    pub(crate) fn row(&self, row: usize) -> RoundedRow<'_> {
        let range = row * self.groups..(row + 1) * self.groups;
        RoundedRow {
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

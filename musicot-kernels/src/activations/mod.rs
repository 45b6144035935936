//! Rows of activations as products read them.

mod bytes;
mod words;

pub(crate) use bytes::{ByteRow, Bytes};
pub(crate) use words::{WORD_GROUP, WordRow, Words};

use crate::isa::Isa;
use crate::kind::{INT4_GROUP, WeightKind};
use crate::pack::{NEGLIGIBLE, Packed};

/// Rows as long as the blocks of a row of weights.
#[derive(Debug)]
pub(crate) enum Activations<'x> {
    /// `[rows, width]`, as they are.
    Plain(std::borrow::Cow<'x, [f32]>, usize),
    /// For [`WeightKind::Int8`].
    Words(Words),
    /// For [`WeightKind::Int4`].
    Bytes(Bytes),
}

impl<'x> Activations<'x> {
    /// `x [rows, columns]` for products with `packed`.
    pub(crate) fn new(isa: Isa, packed: &Packed, x: &'x [f32]) -> Self {
        let (columns, width) = (packed.columns, packed.blocks * packed.kind.block());
        match packed.kind {
            WeightKind::Int4 => Self::Bytes(Bytes::new(isa, columns, width / INT4_GROUP, x)),
            WeightKind::Int8 => Self::Words(Words::new(isa, columns, packed.blocks, x)),
            WeightKind::F32 | WeightKind::Bf16 if columns == width => Self::Plain(x.into(), width),
            WeightKind::F32 | WeightKind::Bf16 => {
                let mut padded = vec![0.0; x.len() / columns * width];
                for (padded, x) in padded.chunks_exact_mut(width).zip(x.chunks_exact(columns)) {
                    padded[..columns].copy_from_slice(x);
                }
                Self::Plain(padded.into(), width)
            }
        }
    }

    pub(crate) fn into_owned(self) -> Activations<'static> {
        match self {
            Self::Plain(x, width) => Activations::Plain(x.into_owned().into(), width),
            Self::Words(words) => Activations::Words(words),
            Self::Bytes(bytes) => Activations::Bytes(bytes),
        }
    }

    /// Rows.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Plain(x, width) => x.len() / width,
            Self::Words(words) => words.count(),
            Self::Bytes(bytes) => bytes.count(),
        }
    }
}

/// The largest magnitude of a group of activations and what each is multiplied with so that it becomes `most`.
enum Steps {
    /// A value that is none would be lost among integers.
    NotFinite,
    /// All are as good as 0.
    None,
    Some {
        largest: f32,
        steps: f32,
    },
}

impl Steps {
    #[inline(always)]
    fn of(group: &[f32], most: f32) -> Self {
        // Magnitudes are in the order of their bits, infinity and what is no number above all others: one comparison of integers for both.
        let bits = group.iter().fold(0, |most, x| most.max(x.abs().to_bits()));
        let largest = f32::from_bits(bits);
        if !largest.is_finite() {
            return Self::NotFinite;
        }
        if largest < NEGLIGIBLE { Self::None } else { Self::Some { largest, steps: most / largest } }
    }
}

/// The nearest integer, of two the even one, of a magnitude below 2^22: adding 1.5 * 2^23 leaves it in the lowest bits.
#[inline(always)]
fn nearest(x: f32) -> i32 {
    const ROUND: f32 = 12_582_912.0;
    (x + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32
}

//! How weights are stored.

/// Type of stored weights. Activations, sums and results are f32, but for what the kinds of integers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WeightKind {
    /// As they are: 4 bytes each.
    #[default]
    F32,
    /// bfloat16, 2 bytes each. A weight `w` is off by at most `2^-8 |w|` (f32's range, 8 bits of precision, rounded to the nearest even).
    Bf16,
    /// 8-bit integers, 1 byte each, and a scale per row: `max |row| / 127`. A weight is off by at most half a scale, `max |row| / 254`.
    /// Activations are rounded to 16 bits in groups of 256, by at most `max |group| / 65278`, so that the products within a group are those of integers.
    Int8,
    /// 4-bit integers in groups of 32 along the input with an f32 scale each, 5 bits per weight in all: `max |group| / 7`. A weight is off by
    /// at most half a scale, `max |group| / 14`. Activations are rounded to 8 bits in the same groups, by at most `max |group| / 254`, so that the products within
    /// a group are those of integers.
    Int4,
}

/// Weights that share a scale in [`WeightKind::Int4`].
pub const INT4_GROUP: usize = 32;

impl WeightKind {
    /// All of them, from the most exact to the smallest.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::Int8, Self::Int4];

    /// Bits of a stored weight, without scales.
    pub(crate) fn bits(self) -> usize {
        match self {
            Self::F32 => 32,
            Self::Bf16 => 16,
            Self::Int8 => 8,
            Self::Int4 => 4,
        }
    }

    /// Where an input of a block is: the lane of 32 bits, and the bit within.
    pub(crate) fn place(self, input: usize) -> (usize, usize) {
        match self {
            Self::Int8 => (input / 4, input % 4 * 8),
            Self::Int4 => (input % INT4_GROUP / 4, input % 4 * 8 + input / INT4_GROUP * 4),
            Self::F32 | Self::Bf16 => (input % 8, input / 8 * self.bits()),
        }
    }

    /// Inputs in a block: as many weights as fit into 32 bytes.
    pub(crate) fn block(self) -> usize {
        256 / self.bits()
    }

    /// `f32`, `bf16`, `int8` or `int4`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }
}

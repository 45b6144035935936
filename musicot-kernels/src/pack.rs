//! Weights in the order in which they are read.
//!
//! Four rows make a panel, which is one stream of memory: block by block, and within a block 32 bytes of each row. These 32 bytes are eight
//! lanes of 32 bits; bits `c * BITS..` of lane j hold the weight of input `8 c + j` of the block, so that a shift or a mask of all lanes at once gives eight
//! neighbouring weights. Rows and inputs that fill a panel or a block up are zeros.
//!
//! Products of int8 and int4 are made of integers, four neighbouring inputs at a time. The 32 bytes of int8 are the inputs of the block in their order, with 128
//! added to each code, so that none is negative. Of int4 the lower nibbles are the first 32 inputs of the block, a group with one scale, the upper nibbles the
//! other 32, with 8 added.

use crate::error::{Error, Result};
use crate::kind::{INT4_GROUP, WeightKind};

/// Rows of a panel.
pub(crate) const PANEL: usize = 4;

/// 32 bytes of a row.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(32))]
pub(crate) struct Lanes(pub(crate) [u32; 8]);

/// A packed matrix.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) kind: WeightKind,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Blocks of a row.
    pub(crate) blocks: usize,
    lanes: Vec<Lanes>,
    /// int8: one per row. int4: per panel, block and group of the block, one per row of the panel.
    scales: Vec<f32>,
}

/// Rows and groups whose largest weight is below it are stored as zeros: their scales would leave the range of f32.
pub(crate) const NEGLIGIBLE: f32 = 1e-20;

impl Packed {
    pub(crate) fn new(weights: &[f32], rows: usize, columns: usize, kind: WeightKind) -> Result<Self> {
        let blocks = columns.div_ceil(kind.block());
        let panels = rows.div_ceil(PANEL);
        let scales = match kind {
            WeightKind::F32 | WeightKind::Bf16 => 0,
            WeightKind::Int8 => panels * PANEL,
            WeightKind::Int4 => panels * blocks * GROUPS * PANEL,
        };
        let lanes = vec![Lanes::default(); panels * PANEL * blocks];
        let mut packed = Self { kind, rows, columns, blocks, lanes, scales: vec![0.0; scales] };
        for (row, weights) in weights.chunks_exact(columns).enumerate() {
            packed.put_row(row, weights)?;
        }
        Ok(packed)
    }

    /// Panels.
    pub(crate) fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    /// Bytes of weights and scales.
    pub(crate) fn bytes(&self) -> usize {
        self.lanes.len() * size_of::<Lanes>() + self.scales.len() * size_of::<f32>()
    }

    /// `[blocks][PANEL]`.
    pub(crate) fn panel(&self, panel: usize) -> &[Lanes] {
        let size = self.blocks * PANEL;
        &self.lanes[panel * size..(panel + 1) * size]
    }

    /// int8: `[PANEL]`; int4: `[blocks][GROUPS][PANEL]`; otherwise empty.
    pub(crate) fn panel_scales(&self, panel: usize) -> &[f32] {
        let size = self.scales.len() / self.panels();
        &self.scales[panel * size..(panel + 1) * size]
    }

    fn put_row(&mut self, row: usize, weights: &[f32]) -> Result<()> {
        match self.kind {
            WeightKind::F32 => self.put(row, 0, weights, f32::to_bits),
            WeightKind::Bf16 => self.put(row, 0, weights, bf16_bits),
            WeightKind::Int8 => {
                let scale = scale(weights, 127.0).ok_or(Error::NotFinite { row })?;
                self.scales[row] = scale;
                self.put(row, 0, weights, |weight| code(weight, scale, 127.0).wrapping_add(128));
            }
            WeightKind::Int4 => {
                for (group, weights) in weights.chunks(INT4_GROUP).enumerate() {
                    let scale = scale(weights, 7.0).ok_or(Error::NotFinite { row })?;
                    let place = (row / PANEL * self.blocks * GROUPS + group) * PANEL + row % PANEL;
                    self.scales[place] = scale;
                    self.put(row, group * INT4_GROUP, weights, |weight| {
                        code(weight, scale, 7.0).wrapping_add(8)
                    });
                }
            }
        }
        Ok(())
    }

    /// Puts the codes of weights from input `start` on.
    fn put(&mut self, row: usize, start: usize, weights: &[f32], code: impl Fn(f32) -> u32) {
        let (block, bits) = (self.kind.block(), self.kind.bits());
        let mask = u32::MAX >> (32 - bits);
        for (input, weight) in (start..).zip(weights) {
            let lanes = (row / PANEL * self.blocks + input / block) * PANEL + row % PANEL;
            let (lane, shift) = self.kind.place(input % block);
            self.lanes[lanes].0[lane] |= (code(*weight) & mask) << shift;
        }
    }
}

/// Groups of int4 in a block.
pub(crate) const GROUPS: usize = 2;

/// The upper half of an f32, rounded to the nearest, ties to even.
fn bf16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_nan() {
        // Rounding could make an infinity of it.
        return bits >> 16 | 0x40;
    }
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

/// The step that takes the largest of some weights to `most`; `None` where one is not finite.
fn scale(weights: &[f32], most: f32) -> Option<f32> {
    if weights.iter().any(|weight| !weight.is_finite()) {
        return None;
    }
    let largest = weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
    Some(if largest < NEGLIGIBLE { 0.0 } else { largest / most })
}

/// The integer nearest to `weight / scale`, in two's complement.
fn code(weight: f32, scale: f32, most: f32) -> u32 {
    if scale == 0.0 { 0 } else { (weight / scale).round().clamp(-most, most) as i32 as u32 }
}

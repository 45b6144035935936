//! Products panel by panel, by the instructions that a machine has.

use std::array::from_fn;
use std::ops::Range;

use crate::activations::{Activations, ByteRow, WordRow};
use crate::isa::{Isa, Kind};
use crate::pack::{Lanes, PANEL, Packed};
use crate::portable;
use crate::{avx2, avx512};

/// A matrix and the instructions to multiply it with.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) packed: &'a Packed,
    pub(crate) isa: Isa,
}

impl<'a> Product<'a> {
    /// Lanes and scales of a panel.
    fn weights(self, panel: usize) -> (&'a [Lanes], &'a [f32]) {
        (self.packed.panel(panel), self.packed.panel_scales(panel))
    }

    /// `[batch, rows.len()]`.
    pub(crate) fn collect(self, rows: Range<usize>, x: &Activations<'_>) -> Vec<f32> {
        let stride = rows.len();
        let mut sums = vec![0.0; x.count() * stride];
        self.run(rows, x, |row, at, own| copy(&mut sums, row * stride + at, own));
        sums
    }

    /// Calls `put` with an activation row, an output counted from the first of `rows`, and its product and those of the next outputs.
    pub(crate) fn run(
        self,
        rows: Range<usize>,
        x: &Activations<'_>,
        mut put: impl FnMut(usize, usize, &[f32]),
    ) {
        for panel in rows.start / PANEL..rows.end.div_ceil(PANEL) {
            let mut put_row = |row: usize, first: usize, sums: &[f32]| {
                // Without the outputs of the panel that are none of `rows`.
                let output = panel * PANEL + first;
                let (start, end) = (output.max(rows.start), (output + sums.len()).min(rows.end));
                if start < end {
                    put(row, start - rows.start, &sums[start - output..end - output]);
                }
            };
            // A panel stays in the caches while the rows of activations pass by it.
            let most = self.most_rows();
            for start in (0..x.count()).step_by(most) {
                let tile = start..x.count().min(start + most);
                let put = |row: usize, first: usize, sums: &[f32]| put_row(start + row, first, sums);
                match x {
                    Activations::Plain(x, width) => {
                        self.tile(panel, &|row| &x[(start + row) * width..][..*width], tile.len(), put);
                    }
                    Activations::Words(x) => {
                        self.tile_int8(panel, &|row| x.row(start + row), tile.len(), put);
                    }
                    Activations::Bytes(x) => {
                        self.tile_int4(panel, &|row| x.row(start + row), tile.len(), put);
                    }
                }
            }
        }
    }

    /// Rows of activations that are taken at once.
    fn most_rows(self) -> usize {
        match self.isa.0 {
            Kind::Avx512(_) => avx512::MOST_ROWS,
            Kind::Avx2(_) | Kind::Portable => 4,
        }
    }

    /// One panel and `count` rows of activations, at most as many as are taken at once; of f32 and bf16.
    fn tile<'x>(
        self,
        panel: usize,
        x: &impl Fn(usize) -> &'x [f32],
        count: usize,
        mut put: impl FnMut(usize, usize, &[f32]),
    ) {
        let (kind, weights) = (self.packed.kind, self.packed.panel(panel));
        let avx2 = match self.isa.0 {
            // Two registers for a panel's sums are too few chains of additions to keep the units busy: on Zen 4 AVX2 is faster by a tenth.
            Kind::Avx512(token) if count <= 2 => token.avx2(),
            Kind::Avx512(token) => {
                return match count {
                    3 => put_all(avx512::panel::<3>(token, kind, weights, from_fn(x)), 0, put),
                    4 => put_all(avx512::panel::<4>(token, kind, weights, from_fn(x)), 0, put),
                    5 => put_all(avx512::panel::<5>(token, kind, weights, from_fn(x)), 0, put),
                    6 => put_all(avx512::panel::<6>(token, kind, weights, from_fn(x)), 0, put),
                    7 => put_all(avx512::panel::<7>(token, kind, weights, from_fn(x)), 0, put),
                    _ => put_all(avx512::panel::<8>(token, kind, weights, from_fn(x)), 0, put),
                };
            }
            Kind::Avx2(token) => token,
            Kind::Portable => {
                return (0..count).for_each(|row| put(row, 0, &portable::panel(kind, weights, x(row))));
            }
        };
        // Two to three sums per row of weights hide the latency of an addition; four times four would not fit into the registers.
        match count {
            1 => put_all(avx2::panel::<PANEL, 1>(avx2, kind, weights, 0, from_fn(x)), 0, put),
            2 => put_all(avx2::panel::<PANEL, 2>(avx2, kind, weights, 0, from_fn(x)), 0, put),
            3 => put_all(avx2::panel::<PANEL, 3>(avx2, kind, weights, 0, from_fn(x)), 0, put),
            _ => {
                put_all(avx2::panel::<2, 4>(avx2, kind, weights, 0, from_fn(x)), 0, &mut put);
                put_all(avx2::panel::<2, 4>(avx2, kind, weights, 2, from_fn(x)), 2, &mut put);
            }
        }
    }

    /// The same for int8.
    fn tile_int8<'x>(
        self,
        panel: usize,
        x: &impl Fn(usize) -> WordRow<'x>,
        count: usize,
        mut put: impl FnMut(usize, usize, &[f32]),
    ) {
        let (codes, scales) = self.weights(panel);
        // The sums of four rows, of integers and of f32, fit into the registers.
        for first in (0..count).step_by(4) {
            let mut put = |row: usize, at: usize, sums: &[f32]| put(first + row, at, sums);
            let (x, rows) = (|row| x(first + row), (count - first).min(4));
            match (self.isa.0, rows) {
                (Kind::Avx512(token), 1) => {
                    put_scaled(avx512::panel_int8::<1>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Avx512(token), 2) => {
                    put_scaled(avx512::panel_int8::<2>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Avx512(token), 3) => {
                    put_scaled(avx512::panel_int8::<3>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Avx512(token), _) => {
                    put_scaled(avx512::panel_int8::<4>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Avx2(token), 1) => {
                    put_scaled(avx2::panel_int8::<1>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Avx2(token), 2) => {
                    put_scaled(avx2::panel_int8::<2>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Avx2(token), 3) => {
                    put_scaled(avx2::panel_int8::<3>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Avx2(token), _) => {
                    put_scaled(avx2::panel_int8::<4>(token, codes, from_fn(x)), scales, put)
                }
                (Kind::Portable, rows) => (0..rows).for_each(|row| {
                    let sums = [portable::panel_int8(codes, x(row))];
                    put_scaled(sums, scales, |_, at, sums| put(row, at, sums));
                }),
            }
        }
    }

    /// The same for int4.
    fn tile_int4<'x>(
        self,
        panel: usize,
        x: &impl Fn(usize) -> ByteRow<'x>,
        count: usize,
        mut put: impl FnMut(usize, usize, &[f32]),
    ) {
        let weights = self.weights(panel);
        // Two rows share what is unpacked, and their sums fit into the registers.
        for first in (0..count).step_by(2) {
            let put = |row: usize, at: usize, sums: &[f32]| put(first + row, at, sums);
            let is_pair = first + 1 < count;
            match self.isa.0 {
                Kind::Avx512(token) if is_pair => {
                    put_all(avx512::panel_int4(token, weights, [x(first), x(first + 1)]), 0, put);
                }
                Kind::Avx512(token) => put_all(avx512::panel_int4(token, weights, [x(first)]), 0, put),
                Kind::Avx2(token) if is_pair => {
                    put_all(avx2::panel_int4(token, weights, [x(first), x(first + 1)]), 0, put);
                }
                Kind::Avx2(token) => put_all(avx2::panel_int4(token, weights, [x(first)]), 0, put),
                Kind::Portable => {
                    let sums = |row| portable::panel_int4(weights.0, weights.1, x(row));
                    let mut put = put;
                    (first..count.min(first + 2)).for_each(|row| put(row - first, 0, &sums(row)));
                }
            }
        }
    }
}

fn put_all<const ROWS: usize, const B: usize>(
    sums: [[f32; ROWS]; B],
    first: usize,
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    for (row, sums) in sums.iter().enumerate() {
        put(row, first, sums);
    }
}

/// The same of codes whose rows have a scale each.
fn put_scaled<const B: usize>(
    mut sums: [[f32; PANEL]; B],
    scales: &[f32],
    put: impl FnMut(usize, usize, &[f32]),
) {
    for sums in &mut sums {
        sums.iter_mut().zip(scales).for_each(|(sum, scale)| *sum *= scale);
    }
    put_all(sums, 0, put);
}

/// Puts sums at their place.
pub(crate) fn copy(y: &mut [f32], start: usize, sums: &[f32]) {
    y[start..start + sums.len()].copy_from_slice(sums);
}

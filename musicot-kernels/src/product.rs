//! Products panel by panel, by the instructions that a machine has.

use std::ops::Range;

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

    /// Values of a padded row of activations.
    pub(crate) fn width(self) -> usize {
        self.packed.blocks * self.packed.kind.block()
    }

    /// `[batch, rows.len()]`.
    pub(crate) fn collect(self, rows: Range<usize>, x: &[f32]) -> Vec<f32> {
        let stride = rows.len();
        let mut sums = vec![0.0; x.len() / self.width() * stride];
        self.run(rows, x, |row, at, own| copy(&mut sums, row * stride + at, own));
        sums
    }

    /// Calls `put` with an activation row, an output counted from the first of `rows`, and its product and those of the next outputs.
    pub(crate) fn run(self, rows: Range<usize>, x: &[f32], mut put: impl FnMut(usize, usize, &[f32])) {
        let width = self.width();
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
            for (tile, x) in x.chunks(most * width).enumerate() {
                self.tile(panel, x, |row, first, sums| put_row(most * tile + row, first, sums));
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

    /// One panel and at most as many rows of activations as are taken at once.
    fn tile(self, panel: usize, x: &[f32], put: impl FnMut(usize, usize, &[f32])) {
        match self.isa.0 {
            Kind::Avx512(token) => self.tile_avx512(token, panel, x, put),
            Kind::Avx2(token) => self.tile_avx2(token, panel, x, put),
            Kind::Portable => self.tile_portable(panel, x, put),
        }
    }

    fn tile_portable(self, panel: usize, x: &[f32], mut put: impl FnMut(usize, usize, &[f32])) {
        let (lanes, scales) = self.weights(panel);
        for (row, x) in x.chunks_exact(self.width()).enumerate() {
            put(row, 0, &portable::panel(self.packed.kind, lanes, scales, x));
        }
    }

    fn tile_avx512(
        self,
        token: avx512::Token,
        panel: usize,
        xs: &[f32],
        put: impl FnMut(usize, usize, &[f32]),
    ) {
        let (kind, width, weights) = (self.packed.kind, self.width(), self.weights(panel));
        let count = xs.len() / width;
        let x = |row: usize| &xs[row * width..(row + 1) * width];
        match count {
            // Two registers for a panel's sums are too few chains of additions to keep the units busy: on Zen 4 AVX2 is faster by a tenth.
            0..=2 => self.tile_avx2(token.avx2(), panel, xs, put),
            3 => put_all(avx512::panel::<3>(token, kind, weights, std::array::from_fn(x)), 0, put),
            4 => put_all(avx512::panel::<4>(token, kind, weights, std::array::from_fn(x)), 0, put),
            5 => put_all(avx512::panel::<5>(token, kind, weights, std::array::from_fn(x)), 0, put),
            6 => put_all(avx512::panel::<6>(token, kind, weights, std::array::from_fn(x)), 0, put),
            7 => put_all(avx512::panel::<7>(token, kind, weights, std::array::from_fn(x)), 0, put),
            _ => put_all(avx512::panel::<8>(token, kind, weights, std::array::from_fn(x)), 0, put),
        }
    }

    fn tile_avx2(
        self,
        token: avx2::Token,
        panel: usize,
        x: &[f32],
        mut put: impl FnMut(usize, usize, &[f32]),
    ) {
        let (kind, width, weights) = (self.packed.kind, self.width(), self.weights(panel));
        let count = x.len() / width;
        let x = |row: usize| &x[row * width..(row + 1) * width];
        // Two to three sums per row of weights hide the latency of an addition; four times four would not fit into the registers.
        match count {
            1 => put_all(avx2::panel::<PANEL, 1>(token, kind, weights, 0, [x(0)]), 0, put),
            2 => put_all(avx2::panel::<PANEL, 2>(token, kind, weights, 0, [x(0), x(1)]), 0, put),
            3 => put_all(avx2::panel::<PANEL, 3>(token, kind, weights, 0, [x(0), x(1), x(2)]), 0, put),
            _ => {
                let x = [x(0), x(1), x(2), x(3)];
                put_all(avx2::panel::<2, 4>(token, kind, weights, 0, x), 0, &mut put);
                put_all(avx2::panel::<2, 4>(token, kind, weights, 2, x), 2, &mut put);
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

/// Puts sums at their place.
pub(crate) fn copy(y: &mut [f32], start: usize, sums: &[f32]) {
    y[start..start + sums.len()].copy_from_slice(sums);
}

//! The gate of SwiGLU (Shazeer, 2020).

use crate::error::{Error, Result, expect_len};
use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::exp;

/// `silu(gate) * up` for rows `[gate, up]` of `2 * width` values, into `y [rows, width]`; `silu(x) = x / (1 + e^-x)`.
///
/// # Errors
/// [`Error::Shape`].
pub fn silu_times(isa: Isa, gate_and_up: &[f32], width: usize, y: &mut [f32]) -> Result<()> {
    if width == 0 || !y.len().is_multiple_of(width) {
        return Err(Error::shape("results", format!("a multiple of {width}"), y.len()));
    }
    expect_len("gates and values", 2 * y.len(), gate_and_up.len())?;
    isa.run(Gate { gate_and_up, width, y });
    Ok(())
}

struct Gate<'a> {
    gate_and_up: &'a [f32],
    width: usize,
    y: &'a mut [f32],
}

impl Work for Gate<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let rows = self.gate_and_up.chunks_exact(2 * self.width);
        for (row, y) in rows.zip(self.y.chunks_exact_mut(self.width)) {
            let (gate, up) = row.split_at(self.width);
            for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
                *y = gate / (1.0 + exp::<M>(-gate)) * up;
            }
        }
    }
}

//! Exact search for the nearest codeword.

use musicot_core::Result;
use musicot_core::tch::{Kind, Tensor};

/// Values of the score matrix held at once (64 MiB).
pub(crate) const CHUNK_VALUES: i64 = 1 << 24;

/// Index of the nearest codeword (Euclidean) per row, `[rows]` i64; the lowest index among equals.
///
/// `vectors` is `[rows, dim]` and `codebook` `[size, dim]`, both f32. As `|x - e|^2 = |x|^2 - 2 (x.e - |e|^2 / 2)`, the
/// nearest codeword has the largest `x.e - |e|^2 / 2`: one matrix product. Distances that differ by less than its f32
/// rounding count as equal.
pub(crate) fn nearest(vectors: &Tensor, codebook: &Tensor) -> Result<Tensor> {
    let bias =
        codebook.f_square()?.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?.f_mul_scalar(-0.5)?;
    let transposed = codebook.f_transpose(0, 1)?;
    let (rows, size) = (vectors.size()[0], codebook.size()[0]);
    let step = (CHUNK_VALUES / size).max(1);
    let mut found = Vec::new();
    let mut start = 0;
    // At least once, so that no rows give an empty result and not an empty list.
    while start == 0 || start < rows {
        let chunk = vectors.f_narrow(0, start, step.min(rows - start))?;
        // The indices of `max` along rows come a third sooner than those of `argmax`.
        found.push(bias.f_addmm(&chunk, &transposed)?.f_max_dim(1, false)?.1);
        start += step;
    }
    Ok(Tensor::f_cat(&found, 0)?)
}

/// Rows divided by their length; rows of zeros stay zeros.
pub(crate) fn normalize(vectors: &Tensor) -> Result<Tensor> {
    let squares = vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, Kind::Float)?;
    // Clamped before the root, whose gradient at 0 is infinite.
    Ok(vectors.f_div(&squares.f_clamp_min(1e-24)?.f_sqrt()?)?)
}

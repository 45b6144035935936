//! Encoding that looks ahead.

use musicot_core::Result;
use musicot_core::tch::{Kind, Tensor};

use crate::search::CHUNK_VALUES;

/// Codes `[rows, levels]` of rows `[rows, dim]` by beam search, where it comes closer than the `greedy` codes `[rows, levels]`, which
/// stay otherwise. All codebooks `[size, dim]` are f32.
pub(crate) fn improve(rows: &Tensor, codebooks: &[Tensor], greedy: &Tensor, beam: usize) -> Result<Tensor> {
    let (count, size) = (rows.size()[0], codebooks.first().map_or(1, |c| c.size()[0]));
    let step = (CHUNK_VALUES / size / beam as i64).max(1);
    let mut found = Vec::new();
    let mut start = 0;
    // At least once, so that no rows give an empty result and not an empty list.
    while start == 0 || start < count {
        let length = step.min(count - start);
        let (rows, greedy) = (rows.f_narrow(0, start, length)?, greedy.f_narrow(0, start, length)?);
        let codes = search(&rows, codebooks, beam as i64)?;
        let is_closer = error(&rows, codebooks, &codes)?.f_lt_tensor(&error(&rows, codebooks, &greedy)?)?;
        found.push(codes.f_where_self(&is_closer.f_unsqueeze(1)?, &greedy)?);
        start += step;
    }
    Ok(Tensor::f_cat(&found, 0)?)
}

/// Follows the `beam` best partial sums of each row through the levels.
fn search(rows: &Tensor, codebooks: &[Tensor], beam: i64) -> Result<Tensor> {
    let (count, dim) = (rows.size()[0], rows.size()[1]);
    let mut residual = rows.f_unsqueeze(1)?;
    let mut codes = Tensor::f_zeros([count, 1, 0], (Kind::Int64, rows.device()))?;
    for codebook in codebooks {
        let (paths, size) = (residual.size()[1], codebook.size()[0]);
        let products = residual.f_matmul(&codebook.f_transpose(0, 1)?)?.f_mul_scalar(-2.0)?;
        let distances = products.f_add(&squares(codebook)?)?.f_add(&squares(&residual)?.f_unsqueeze(2)?)?;
        let kept = beam.min(paths * size);
        let (_, best) = distances.f_reshape([count, paths * size])?.f_topk(kept, 1, false, true)?;
        let (parent, code) = (best.f_floor_divide_scalar(size)?, best.f_remainder(size)?);
        let words = codebook.f_index_select(0, &code.f_reshape([-1])?)?.f_reshape([count, kept, dim])?;
        residual = descend(&residual, &parent)?.f_sub(&words)?;
        codes = Tensor::f_cat(&[descend(&codes, &parent)?, code.f_unsqueeze(2)?], 2)?;
    }
    let best = squares(&residual)?.f_argmin(1, true)?;
    Ok(descend(&codes, &best)?.f_squeeze_dim(1)?)
}

/// What belongs to the parents `[rows, kept]` of `[rows, paths, width]`: `[rows, kept, width]`.
fn descend(paths: &Tensor, parent: &Tensor) -> Result<Tensor> {
    let index = parent.f_unsqueeze(2)?.f_expand([-1, -1, paths.size()[2]], false)?;
    Ok(paths.f_gather(1, &index, false)?)
}

/// Squared lengths over the last axis.
fn squares(vectors: &Tensor) -> Result<Tensor> {
    Ok(vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), false, Kind::Float)?)
}

/// Squared error per row of decoding `codes` `[rows, levels]`.
fn error(rows: &Tensor, codebooks: &[Tensor], codes: &Tensor) -> Result<Tensor> {
    let mut residual = rows.shallow_clone();
    for (level, codebook) in (0..).zip(codebooks) {
        residual = residual.f_sub(&codebook.f_index_select(0, &codes.f_select(1, level)?)?)?;
    }
    squares(&residual)
}

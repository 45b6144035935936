//! Attention masks: f32 tensors that are added to scores, 0 where a position may be seen.

use musicot_core::tch::{Device, Kind, Tensor};

use crate::Result;

/// Hides a position. Finite, because a row of minus infinities is not a number; so large that the softmax is exactly 0.
const HIDDEN: f64 = -1e30;

/// `[new, visible]`: the last `new` of `visible` positions, each seeing itself and all before it.
pub(crate) fn causal(new: i64, visible: i64, device: Device) -> Result<Tensor> {
    let (row, column) = rows_and_columns(new, visible, device)?;
    additive(&column.f_le_tensor(&row)?)
}

/// `[new, visible]`: each of the last `new` of `visible` positions sees only itself.
pub(crate) fn only_self(new: i64, visible: i64, device: Device) -> Result<Tensor> {
    let (row, column) = rows_and_columns(new, visible, device)?;
    additive(&column.f_eq_tensor(&row)?)
}

/// `[rows, positions, positions]`: causal, and a position behind the first `prefixes[row]` sees those and the latest `window` of the
/// others.
pub(crate) fn windowed(
    prefixes: &[usize],
    positions: usize,
    window: usize,
    device: Device,
) -> Result<Tensor> {
    let prefixes: Vec<i64> = prefixes.iter().map(|prefix| *prefix as i64).collect();
    let prefixes = Tensor::f_from_slice(&prefixes)?.f_to_device(device)?.f_reshape([-1, 1, 1])?;
    let (row, column) = rows_and_columns(positions as i64, positions as i64, device)?;
    let is_near = row.f_sub(&column)?.f_lt(window as i64)?;
    let is_kept = column.f_lt_tensor(&prefixes)?.f_logical_or(&is_near)?;
    additive(&column.f_le_tensor(&row)?.f_logical_and(&is_kept)?)
}

/// `[rows, positions]`: the first `padding[row]` positions are hidden.
pub(crate) fn padding(padding: &[i64], positions: i64, device: Device) -> Result<Tensor> {
    let first = Tensor::f_from_slice(padding)?.f_to_device(device)?.f_unsqueeze(1)?;
    let column = Tensor::f_arange(positions, (Kind::Int64, device))?.f_unsqueeze(0)?;
    additive(&column.f_ge_tensor(&first)?)
}

/// Positions of the rows (the last `new`) as a column, positions of the columns as a row.
fn rows_and_columns(new: i64, visible: i64, device: Device) -> Result<(Tensor, Tensor)> {
    let options = (Kind::Int64, device);
    let row = Tensor::f_arange_start(visible - new, visible, options)?.f_unsqueeze(1)?;
    Ok((row, Tensor::f_arange(visible, options)?.f_unsqueeze(0)?))
}

fn additive(visible: &Tensor) -> Result<Tensor> {
    let zeros = Tensor::f_zeros(visible.size(), (Kind::Float, visible.device()))?;
    Ok(zeros.f_masked_fill(&visible.f_logical_not()?, HIDDEN)?)
}

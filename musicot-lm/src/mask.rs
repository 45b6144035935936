//! Attention masks: f32 tensors that are added to scores, 0 where a position may be seen.

use musicot_core::tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Hides a position. Finite, because a row of minus infinities is not a number; so large that the softmax is exactly 0.
const HIDDEN: f64 = -1e30;

/// `[new, visible]`: the last `new` of `visible` positions, each seeing itself and all before it.
pub(crate) fn causal(new: i64, visible: i64, device: Device) -> Result<Tensor> {
    let (row, column) = rows_and_columns(new, visible, device)?;
    additive(&column.f_le_tensor(&row)?)
}

/// `[batch, 1, new, visible]`: [`causal`] over the last `new` positions without those that `padding [batch, 1, 1, visible]` hides. A
/// padded position sees itself, or its row would have no finite score.
pub(crate) fn causal_after(padding: &Tensor, new: i64) -> Result<Tensor> {
    let visible = padding.size().last().copied().unwrap_or(0);
    let own = only_self(new, visible, padding.device())?;
    Ok(causal(new, visible, padding.device())?.f_add(padding)?.f_maximum(&own)?)
}

/// `[new, visible]`: each of the last `new` of `visible` positions sees only itself.
fn only_self(new: i64, visible: i64, device: Device) -> Result<Tensor> {
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

/// `[rows, 1, 1, positions]`: the first `padding[row]` positions are hidden; `None` where that hides nothing.
pub(crate) fn padding(padding: &[i64], positions: i64, device: Device) -> Result<Option<Tensor>> {
    if padding.iter().all(|pad| *pad == 0) {
        return Ok(None);
    }
    let first = Tensor::f_from_slice(padding)?.f_to_device(device)?.f_unsqueeze(1)?;
    let column = Tensor::f_arange(positions, (Kind::Int64, device))?.f_unsqueeze(0)?;
    Ok(Some(additive(&column.f_ge_tensor(&first)?)?.f_unsqueeze(1)?.f_unsqueeze(1)?))
}

/// A mask in the element type of the scores that it is added to, with the lowest finite value of that type where it was lower.
pub(crate) fn in_kind(mask: &Tensor, kind: Kind) -> Result<Tensor> {
    if !matches!(mask.kind(), Kind::Float | Kind::Double | Kind::BFloat16 | Kind::Half) {
        return Err(Error::input("mask", format!("expected floating-point elements, got {:?}", mask.kind())));
    }
    let lowest = match kind {
        Kind::Half => -65_504.0,
        // The largest bfloat16, 0x7f7f, is an f32 with the lower half empty.
        _ => f64::from(f32::from_bits(0xff7f_0000)),
    };
    Ok(mask.f_clamp_min(lowest)?.f_to_kind(kind)?)
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

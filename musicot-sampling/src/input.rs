//! Checks of what callers hand in.

use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Error as CoreError, shape};

use crate::Result;

/// Checks logits `[batch, vocab]` in f32 and returns both sizes.
pub(crate) fn logits_size(logits: &Tensor) -> Result<(i64, i64)> {
    shape::expect("logits [batch, vocab]", logits, &[shape::ANY, shape::ANY])?;
    shape::expect_kind("logits", logits, Kind::Float)?;
    let size = logits.size();
    if size[1] == 0 {
        return Err(CoreError::input("logits", "the vocabulary is empty").into());
    }
    Ok((size[0], size[1]))
}

/// Checks that there is one entry of `what` per row.
pub(crate) fn expect_rows(what: &str, found: usize, batch: i64) -> Result<()> {
    if found as i64 == batch {
        return Ok(());
    }
    Err(CoreError::input(what, format!("expected one per row, so {batch}, got {found}")).into())
}

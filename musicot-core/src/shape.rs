//! Checks of tensors at the public edge of a crate.

use tch::{Kind, Tensor};

use crate::{Error, Result};

/// Matches any size in [`expect`].
pub const ANY: i64 = -1;

/// Checks the sizes of a tensor; `pattern` holds a size or [`ANY`] per axis.
///
/// # Errors
/// [`Error::Shape`] names `what` and the expected axes.
///
/// ```
/// use musicot_core::{shape, tch::{Device, Kind, Tensor}};
/// let x = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
/// assert!(shape::expect("x", &x, &[shape::ANY, 3]).is_ok());
/// assert!(shape::expect("x", &x, &[shape::ANY, 4]).is_err());
/// ```
pub fn expect(what: &str, tensor: &Tensor, pattern: &[i64]) -> Result<()> {
    let actual = tensor.size();
    let fits = actual.len() == pattern.len() && actual.iter().zip(pattern).all(|(a, p)| *p == ANY || a == p);
    if fits {
        return Ok(());
    }
    let axes: Vec<String> =
        pattern.iter().map(|p| if *p == ANY { "any".to_owned() } else { p.to_string() }).collect();
    Err(Error::Shape { what: what.to_owned(), expected: format!("[{}]", axes.join(", ")), actual })
}

/// Number of elements of a shape that is to be made.
///
/// # Errors
/// [`Error::Input`] names `what` when a size is negative or there are more elements than memory can have.
pub fn count(what: &str, shape: &[i64]) -> Result<usize> {
    let sizes = shape.iter().map(|size| usize::try_from(*size).ok());
    // Of bytes, an f64 has eight.
    let bytes = sizes.clone().try_fold(8_usize, |all, size| all.checked_mul(size?.max(1)));
    match bytes {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(sizes.flatten().product()),
        _ => Err(Error::input(what, format!("expected sizes that memory can hold, got {shape:?}"))),
    }
}

/// Checks the element type of a tensor.
///
/// # Errors
/// [`Error::Input`] names `what` and both types.
pub fn expect_kind(what: &str, tensor: &Tensor, kind: Kind) -> Result<()> {
    let actual = tensor.kind();
    if actual == kind {
        return Ok(());
    }
    Err(Error::input(what, format!("expected elements of type {kind:?}, got {actual:?}")))
}

/// Checks that a floating-point tensor holds neither NaN nor infinity.
///
/// # Errors
/// [`Error::Input`] names `what`.
pub fn expect_finite(what: &str, tensor: &Tensor) -> Result<()> {
    if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0 {
        return Ok(());
    }
    Err(Error::input(what, "holds NaN or infinite values"))
}

/// Checks that the integer elements of a tensor are within `0..end`.
///
/// # Errors
/// [`Error::Input`] names `what`, the range and the extremes found.
pub fn expect_ids(what: &str, tensor: &Tensor, end: i64) -> Result<()> {
    expect_kind(what, tensor, Kind::Int64)?;
    if tensor.numel() == 0 {
        return Ok(());
    }
    let (low, high) = (tensor.f_min()?.f_int64_value(&[])?, tensor.f_max()?.f_int64_value(&[])?);
    if low >= 0 && high < end {
        return Ok(());
    }
    Err(Error::input(what, format!("expected ids in 0..{end}, got {low}..={high}")))
}

//! The conversions between host arrays and tensors.

use ndarray::{ArrayD, ArrayView, Dimension, IxDyn};
use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Copies an f32 array to a tensor of the same shape.
///
/// # Errors
/// libtorch could not allocate.
pub fn from_array<D: Dimension>(array: ArrayView<'_, f32, D>, device: Device) -> Result<Tensor> {
    let shape: Vec<i64> = array.shape().iter().map(|size| *size as i64).collect();
    let contiguous = array.as_standard_layout();
    let values = contiguous.as_slice().ok_or_else(|| Error::input("array", "is not contiguous"))?;
    Ok(Tensor::f_from_slice(values)?.f_reshape(shape)?.f_to_device(device)?)
}

/// Copies a tensor of any shape and numeric type to an f32 array.
///
/// # Errors
/// libtorch could not copy.
pub fn to_array(tensor: &Tensor) -> Result<ArrayD<f32>> {
    let shape: Vec<usize> = tensor.size().iter().map(|size| *size as usize).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), to_vec(tensor)?).map_err(|e| Error::input("tensor", e.to_string()))
}

/// Copies a tensor of any shape and numeric type to f32 values in row-major order.
///
/// # Errors
/// libtorch could not copy.
pub fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0_f32; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel())?;
    Ok(values)
}

/// Copies an integer tensor of any shape to values in row-major order.
///
/// # Errors
/// libtorch could not copy.
pub fn to_ids(tensor: &Tensor) -> Result<Vec<i64>> {
    let flat = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?.f_contiguous()?;
    let mut values = vec![0_i64; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel())?;
    Ok(values)
}

/// A copy with memory of its own.
///
/// # Errors
/// libtorch could not allocate.
pub fn copy(tensor: &Tensor) -> Result<Tensor> {
    let mut copy = tensor.f_detach()?.f_empty_like()?;
    copy.f_copy_(&tensor.f_detach()?)?;
    Ok(copy)
}

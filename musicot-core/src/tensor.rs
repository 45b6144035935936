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
    let mut values = Vec::new();
    append(tensor, &mut values)?;
    Ok(values)
}

/// As [`to_vec`], behind what `values` already holds.
///
/// # Errors
/// libtorch could not copy.
pub fn append(tensor: &Tensor, values: &mut Vec<f32>) -> Result<()> {
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let start = values.len();
    values.resize(start + flat.numel(), 0.0);
    flat.f_copy_data(&mut values[start..], flat.numel())?;
    Ok(())
}

/// Copies an integer tensor of any shape to values in row-major order.
///
/// # Errors
/// [`Error::Input`] when the elements are not integers; libtorch could not copy.
pub fn to_ids(tensor: &Tensor) -> Result<Vec<i64>> {
    if !matches!(tensor.kind(), Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8 | Kind::Bool)
    {
        return Err(Error::input("ids", format!("expected integer elements, got {:?}", tensor.kind())));
    }
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

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn arrays_go_there_and_back_whatever_their_layout() {
        let array = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (i * 12 + j * 4 + k) as f32);
        for view in
            [array.view(), array.view().permuted_axes([2, 0, 1]), array.slice(ndarray::s![.., ..;2, 1..3])]
        {
            let tensor = from_array(view, Device::Cpu).unwrap();
            assert_eq!(to_array(&tensor).unwrap(), view.to_owned().into_dyn());
        }
        let scalar = from_array(ndarray::arr0(3.0).view(), Device::Cpu).unwrap();
        assert_eq!((scalar.dim(), to_vec(&scalar).unwrap()), (0, vec![3.0]));
        let empty = from_array(ndarray::Array2::zeros((0, 5)).view(), Device::Cpu).unwrap();
        assert_eq!((empty.size(), to_vec(&empty).unwrap()), (vec![0, 5], vec![]));
    }

    #[test]
    fn strided_tensors_are_read_in_order() {
        let tensor = from_array(array![[1.0, 2.0], [3.0, 4.0]].view(), Device::Cpu).unwrap().transpose(0, 1);
        assert_eq!(to_vec(&tensor).unwrap(), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(to_ids(&tensor.to_kind(Kind::Int)).unwrap(), [1, 3, 2, 4]);
        assert!(to_ids(&tensor).is_err());
    }

    #[test]
    fn a_copy_has_its_own_memory() {
        let tensor = Tensor::from_slice(&[1_f32, 2.0]);
        let same = copy(&tensor).unwrap();
        let _ = tensor.shallow_clone().fill_(9.0);
        assert_eq!(to_vec(&same).unwrap(), [1.0, 2.0]);
    }
}

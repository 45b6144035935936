//! One mapped safetensors file.

use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::TensorInfo;
use crate::{Error, Result};

/// Suffix of the row scales of tensors stored as int8; see [`crate::Storage::Int8`].
pub(super) const SCALE_SUFFIX: &str = "#scale";

/// Values that are read at once into a tensor that is there.
const MOST_VALUES: i64 = 1 << 18;

/// A checked header and the mapped data behind it.
#[derive(Debug)]
pub(super) struct SafetensorsFile {
    pub(super) map: Mmap,
    /// Bytes before the tensors' data.
    header: usize,
    metadata: Metadata,
}

impl SafetensorsFile {
    pub(super) fn open(path: &Path, map: Mmap) -> Result<Self> {
        // This checks that the tensors cover the file exactly, and each its shape exactly.
        let parsed = SafeTensors::read_metadata(&map);
        let (length, metadata) =
            parsed.map_err(|e| Error::format(path, format!("not a whole safetensors file: {e}")))?;
        // The header's length comes after the 8 bytes that hold it.
        let file = Self { map, header: length + 8, metadata };
        file.check(path)?;
        Ok(file)
    }

    /// What the format leaves open: sizes that libtorch can hold, and scales that fit their rows.
    fn check(&self, path: &Path) -> Result<()> {
        for name in self.metadata.offset_keys() {
            let Some(info) = self.metadata.info(&name) else { continue };
            if sizes(&info.shape).is_none() {
                return Err(Error::format(
                    path,
                    format!("tensor `{name}`: shape {:?} is too large", info.shape),
                ));
            }
            if !self.is_quantized(&name) {
                continue;
            }
            let scale = self.metadata.info(&scale_name(&name));
            if !scale.is_some_and(|s| {
                s.dtype == Dtype::F32 && s.shape.len() == 1 && s.shape.first() == info.shape.first()
            }) {
                let rows = info.shape.first().map_or_else(|| "none".to_owned(), usize::to_string);
                let reason =
                    format!("tensor `{name}{SCALE_SUFFIX}`: expected one F32 per row (rows: {rows})");
                return Err(Error::format(path, reason));
            }
        }
        Ok(())
    }

    /// Names of the tensors without the scales.
    pub(super) fn names(&self) -> Vec<String> {
        let is_scale =
            |name: &str| name.strip_suffix(SCALE_SUFFIX).is_some_and(|owner| self.is_quantized(owner));
        self.metadata.offset_keys().into_iter().filter(|name| !is_scale(name)).collect()
    }

    /// Whether there is such an entry, be it a tensor or the scales of one.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// `None` when there is no such tensor, or libtorch lacks its element type.
    pub(super) fn info(&self, name: &str) -> Option<TensorInfo> {
        let kind =
            if self.is_quantized(name) { Kind::Float } else { kind_of(self.metadata.info(name)?.dtype)? };
        Some(TensorInfo { shape: self.shape(name)?, kind })
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<i64>> {
        sizes(&self.metadata.info(name)?.shape)
    }

    /// Element type as the file calls it.
    pub(super) fn dtype_name(&self, name: &str) -> Option<String> {
        Some(self.metadata.info(name)?.dtype.to_string())
    }

    /// Copies a tensor to the host; int8 rows become f32.
    pub(super) fn tensor(&self, path: &Path, name: &str) -> Result<Tensor> {
        self.rows(path, name, None)
    }

    /// Copies a tensor into one of the same shape, a few rows at a time. Tensors that are made and dropped between others that stay
    /// leave holes in the heap, which add up to more than the weights; small ones do not.
    pub(super) fn read_into(&self, path: &Path, name: &str, target: &Tensor) -> Result<()> {
        let rows = target.size().first().copied().unwrap_or(0);
        let step = (MOST_VALUES * rows / (target.numel() as i64).max(1)).max(1);
        if step >= rows {
            target.shallow_clone().f_copy_(&self.tensor(path, name)?)?;
            return Ok(());
        }
        for start in (0..rows).step_by(step as usize) {
            let some = start as usize..rows.min(start + step) as usize;
            let mut into = target.f_narrow(0, start, some.len() as i64)?;
            into.f_copy_(&self.rows(path, name, Some(some))?)?;
        }
        Ok(())
    }

    /// All rows, or some along the first axis.
    fn rows(&self, path: &Path, name: &str, some: Option<Range<usize>>) -> Result<Tensor> {
        let stored = self.stored(path, name, some.clone())?;
        if !self.is_quantized(name) {
            return Ok(stored);
        }
        dequantize(&stored, &self.stored(path, &scale_name(name), some)?)
    }

    /// The texts of the header.
    pub(super) fn metadata(&self) -> Map<String, Value> {
        let texts = self.metadata.metadata().iter().flatten();
        texts.map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect()
    }

    fn is_quantized(&self, name: &str) -> bool {
        let is_int8 = self.metadata.info(name).is_some_and(|info| info.dtype == Dtype::I8);
        is_int8 && self.metadata.info(&scale_name(name)).is_some()
    }

    fn stored(&self, path: &Path, name: &str, some: Option<Range<usize>>) -> Result<Tensor> {
        let missing = || Error::format(path, format!("tensor `{name}` is not readable"));
        let info = self.metadata.info(name).ok_or_else(missing)?;
        let kind = kind_of(info.dtype).ok_or_else(|| {
            Error::format(path, format!("tensor `{name}`: element type {} is not supported", info.dtype))
        })?;
        let (mut start, mut end) = info.data_offsets;
        let mut shape = sizes(&info.shape).ok_or_else(missing)?;
        if let (Some(some), Some(rows)) = (some, shape.first_mut()) {
            let row = (end - start) / usize::try_from(*rows).unwrap_or(1).max(1);
            (start, end) = (start + some.start * row, start + some.end * row);
            *rows = some.len() as i64;
        }
        let bytes = self.map.get(self.header + start..self.header + end).ok_or_else(missing)?;
        Ok(Tensor::f_from_data_size(bytes, &shape, kind)?)
    }
}

/// int8 `[rows, ..]` times f32 `[rows]`.
fn dequantize(stored: &Tensor, scale: &Tensor) -> Result<Tensor> {
    let column: Vec<i64> =
        stored.size().iter().enumerate().map(|(axis, size)| if axis == 0 { *size } else { 1 }).collect();
    Ok(stored.f_to_kind(Kind::Float)?.f_mul(&scale.f_reshape(column)?)?)
}

pub(super) fn scale_name(name: &str) -> String {
    format!("{name}{SCALE_SUFFIX}")
}

/// A shape as libtorch wants it; `None` when its number of elements (empty axes aside) is beyond i64.
fn sizes(shape: &[usize]) -> Option<Vec<i64>> {
    shape.iter().try_fold(1_i64, |all, size| all.checked_mul(i64::try_from((*size).max(1)).ok()?))?;
    shape.iter().map(|size| i64::try_from(*size).ok()).collect()
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

//! Writing safetensors files, atomically and with the same bytes for the same tensors.

use std::io::Write;
use std::path::Path;

use safetensors::{Dtype, View};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::safetensors::{SCALE_SUFFIX, scale_name};
use crate::files::write_atomic;
use crate::{Error, Result, shape};

/// Element type of floating-point tensors on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Storage {
    /// As they are in memory.
    #[default]
    Native,
    /// bfloat16.
    Bf16,
    /// Matrices (two axes and more) as int8 with one f32 scale per row (index of the first axis) in `NAME#scale`, so that a value is
    /// off by half a scale at most; vectors and scalars as bfloat16.
    /// [`super::Checkpoint`] reads them back as f32.
    Int8,
}

/// Writes named tensors to a safetensors file; the same tensors give the same bytes.
///
/// # Errors
/// [`Error::Input`] for an element type safetensors lacks, a name given twice or ending in `#scale`, and for
/// [`Storage::Int8`] of values that are not finite; [`Error::Io`] names the file. Nothing half-written is left.
pub fn write(path: impl AsRef<Path>, named: &[(String, Tensor)], storage: Storage) -> Result<()> {
    let path = path.as_ref();
    let mut stored = Vec::new();
    for (name, tensor) in named {
        expect_name(name)?;
        store(name, &tensor.f_detach()?.f_to_device(Device::Cpu)?, storage, &mut stored)?;
    }
    stored.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = stored.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::input(&pair[0].0, "is given twice"));
    }
    let bytes = safetensors::serialize(stored, None).map_err(|e| Error::format(path, e.to_string()))?;
    write_atomic(path, |file| file.write_all(&bytes))
}

/// Refuses names that a quantised tensor's scales could have.
pub(crate) fn expect_name(name: &str) -> Result<()> {
    if name.ends_with(SCALE_SUFFIX) {
        return Err(Error::input(name, format!("names ending in `{SCALE_SUFFIX}` are kept for int8 scales")));
    }
    Ok(())
}

fn store(name: &str, tensor: &Tensor, storage: Storage, out: &mut Vec<(String, Bytes)>) -> Result<()> {
    let is_float = matches!(tensor.kind(), Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16);
    match storage {
        Storage::Int8 if is_float && tensor.dim() >= 2 && tensor.numel() > 0 => {
            let (quantized, scale) = quantize(name, tensor)?;
            out.push((name.to_owned(), Bytes::new(name, &quantized)?));
            out.push((scale_name(name), Bytes::new(name, &scale)?));
        }
        Storage::Bf16 | Storage::Int8 if is_float => {
            out.push((name.to_owned(), Bytes::new(name, &tensor.f_to_kind(Kind::BFloat16)?)?));
        }
        _ => out.push((name.to_owned(), Bytes::new(name, tensor)?)),
    }
    Ok(())
}

/// Rows so small that their scale would round to nothing are stored as zeros.
const SMALLEST_SCALE: f64 = 1e-12;

/// int8 of the tensor's shape and f32 `[rows]`; the largest magnitude of a row becomes 127.
fn quantize(name: &str, tensor: &Tensor) -> Result<(Tensor, Tensor)> {
    shape::expect_finite(name, tensor)?;
    let size = tensor.size();
    let rows = size.first().copied().unwrap_or(1);
    let flat = tensor.f_to_kind(Kind::Float)?.f_reshape([rows, -1])?;
    let scale = flat.f_abs()?.f_amax([1], true)?.f_div_scalar(127.0)?.f_clamp_min(SMALLEST_SCALE)?;
    let quantized = flat.f_div(&scale)?.f_round()?.f_clamp(-127.0, 127.0)?.f_to_kind(Kind::Int8)?;
    Ok((quantized.f_reshape(size)?, scale.f_reshape([rows])?))
}

/// A tensor's content as safetensors wants it.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Bytes {
    fn new(name: &str, tensor: &Tensor) -> Result<Self> {
        let (dtype, width) = match tensor.kind() {
            Kind::Float => (Dtype::F32, 4),
            Kind::Double => (Dtype::F64, 8),
            Kind::Half => (Dtype::F16, 2),
            Kind::BFloat16 => (Dtype::BF16, 2),
            Kind::Int64 => (Dtype::I64, 8),
            Kind::Int => (Dtype::I32, 4),
            Kind::Int8 => (Dtype::I8, 1),
            Kind::Uint8 => (Dtype::U8, 1),
            Kind::Bool => (Dtype::BOOL, 1),
            Kind::Int16 => (Dtype::I16, 2),
            other => return Err(Error::input(name, format!("elements of type {other:?} cannot be written"))),
        };
        let mut data = vec![0; tensor.numel() * width];
        tensor.f_contiguous()?.f_copy_data_u8(&mut data, tensor.numel())?;
        Ok(Self { dtype, shape: tensor.size().iter().map(|size| *size as usize).collect(), data })
    }
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        (&self.data).into()
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

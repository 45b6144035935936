//! Writing safetensors files, atomically and with the same bytes for the same tensors.

use std::io::Write;
use std::path::Path;

use safetensors::{Dtype, View};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::read::scale_name;
use crate::files::write_atomic;
use crate::{Error, Result};

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
    /// Matrices (two axes and more) as int8 with one f32 scale per row in `NAME#scale`; vectors as bfloat16.
    /// [`super::Checkpoint`] reads them back as f32.
    Int8,
}

/// Writes named tensors to a safetensors file, sorted by name.
///
/// # Errors
/// [`Error::Io`] names the file; nothing half-written is left.
pub fn write(path: impl AsRef<Path>, named: &[(String, Tensor)], storage: Storage) -> Result<()> {
    let path = path.as_ref();
    let mut stored = Vec::new();
    for (name, tensor) in named {
        store(name, &tensor.f_detach()?.f_to_device(Device::Cpu)?, storage, &mut stored)?;
    }
    stored.sort_by(|a, b| a.0.cmp(&b.0));
    let bytes = safetensors::serialize(stored, None).map_err(|e| Error::format(path, e.to_string()))?;
    write_atomic(path, |file| file.write_all(&bytes))
}

fn store(name: &str, tensor: &Tensor, storage: Storage, out: &mut Vec<(String, Bytes)>) -> Result<()> {
    let is_float = matches!(tensor.kind(), Kind::Float | Kind::Double | Kind::Half);
    match storage {
        Storage::Int8 if is_float && tensor.dim() >= 2 && tensor.numel() > 0 => {
            let rows = tensor.size()[0];
            let flat = tensor.f_to_kind(Kind::Float)?.f_reshape([rows, -1])?;
            let scale = flat.f_abs()?.f_amax([1], true)?.f_div_scalar(127.0)?.f_clamp_min(1e-12)?;
            let quantized = flat.f_div(&scale)?.f_round()?.f_to_kind(Kind::Int8)?.f_reshape(tensor.size())?;
            out.push((name.to_owned(), Bytes::new(&quantized)?));
            out.push((scale_name(name), Bytes::new(&scale.f_reshape([rows])?)?));
        }
        Storage::Bf16 | Storage::Int8 if is_float => {
            out.push((name.to_owned(), Bytes::new(&tensor.f_to_kind(Kind::BFloat16)?)?));
        }
        _ => out.push((name.to_owned(), Bytes::new(tensor)?)),
    }
    Ok(())
}

/// A tensor's content as safetensors wants it.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Bytes {
    fn new(tensor: &Tensor) -> Result<Self> {
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
            other => return Err(Error::input("tensor", format!("elements of type {other:?} cannot be written"))),
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

//! Writing safetensors files, atomically and with the same bytes for the same tensors.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;

use safetensors::{Dtype, SafeTensorError, View};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::safetensors::{SCALE_SUFFIX, scale_name};
use crate::files::AtomicFile;
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

/// Writes named tensors to a safetensors file, one after the other, so that it takes little memory besides them; the same tensors give the
/// same bytes.
///
/// # Errors
/// [`Error::Input`] for an element type safetensors lacks, a name given twice or ending in `#scale`, and for
/// [`Storage::Int8`] of values that are not finite; [`Error::Io`] names the file. Nothing half-written is left.
pub fn write(path: impl AsRef<Path>, named: &[(String, Tensor)], storage: Storage) -> Result<()> {
    let path = path.as_ref();
    let mut stored = Vec::new();
    for (name, tensor) in named {
        expect_name(name)?;
        store(name, tensor.f_detach()?, storage, &mut stored)?;
    }
    stored.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = stored.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::input(&pair[0].0, "is given twice"));
    }
    let file = AtomicFile::create(path)?;
    let failure = RefCell::new(None);
    let views = stored.iter().map(|(name, stored)| (name, Bytes { stored, failure: &failure }));
    let written = safetensors::serialize_to_file(views, None, file.temporary_path());
    if let Some(error) = failure.take() {
        return Err(error);
    }
    written.map_err(|error| match error {
        SafeTensorError::IoError(source) => Error::io(path)(source),
        other => Error::format(path, other.to_string()),
    })?;
    file.commit()
}

/// Refuses names that a quantised tensor's scales could have.
pub(crate) fn expect_name(name: &str) -> Result<()> {
    if name.ends_with(SCALE_SUFFIX) {
        return Err(Error::input(name, format!("names ending in `{SCALE_SUFFIX}` are kept for int8 scales")));
    }
    Ok(())
}

fn store(name: &str, tensor: Tensor, storage: Storage, out: &mut Vec<(String, Stored)>) -> Result<()> {
    let is_float = matches!(tensor.kind(), Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16);
    match storage {
        Storage::Int8 if is_float && tensor.dim() >= 2 && tensor.numel() > 0 => {
            let (quantized, scale) = quantize(name, &tensor.f_to_device(Device::Cpu)?)?;
            out.push((name.to_owned(), Stored::new(name, quantized, Kind::Int8)?));
            out.push((scale_name(name), Stored::new(name, scale, Kind::Float)?));
        }
        Storage::Bf16 | Storage::Int8 if is_float => {
            out.push((name.to_owned(), Stored::new(name, tensor, Kind::BFloat16)?));
        }
        _ => {
            let kind = tensor.kind();
            out.push((name.to_owned(), Stored::new(name, tensor, kind)?));
        }
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

/// A tensor and how it is written.
struct Stored {
    tensor: Tensor,
    kind: Kind,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Stored {
    fn new(name: &str, tensor: Tensor, kind: Kind) -> Result<Self> {
        let dtype = match kind {
            Kind::Float => Dtype::F32,
            Kind::Double => Dtype::F64,
            Kind::Half => Dtype::F16,
            Kind::BFloat16 => Dtype::BF16,
            Kind::Int64 => Dtype::I64,
            Kind::Int => Dtype::I32,
            Kind::Int8 => Dtype::I8,
            Kind::Uint8 => Dtype::U8,
            Kind::Bool => Dtype::BOOL,
            Kind::Int16 => Dtype::I16,
            other => return Err(Error::input(name, format!("elements of type {other:?} cannot be written"))),
        };
        let shape = tensor.size().iter().map(|size| *size as usize).collect();
        Ok(Self { tensor, kind, dtype, shape })
    }

    /// The content, on the host.
    fn bytes(&self) -> Result<Vec<u8>> {
        let tensor = self.tensor.f_to_device(Device::Cpu)?.f_to_kind(self.kind)?.f_contiguous()?;
        let mut bytes = vec![0; self.len()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        Ok(bytes)
    }

    fn len(&self) -> usize {
        self.tensor.numel() * self.kind.elt_size_in_bytes()
    }
}

/// A tensor whose content is made when safetensors asks for it; what fails then is kept, as a view has no way to say it.
struct Bytes<'a> {
    stored: &'a Stored,
    failure: &'a RefCell<Option<Error>>,
}

impl View for Bytes<'_> {
    fn dtype(&self) -> Dtype {
        self.stored.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.stored.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.stored.bytes().unwrap_or_else(|error| {
            self.failure.replace(Some(error));
            vec![0; self.stored.len()]
        });
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.stored.len()
    }
}

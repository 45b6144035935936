//! Memory-mapped reading of safetensors files, whole or sharded.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use tch::{Device, Kind, Tensor};

use crate::files::read_json;
use crate::{Error, Result};

/// Suffix of the row scales of tensors stored as int8; see [`crate::Storage::Int8`].
pub(super) const SCALE_SUFFIX: &str = "#scale";

/// An opened checkpoint: tensors are read from the mapped file when asked for.
pub struct Checkpoint {
    path: PathBuf,
    shards: Vec<Shard>,
}

/// Shape and type of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Sizes.
    pub shape: Vec<i64>,
    /// Element type as read (int8 rows with scales read as f32).
    pub kind: Kind,
}

struct Shard {
    path: PathBuf,
    map: Mmap,
    header: usize,
    metadata: Metadata,
}

impl Checkpoint {
    /// Opens a safetensors file, or a directory with `model.safetensors` or `model.safetensors.index.json`.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; [`Error::Format`] when it is not valid safetensors, or truncated.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let shards = shard_paths(&path)?.iter().map(|p| Shard::open(p)).collect::<Result<_>>()?;
        Ok(Self { path, shards })
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors; the scales of int8 tensors are part of their tensor.
    pub fn names(&self) -> Vec<String> {
        let all = self.shards.iter().flat_map(|s| s.metadata.offset_keys());
        all.filter(|name| !name.ends_with(SCALE_SUFFIX)).collect()
    }

    /// Shape and type of a tensor; `None` when there is no such tensor.
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        let (shard, info) = self.find(name)?;
        let shape = info.shape.iter().map(|size| *size as i64).collect();
        let is_quantized = info.dtype == Dtype::I8 && shard.metadata.info(&scale_name(name)).is_some();
        let kind = if is_quantized { Kind::Float } else { kind_of(info.dtype)? };
        Some(TensorInfo { shape, kind })
    }

    /// Copies a tensor to the host.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is no such tensor; [`Error::Format`] for an element type libtorch lacks.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let Some((shard, _)) = self.find(name) else {
            let report = super::CheckpointReport { missing: vec![name.to_owned()], ..Default::default() };
            return Err(Error::Checkpoint { path: self.path.clone(), report: Box::new(report) });
        };
        let stored = shard.tensor(name)?;
        if stored.kind() != Kind::Int8 || shard.metadata.info(&scale_name(name)).is_none() {
            return Ok(stored);
        }
        dequantize(&shard.path, name, &stored, &shard.tensor(&scale_name(name))?)
    }

    fn find(&self, name: &str) -> Option<(&Shard, &safetensors::tensor::TensorInfo)> {
        self.shards.iter().find_map(|shard| Some((shard, shard.metadata.info(name)?)))
    }
}

impl Shard {
    #[allow(unsafe_code)]
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is read-only and private to this struct. As with any memory map, another process that
        // truncates the file while it is open can raise SIGBUS; checkpoints are written by rename, never in place.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        let parsed = SafeTensors::read_metadata(&map);
        let (length, metadata) = parsed.map_err(|e| Error::format(path, format!("not a safetensors file: {e}")))?;
        // The header's length comes after the 8 bytes that hold it.
        let header = length + 8;
        let end = metadata.offset_keys().iter().filter_map(|n| metadata.info(n)).map(|i| i.data_offsets.1).max();
        if header + end.unwrap_or(0) != map.len() {
            let expected = header + end.unwrap_or(0);
            return Err(Error::format(path, format!("expected {expected} bytes, got {}: truncated?", map.len())));
        }
        Ok(Self { path: path.to_owned(), map, header, metadata })
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let missing = || Error::format(&self.path, format!("tensor `{name}` is not readable"));
        let info = self.metadata.info(name).ok_or_else(missing)?;
        let kind = kind_of(info.dtype).ok_or_else(|| {
            Error::format(&self.path, format!("tensor `{name}`: element type {:?} is not supported", info.dtype))
        })?;
        let (start, end) = info.data_offsets;
        let bytes = self.map.get(self.header + start..self.header + end).ok_or_else(missing)?;
        let shape: Vec<i64> = info.shape.iter().map(|size| *size as i64).collect();
        Ok(Tensor::f_from_data_size(bytes, &shape, kind)?)
    }
}

/// int8 `[rows, ...]` times f32 `[rows]`.
fn dequantize(path: &Path, name: &str, stored: &Tensor, scale: &Tensor) -> Result<Tensor> {
    let shape = stored.size();
    if scale.kind() != Kind::Float || scale.size() != shape[..1] {
        return Err(Error::format(path, format!("tensor `{name}{SCALE_SUFFIX}`: expected f32 of shape {:?}", &shape[..1])));
    }
    let column: Vec<i64> = std::iter::once(shape[0]).chain(shape[1..].iter().map(|_| 1)).collect();
    Ok(stored.f_to_kind(Kind::Float)?.f_mul(&scale.f_reshape(column)?)?.to_device(Device::Cpu))
}

pub(super) fn scale_name(name: &str) -> String {
    format!("{name}{SCALE_SUFFIX}")
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn shard_paths(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let index = path.join("model.safetensors.index.json");
    if !index.is_file() {
        return Ok(vec![path.join("model.safetensors")]);
    }
    let mut names: Vec<String> = read_json::<Index>(&index)?.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    if let Some(name) = names.iter().find(|name| Path::new(name).components().count() != 1) {
        return Err(Error::format(index, format!("shard `{name}` is not a plain file name")));
    }
    Ok(names.iter().map(|name| path.join(name)).collect())
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

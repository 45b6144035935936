//! Memory-mapped reading of safetensors files, whole or sharded.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use tch::{Kind, Tensor};

use crate::files::read_json;
use crate::{Error, Result};

/// Suffix of the row scales of tensors stored as int8; see [`crate::Storage::Int8`].
pub(super) const SCALE_SUFFIX: &str = "#scale";

/// An opened checkpoint: tensors are read from the mapped file when asked for.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    shards: Vec<Shard>,
    /// Tensor name to shard.
    places: BTreeMap<String, usize>,
}

/// Shape and type of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Sizes.
    pub shape: Vec<i64>,
    /// Element type as read (int8 rows with scales read as f32).
    pub kind: Kind,
}

impl Checkpoint {
    /// Opens a safetensors file, or a directory with `model.safetensors` or `model.safetensors.index.json`.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; [`Error::Format`] when it is not valid safetensors, truncated, or when shards
    /// and their index contradict one another.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let Some(index) = Index::find(&path)? else {
            let file = if path.is_dir() { path.join("model.safetensors") } else { path.clone() };
            return Self::gather(path, vec![Shard::open(&file)?]);
        };
        let shards = index.shards(&path)?.iter().map(|p| Shard::open(p)).collect::<Result<_>>()?;
        let checkpoint = Self::gather(path, shards)?;
        index.check(&checkpoint)?;
        Ok(checkpoint)
    }

    fn gather(path: PathBuf, shards: Vec<Shard>) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (number, shard) in shards.iter().enumerate() {
            for name in shard.names() {
                if let Some(other) = places.insert(name.clone(), number) {
                    let reason = format!("tensor `{name}` is also in {}", shards[other].path.display());
                    return Err(Error::format(&shard.path, reason));
                }
            }
        }
        Ok(Self { path, shards, places })
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted; the scales of int8 tensors are part of their tensor.
    pub fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    /// Shape and type of a tensor; `None` when there is no such tensor, or libtorch lacks its element type.
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        let shard = self.shard(name)?;
        let kind =
            if shard.is_quantized(name) { Kind::Float } else { kind_of(shard.metadata.info(name)?.dtype)? };
        Some(TensorInfo { shape: self.shape(name)?, kind })
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<i64>> {
        sizes(&self.shard(name)?.metadata.info(name)?.shape)
    }

    /// Element type as the file calls it.
    pub(super) fn dtype_name(&self, name: &str) -> String {
        let info = self.shard(name).and_then(|shard| shard.metadata.info(name));
        info.map_or_else(String::new, |info| info.dtype.to_string())
    }

    /// Copies a tensor to the host.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is no such tensor; [`Error::Format`] for an element type libtorch lacks.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let Some(shard) = self.shard(name) else {
            let report = super::CheckpointReport { missing: vec![name.to_owned()], ..Default::default() };
            return Err(Error::Checkpoint { path: self.path.clone(), report: Box::new(report) });
        };
        let stored = shard.tensor(name)?;
        if !shard.is_quantized(name) {
            return Ok(stored);
        }
        dequantize(&stored, &shard.tensor(&scale_name(name))?)
    }

    fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.get(*self.places.get(name)?)
    }
}

/// One mapped file.
#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Mmap,
    /// Bytes before the tensors' data.
    header: usize,
    metadata: Metadata,
}

impl Shard {
    #[allow(unsafe_code)]
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        if !file.metadata().map_err(Error::io(path))?.is_file() {
            return Err(Error::format(path, "expected a safetensors file, got something else"));
        }
        // SAFETY: the map is read-only and private to this struct. As with any memory map, another process that
        // truncates the file while it is open can raise SIGBUS; checkpoints are written by rename, never in place.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        // This checks that the tensors cover the file exactly, and each its shape exactly.
        let parsed = SafeTensors::read_metadata(&map);
        let (length, metadata) =
            parsed.map_err(|e| Error::format(path, format!("not a whole safetensors file: {e}")))?;
        // The header's length comes after the 8 bytes that hold it.
        let shard = Self { path: path.to_owned(), map, header: length + 8, metadata };
        shard.check()?;
        Ok(shard)
    }

    /// What the format leaves open: sizes that libtorch can hold, and scales that fit their rows.
    fn check(&self) -> Result<()> {
        for name in self.metadata.offset_keys() {
            let Some(info) = self.metadata.info(&name) else { continue };
            if sizes(&info.shape).is_none() {
                return Err(Error::format(
                    &self.path,
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
                return Err(Error::format(&self.path, reason));
            }
        }
        Ok(())
    }

    /// Names of the tensors without the scales.
    fn names(&self) -> Vec<String> {
        let is_scale =
            |name: &str| name.strip_suffix(SCALE_SUFFIX).is_some_and(|owner| self.is_quantized(owner));
        self.metadata.offset_keys().into_iter().filter(|name| !is_scale(name)).collect()
    }

    fn is_quantized(&self, name: &str) -> bool {
        let is_int8 = self.metadata.info(name).is_some_and(|info| info.dtype == Dtype::I8);
        is_int8 && self.metadata.info(&scale_name(name)).is_some()
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let missing = || Error::format(&self.path, format!("tensor `{name}` is not readable"));
        let info = self.metadata.info(name).ok_or_else(missing)?;
        let kind = kind_of(info.dtype).ok_or_else(|| {
            Error::format(
                &self.path,
                format!("tensor `{name}`: element type {} is not supported", info.dtype),
            )
        })?;
        let (start, end) = info.data_offsets;
        let bytes = self.map.get(self.header + start..self.header + end).ok_or_else(missing)?;
        let shape = sizes(&info.shape).ok_or_else(missing)?;
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

/// Which shard holds which tensor.
#[derive(serde::Deserialize)]
struct Index {
    #[serde(skip)]
    path: PathBuf,
    weight_map: BTreeMap<String, String>,
}

impl Index {
    fn find(checkpoint: &Path) -> Result<Option<Self>> {
        let path = checkpoint.join("model.safetensors.index.json");
        if !checkpoint.is_dir() || !path.is_file() {
            return Ok(None);
        }
        let index: Self = read_json(&path)?;
        Ok(Some(Self { path, ..index }))
    }

    /// Paths of the shards, which must lie beside the index.
    fn shards(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut names: Vec<&String> = self.weight_map.values().collect();
        names.sort();
        names.dedup();
        let is_plain = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(part)), None) if part == name)
        };
        if let Some(name) = names.iter().find(|name| !is_plain(name)) {
            return Err(Error::format(&self.path, format!("shard `{name}` is not a plain file name")));
        }
        Ok(names.iter().map(|name| folder.join(name)).collect())
    }

    fn check(&self, checkpoint: &Checkpoint) -> Result<()> {
        let is_there = |name: &str, file: &str| {
            let in_file = |shard: &&Shard| shard.path.file_name().is_some_and(|f| f == file);
            checkpoint.shards.iter().find(in_file).is_some_and(|shard| shard.metadata.info(name).is_some())
        };
        match self.weight_map.iter().find(|(name, file)| !is_there(name, file)) {
            None => Ok(()),
            Some((name, file)) => {
                Err(Error::format(&self.path, format!("tensor `{name}` is not in `{file}`")))
            }
        }
    }
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

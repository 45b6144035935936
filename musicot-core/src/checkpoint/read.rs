//! Memory-mapped reading of checkpoints, whole or sharded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::index::Files;
use super::shard::Shard;
use crate::{Error, Result};

/// An opened checkpoint: tensors are read from the mapped file when asked for.
///
/// The formats are safetensors and the zip archives that `torch.save` writes (`.bin`, `.pt`, `.pth`, `.ckpt`). The latter are
/// programs for Python's unpickler; here they can make dicts, lists, tuples, numbers, texts and tensors, and anything else
/// is refused by name, so that opening one runs nothing. Their tensors are
///
/// - those of the dict under the key `state_dict`, where the top level has such a dict. The other entries of the top level
///   and what is no tensor inside that dict are left to [`Checkpoint::metadata`];
/// - otherwise those of the top level, which must then hold nothing else;
/// - those of another dict through [`Checkpoint::open_at`].
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
    /// Opens a file of any name, or a directory with (the first of these that is there) `model.safetensors`,
    /// `diffusion_pytorch_model.safetensors`, `pytorch_model.bin` or `diffusion_pytorch_model.bin`, each whole or, with
    /// `.index.json` behind its name, in shards.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; [`Error::Format`] when it is neither valid safetensors nor an archive of
    /// `torch.save`, is truncated, holds what this reader refuses, or when shards and their index contradict one another.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::gather(path.as_ref(), None)
    }

    /// Opens PyTorch files as [`Checkpoint::open`] does, and takes the tensors of the dict that `keys` lead to from the top
    /// level down; what else is in that dict is left to [`Checkpoint::metadata`]. Without keys, it is the top level.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; [`Error::Format`] names a key that is not there.
    pub fn open_at(path: impl AsRef<Path>, keys: &[&str]) -> Result<Self> {
        Self::gather(path.as_ref(), Some(keys))
    }

    fn gather(path: &Path, at: Option<&[&str]>) -> Result<Self> {
        let mut opened = path.to_owned();
        let shards = match Files::find(path)? {
            Files::One(file) => {
                let shard = Shard::open(&file, at)?;
                opened = file;
                vec![shard]
            }
            Files::Sharded(index) => {
                let files = index.shards()?;
                let shards: Vec<Shard> =
                    files.iter().map(|file| Shard::open(file, at)).collect::<Result<_>>()?;
                index.check(&shards)?;
                shards
            }
        };
        let mut places = BTreeMap::new();
        for (number, shard) in shards.iter().enumerate() {
            for name in shard.names() {
                if let Some(other) = places.insert(name.clone(), number) {
                    let reason = format!("tensor `{name}` is also in {}", shards[other].path.display());
                    return Err(Error::format(&shard.path, reason));
                }
            }
        }
        Ok(Self { path: opened, shards, places })
    }

    /// The file, or the directory of the shards.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted; the scales of int8 tensors are part of their tensor.
    pub fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    /// Shape and type of a tensor; `None` when there is no such tensor, or libtorch lacks its element type.
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        self.shard(name)?.info(name)
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<i64>> {
        self.shard(name)?.shape(name)
    }

    /// Element type as the file calls it.
    pub(super) fn dtype_name(&self, name: &str) -> String {
        self.shard(name).and_then(|shard| shard.dtype_name(name)).unwrap_or_default()
    }

    /// Copies a tensor to the host, contiguous; a strided view needs its span of the storage besides.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is no such tensor; [`Error::Format`] for an element type libtorch lacks.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        self.shard(name).ok_or_else(|| self.missing(name))?.tensor(name)
    }

    /// Copies a tensor into another of its shape; of safetensors a little at a time, so that it is never held twice.
    pub(super) fn read_into(&self, name: &str, target: &Tensor) -> Result<()> {
        self.shard(name).ok_or_else(|| self.missing(name))?.read_into(name, target)
    }

    fn missing(&self, name: &str) -> Error {
        let report = super::CheckpointReport { missing: vec![name.to_owned()], ..Default::default() };
        Error::Checkpoint { path: self.path.clone(), report: Box::new(report) }
    }

    /// What a checkpoint says beside its tensors: the texts of a safetensors header, or everything in a PyTorch file that
    /// JSON can hold (such as the `metadata` of a codec). Of shards that share a key, the last one counts.
    ///
    /// From PyTorch files, tensors, bytes, devices and integers beyond 64 bits are left out, and dicts of nothing else;
    /// inside a list, `null` stands for them, as it does for numbers that are not finite. Tuples become lists, integer keys
    /// texts, and element types their names, such as `torch.float32`.
    ///
    /// # Errors
    /// [`Error::Format`] when it is nested deeper than 64 levels or takes more than 64 MiB.
    pub fn metadata(&self) -> Result<Value> {
        let mut all = Map::new();
        for shard in &self.shards {
            all.extend(shard.metadata()?);
        }
        Ok(Value::Object(all))
    }

    fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.get(*self.places.get(name)?)
    }
}

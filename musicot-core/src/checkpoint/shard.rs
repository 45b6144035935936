//! One file of a checkpoint, of whichever format.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use serde_json::{Map, Value};
use tch::Tensor;

use super::TensorInfo;
use super::pickle::{self, PickleFile};
use super::safetensors::SafetensorsFile;
use crate::{Error, Result};

/// One mapped file.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Safetensors(SafetensorsFile),
    Pickle(PickleFile),
}

impl Shard {
    /// Maps a file and reads its list of tensors; its first bytes, not its name, tell the format. `at` are the keys that
    /// lead to the dict of tensors; only a pickle has some.
    pub(super) fn open(path: &Path, at: Option<&[&str]>) -> Result<Self> {
        let map = map_file(path)?;
        let content = if pickle::is_torch(&map) {
            Content::Pickle(PickleFile::open(map, at).map_err(|reason| Error::format(path, reason))?)
        } else if let Some([key, ..]) = at {
            let reason = format!("expected a PyTorch file with the key `{key}`, got another format");
            return Err(Error::format(path, reason));
        } else {
            Content::Safetensors(SafetensorsFile::open(path, map)?)
        };
        Ok(Self { path: path.to_owned(), content })
    }

    pub(super) fn names(&self) -> Vec<String> {
        match &self.content {
            Content::Safetensors(file) => file.names(),
            Content::Pickle(file) => file.names(),
        }
    }

    /// Whether an index may name this entry.
    pub(super) fn contains(&self, name: &str) -> bool {
        match &self.content {
            Content::Safetensors(file) => file.contains(name),
            Content::Pickle(file) => file.info(name).is_some(),
        }
    }

    pub(super) fn info(&self, name: &str) -> Option<TensorInfo> {
        match &self.content {
            Content::Safetensors(file) => file.info(name),
            Content::Pickle(file) => file.info(name),
        }
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<i64>> {
        match &self.content {
            Content::Safetensors(file) => file.shape(name),
            Content::Pickle(file) => Some(file.info(name)?.shape),
        }
    }

    pub(super) fn dtype_name(&self, name: &str) -> Option<String> {
        match &self.content {
            Content::Safetensors(file) => file.dtype_name(name),
            Content::Pickle(file) => Some(format!("{:?}", file.info(name)?.kind)),
        }
    }

    /// Copies a tensor to the host. The pages it was read from are let go of: a model that is loaded takes the memory of its weights,
    /// not that of the file as well.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor> {
        let (tensor, map) = match &self.content {
            Content::Safetensors(file) => (file.tensor(&self.path, name), &file.map),
            Content::Pickle(file) => (file.tensor(&self.path, name), &file.map),
        };
        release(map);
        tensor
    }

    /// As [`Shard::tensor`], into a tensor of the same shape.
    pub(super) fn read_into(&self, name: &str, target: &Tensor) -> Result<()> {
        let Content::Safetensors(file) = &self.content else {
            target.shallow_clone().f_copy_(&self.tensor(name)?)?;
            return Ok(());
        };
        let outcome = file.read_into(&self.path, name, target);
        release(&file.map);
        outcome
    }

    pub(super) fn metadata(&self) -> Result<Map<String, Value>> {
        match &self.content {
            Content::Safetensors(file) => Ok(file.metadata()),
            Content::Pickle(file) => file.metadata().map_err(|reason| Error::format(&self.path, reason)),
        }
    }
}

#[allow(unsafe_code)]
fn map_file(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(Error::io(path))?;
    if !file.metadata().map_err(Error::io(path))?.is_file() {
        return Err(Error::format(path, "expected a file of weights, got something that is not a file"));
    }
    // SAFETY: the map is read-only and private to the shard. As with any memory map, another process that
    // truncates the file while it is open can raise SIGBUS; checkpoints are written by rename, never in place.
    unsafe { Mmap::map(&file) }.map_err(Error::io(path))
}

/// Lets the system take the pages of a map back; they come from the file again when they are next read.
#[cfg(unix)]
#[allow(unsafe_code)]
fn release(map: &Mmap) {
    // SAFETY: the map is backed by a file and never written to, so that its content is the same before and after, even for
    // another thread that is reading it. A refusal costs memory, nothing else.
    let _refused = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) }.err();
}

#[cfg(not(unix))]
fn release(_map: &Mmap) {}

//! Finding the files of a checkpoint.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::shard::Shard;
use crate::files::read_json;
use crate::{Error, Result};

/// What a directory may hold, the preferred one first: whole, then sharded, safetensors before pickles.
pub(crate) const NAMES: [&str; 8] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
];

/// The files of a checkpoint.
pub(super) enum Files {
    One(PathBuf),
    Sharded(Index),
}

impl Files {
    /// Takes a file as it is, and looks into a directory.
    pub(super) fn find(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Ok(Self::One(path.to_owned()));
        }
        let Some(file) = NAMES.iter().map(|name| path.join(name)).find(|file| file.is_file()) else {
            let reason = format!("expected one of {}, found none of them", NAMES.join(", "));
            return Err(Error::io(path)(io::Error::new(io::ErrorKind::NotFound, reason)));
        };
        if file.extension().is_some_and(|extension| extension == "json") {
            return Ok(Self::Sharded(Index { folder: path.to_owned(), ..Index::read(file)? }));
        }
        Ok(Self::One(file))
    }
}

/// Paths of the shards that an index names, relative to its folder.
#[cfg(feature = "hub")]
pub(crate) fn shard_names(index: &Path) -> Result<Vec<String>> {
    let names = Index::read(index.to_owned())?.shards()?;
    Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

/// Which shard holds which tensor.
#[derive(serde::Deserialize)]
pub(super) struct Index {
    #[serde(skip)]
    path: PathBuf,
    #[serde(skip)]
    folder: PathBuf,
    weight_map: BTreeMap<String, String>,
}

impl Index {
    fn read(path: PathBuf) -> Result<Self> {
        let index: Self = read_json(&path)?;
        Ok(Self { path, ..index })
    }

    /// Paths of the shards, which must lie beside the index.
    pub(super) fn shards(&self) -> Result<Vec<PathBuf>> {
        let mut names: Vec<&String> = self.weight_map.values().collect();
        names.sort();
        names.dedup();
        let is_plain = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
        };
        if let Some(name) = names.iter().find(|name| !is_plain(name)) {
            return Err(Error::format(&self.path, format!("shard `{name}` is not a plain file name")));
        }
        Ok(names.iter().map(|name| self.folder.join(name)).collect())
    }

    /// Every tensor must be where the index says.
    pub(super) fn check(&self, shards: &[Shard]) -> Result<()> {
        let is_there = |name: &str, file: &str| {
            let in_file = |shard: &&Shard| shard.path.file_name().is_some_and(|f| f == file);
            shards.iter().find(in_file).is_some_and(|shard| shard.contains(name))
        };
        match self.weight_map.iter().find(|(name, file)| !is_there(name, file)) {
            None => Ok(()),
            Some((name, file)) => {
                Err(Error::format(&self.path, format!("tensor `{name}` is not in `{file}`")))
            }
        }
    }
}

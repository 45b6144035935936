//! Files of PyTorch's `torch.save`, read without running anything that is in them.
//!
//! Such a file is a zip archive of stored entries: `data.pkl`, a program for Python's unpickler, and one entry of raw bytes
//! per storage. [`machine`] runs that program on values that are plain data; the globals it may name are the list in
//! [`globals`], whose meaning is fixed here. Formats: APPNOTE.TXT 6.3.10 of PKWARE for the archive, the comments of
//! Python's `pickletools` for the opcodes, and the documentation of `torch.serialization` for the layout.
//!
//! Since a file of a few kilobytes may claim anything, the work of the machine is limited by the file's length and by
//! [`limits`]; what a tensor reads is checked against its entry when the file is opened, and allocated when it is asked for.

mod archive;
mod globals;
mod input;
mod json;
mod machine;
mod opcode;
mod scalar;
mod tree;
mod value;
mod view;
mod zip;

use std::collections::BTreeMap;
use std::path::Path;

use memmap2::Mmap;
use serde_json::{Map, Value as Json};
use tch::Tensor;

use self::archive::Archive;
use self::machine::Machine;
use self::value::{Heap, Value};
use self::view::View;
use super::TensorInfo;
use crate::{Error, Result};

/// What is wrong with the content of a file, to which the caller adds the path.
type Parsed<T> = std::result::Result<T, String>;

/// Bounds far above what models need (the largest have some ten thousand tensors), so that memory is bounded too.
mod limits {
    /// Entries of an archive.
    pub(super) const ENTRIES: u64 = 1 << 20;
    /// Opcodes of a pickle; each makes one value of a few dozen bytes at most.
    pub(super) const OPCODES: usize = 1 << 22;
    /// Tensors of a pickle.
    pub(super) const TENSORS: usize = 1 << 17;
    /// Axes of a tensor.
    pub(super) const AXES: usize = 32;
    /// Bytes that a tensor may take where it has more elements than its storage (axes of stride 0).
    pub(super) const EXPANDED_BYTES: usize = 64 << 20;
    /// Bytes of metadata as JSON.
    pub(super) const JSON_BYTES: usize = 64 << 20;
    /// Levels of metadata.
    pub(super) const JSON_DEPTH: usize = 64;
    /// Characters of a name from the file that a message shows.
    pub(super) const SHOWN: usize = 80;
}

/// Whether the file is one that Python's pickling made, be it one that is read here or one that is refused. A safetensors file can begin
/// like a pickle: its first bytes are the length of its header.
pub(super) fn is_torch(bytes: &[u8]) -> bool {
    !has_safetensors_header(bytes) && (zip::is_zip(bytes) || archive::is_bare_pickle(bytes))
}

/// The length of a header, then JSON. Read as a length, the start of a pickle or of an archive is far beyond what the format allows.
fn has_safetensors_header(bytes: &[u8]) -> bool {
    /// Bytes; the format's own limit.
    const LONGEST: u64 = 100_000_000;
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    u64::from_le_bytes(*length) <= LONGEST && rest.first() == Some(&b'{')
}

/// A mapped archive and the checked places of its tensors.
#[derive(Debug)]
pub(super) struct PickleFile {
    pub(super) map: Mmap,
    tensors: BTreeMap<String, View>,
}

impl PickleFile {
    /// Reads the list of tensors; `at` are the keys of their dict, by default as [`super::Checkpoint`] says.
    pub(super) fn open(map: Mmap, at: Option<&[&str]>) -> Parsed<Self> {
        let (top, heap) = run(&map)?;
        let tensors = tree::tensors(&heap, top, at)?;
        Ok(Self { tensors, map })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    pub(super) fn info(&self, name: &str) -> Option<TensorInfo> {
        Some(self.tensors.get(name)?.info())
    }

    pub(super) fn tensor(&self, path: &Path, name: &str) -> Result<Tensor> {
        let missing = || Error::format(path, format!("tensor `{name}` is not readable"));
        self.tensors.get(name).ok_or_else(missing)?.read(&self.map)?.ok_or_else(missing)
    }

    /// Everything that is no tensor. The pickle is run again: few callers want this, and it need not be kept.
    pub(super) fn metadata(&self) -> Parsed<Map<String, Json>> {
        let (top, heap) = run(&self.map)?;
        json::metadata(&heap, top)
    }
}

fn run(bytes: &[u8]) -> Parsed<(Value<'_>, Heap<'_>)> {
    let archive = Archive::open(bytes)?;
    Machine::new(&archive).run().map_err(|reason| format!("`{}`, {reason}", archive.pickle_name()))
}

/// A name from the file as a message shows it: short, and without control characters.
fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(limits::SHOWN).flat_map(char::escape_debug).collect();
    if name.chars().nth(limits::SHOWN).is_some() {
        text.push('…');
    }
    text
}

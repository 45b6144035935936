//! What the comparisons with reference implementations share.
// Each test binary uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use musicot_codec::Result;
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Checkpoint, Storage, checkpoint, files};
use serde_json::{Map, Value};

/// Deviations allowed, in units of the reference's own f32 noise.
const NOISES: f64 = 10.0;

pub fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case)
}

pub fn tensor(case: &str, file: &str, name: &str) -> Tensor {
    Checkpoint::open(folder(case).join(file)).unwrap().tensor(name).unwrap()
}

/// The largest deviation of `actual` from `expected` is within the noise allowed.
pub fn expect_close(what: &str, actual: &Tensor, expected: &Tensor, noise: &Tensor) {
    assert_eq!(actual.size(), expected.size(), "{what}");
    let difference =
        (actual.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max().double_value(&[]);
    let noise = noise.double_value(&[]);
    println!("{what}: {difference:.1e}, {:.2} noises", difference / noise);
    assert!(difference <= NOISES * noise, "{what}: {difference} for a noise of {noise}");
}

/// Compares with `out.NAME` of a case.
pub fn expect_golden(case: &str, name: &str, actual: &Tensor) {
    let golden = |part: &str| tensor(case, "golden.safetensors", &format!("{part}.{name}"));
    expect_close(&format!("{case} {name}"), actual, &golden("out"), &golden("noise"));
}

pub fn cosine(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (a.to_kind(Kind::Double).flatten(0, -1), b.to_kind(Kind::Double).flatten(0, -1));
    (a.dot(&b) / (a.norm() * b.norm())).double_value(&[])
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A copy of a case's checkpoint of which everything can be changed.
pub struct Copy {
    folder: tempfile::TempDir,
    /// JSON files by name.
    pub files: Vec<(String, Map<String, Value>)>,
    pub tensors: Vec<(String, Tensor)>,
}

impl Copy {
    pub fn of(case: &str, files: &[&str]) -> Self {
        let source = Checkpoint::open(folder(case)).unwrap();
        let tensors =
            source.names().into_iter().map(|name| (name.clone(), source.tensor(&name).unwrap())).collect();
        let read = |name: &&str| ((*name).to_owned(), files::read_json(folder(case).join(name)).unwrap());
        Self { folder: tempfile::tempdir().unwrap(), files: files.iter().map(read).collect(), tensors }
    }

    /// Sets a value of a file; `key` leads through objects, with full stops between.
    pub fn set(mut self, file: &str, key: &str, value: Value) -> Self {
        let fields = &mut self.files.iter_mut().find(|(name, _)| name == file).unwrap().1;
        let (way, last) = key.rsplit_once('.').unwrap_or(("", key));
        let object = way
            .split('.')
            .filter(|key| !key.is_empty())
            .fold(fields, |o, key| o[key].as_object_mut().unwrap());
        object.insert(last.to_owned(), value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        let count = self.tensors.len();
        self.tensors.retain(|(other, _)| other != name);
        assert_eq!(self.tensors.len() + 1, count, "{name}");
        self
    }

    pub fn with(mut self, name: &str, value: Tensor) -> Self {
        self.tensors.retain(|(other, _)| other != name);
        self.tensors.push((name.to_owned(), value));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes everything and loads it.
    pub fn load<T>(&self, load: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        for (name, fields) in &self.files {
            files::write_json(self.path().join(name), fields)?;
        }
        checkpoint::write(self.path().join("model.safetensors"), &self.tensors, Storage::Native)?;
        load(self.path())
    }

    pub fn expect_refused<T>(&self, load: impl FnOnce(&Path) -> Result<T>, culprits: &[&str]) {
        let message = self.load(load).err().unwrap().to_string();
        for culprit in culprits {
            assert!(message.contains(culprit), "{culprit} in: {message}");
        }
    }
}

//! A copy of a case whose files can be changed.

use std::fs;
use std::path::Path;

use musicot_clap::Clap;
use musicot_core::tch::{Device, Tensor};
use musicot_core::{Checkpoint, Result, Storage, checkpoint, files};
use serde_json::{Map, Value};

use super::case::folder;

pub struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    pub fn of(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder(name)).unwrap() {
            let file = entry.unwrap().path();
            fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
        }
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Changes a JSON file.
    pub fn edit(self, file: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        let path = self.path().join(file);
        let mut object: Map<String, Value> = files::read_json(&path).unwrap();
        change(&mut object);
        files::write_json(&path, &object).unwrap();
        self
    }

    /// Sets a key of `config.json`, or of an object within it.
    pub fn set(self, key: &str, value: Value) -> Self {
        self.edit("config.json", |object| match key.split_once('.') {
            None => drop(object.insert(key.to_owned(), value)),
            Some((outer, inner)) => {
                object[outer].as_object_mut().unwrap().insert(inner.to_owned(), value);
            }
        })
    }

    pub fn front(self, key: &str, value: Value) -> Self {
        self.edit("preprocessor_config.json", |object| drop(object.insert(key.to_owned(), value)))
    }

    pub fn write(self, file: &str, text: &str) -> Self {
        fs::write(self.path().join(file), text).unwrap();
        self
    }

    pub fn without(self, file: &str) -> Self {
        fs::remove_file(self.path().join(file)).unwrap();
        self
    }

    /// Changes the tensors of `model.safetensors`.
    pub fn tensors(self, change: impl FnOnce(&mut Vec<(String, Tensor)>)) -> Self {
        let path = self.path().join("model.safetensors");
        let source = Checkpoint::open(&path).unwrap();
        let mut all: Vec<_> =
            source.names().into_iter().map(|name| (name.clone(), source.tensor(&name).unwrap())).collect();
        change(&mut all);
        checkpoint::write(&path, &all, Storage::Native).unwrap();
        self
    }

    pub fn with_tensor(self, name: &str, value: Tensor) -> Self {
        self.tensors(|all| {
            all.retain(|(other, _)| other != name);
            all.push((name.to_owned(), value));
        })
    }

    pub fn without_tensor(self, name: &str) -> Self {
        self.tensors(|all| all.retain(|(other, _)| other != name))
    }

    pub fn load(&self) -> Result<Clap> {
        Clap::load(self.path(), Device::Cpu)
    }

    pub fn expect_refused(&self, culprits: &[&str]) {
        expect_named(self.load(), culprits);
    }
}

pub fn expect_named(loaded: Result<Clap>, culprits: &[&str]) {
    let message = loaded.err().unwrap().to_string();
    for culprit in culprits {
        assert!(message.contains(culprit), "{culprit} in: {message}");
    }
}

//! The model directory.

use musicot_core::tch::Device;
use musicot_core::{Checkpoint, Error, Storage, checkpoint};

use super::data::{config, ids, normal};
use crate::{RvqModel, VectorQuantizer};

#[test]
fn a_saved_model_encodes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let model = RvqModel::new(&config(6, 3, 20), Device::Cpu, 4).unwrap();
    model.save(dir.path(), Storage::Native).unwrap();
    let loaded = RvqModel::load(dir.path(), Device::Cpu).unwrap();
    let vectors = normal(1, 50, 6);
    let codes = model.encode(&vectors).unwrap();
    assert_eq!(ids(&codes), ids(&loaded.encode(&vectors).unwrap()));
    assert!(model.decode(&codes).unwrap() == loaded.decode(&codes).unwrap());
    assert_eq!(loaded.config(), model.config());
    let names = Checkpoint::open(dir.path()).unwrap().names();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_seed_gives_a_model() {
    let build = |seed| RvqModel::new(&config(6, 2, 8), Device::Cpu, seed).unwrap();
    assert!(build(1).quantizer().codebooks() == build(1).quantizer().codebooks());
    assert!(build(1).quantizer().codebooks() != build(2).quantizer().codebooks());
}

#[test]
fn foreign_tensors_are_named() {
    let dir = tempfile::tempdir().unwrap();
    RvqModel::new(&config(6, 2, 8), Device::Cpu, 0).unwrap().save(dir.path(), Storage::Native).unwrap();
    let weights = dir.path().join("model.safetensors");
    let named = [
        ("layers.0.embed".to_owned(), normal(1, 8, 6)),
        ("layers.1.embed".to_owned(), normal(1, 9, 6)),
        ("layers.2.embed".to_owned(), normal(1, 8, 6)),
    ];
    checkpoint::write(&weights, &named, Storage::Native).unwrap();
    let message = RvqModel::load(dir.path(), Device::Cpu).err().unwrap().to_string();
    assert!(message.contains("layers.1.embed (expected [8, 6], got [9, 6])"), "{message}");
    assert!(message.contains("unexpected: layers.2.embed"), "{message}");
    checkpoint::write(&weights, &named[..1], Storage::Native).unwrap();
    let message = RvqModel::load(dir.path(), Device::Cpu).err().unwrap().to_string();
    assert!(message.contains("missing: layers.1.embed"), "{message}");
}

#[test]
fn broken_directories_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(RvqModel::load(dir.path(), Device::Cpu), Err(Error::Io { .. })));
    std::fs::write(dir.path().join("config.json"), r#"{"dim": 6, "size": 3}"#).unwrap();
    assert!(matches!(RvqModel::load(dir.path(), Device::Cpu), Err(Error::Format { .. })));
    std::fs::write(dir.path().join("config.json"), r#"{"dim": 0}"#).unwrap();
    assert!(matches!(RvqModel::load(dir.path(), Device::Cpu), Err(Error::Config { .. })));
    RvqModel::new(&config(6, 2, 8), Device::Cpu, 0).unwrap().save(dir.path(), Storage::Native).unwrap();
    let weights = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 5]).unwrap();
    assert!(
        matches!(RvqModel::load(dir.path(), Device::Cpu), Err(Error::Format { path, .. }) if path == weights)
    );
}

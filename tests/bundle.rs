//! A bundle that is not what it says is refused, and the message names the culprit.
#![allow(clippy::unwrap_used)] // also in helpers, which clippy does not take for tests

mod common;

use std::fs;
use std::path::Path;

use musicot::core::{Checkpoint, Storage, checkpoint};
use musicot::{Bundle, Generator, Quiet, Stage};

fn refused(dir: &Path, words: &[&str]) {
    let error = Bundle::open(dir).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn missing_extra_and_changed_files_are_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = common::tiny_bundle(root.path());
    Bundle::open(&dir).unwrap();

    let stray = dir.join("lm/notes.txt");
    fs::write(&stray, "x").unwrap();
    refused(&dir, &["lm", "notes.txt"]);
    fs::remove_file(&stray).unwrap();

    let weights = dir.join("codec/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, &bytes).unwrap();
    refused(&dir, &["codec", "model.safetensors", "SHA-256"]);

    fs::remove_file(&weights).unwrap();
    refused(&dir, &["codec", "model.safetensors", "lacks"]);
}

#[test]
fn a_malformed_description_is_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = common::tiny_bundle(root.path());
    let path = dir.join("bundle.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 99")).unwrap();
    refused(&dir, &["format", "99"]);
    fs::write(&path, text.replace("\"directory\": \"lm\"", "\"directory\": \"../lm\"")).unwrap();
    refused(&dir, &["../lm"]);
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    refused(&dir, &["bundle.json"]);
    refused(Path::new("no/such/bundle"), &["no/such/bundle"]);
}

/// Weights that do not fit the model, sealed as if they did: the loader, not the hash, must notice.
#[test]
fn missing_extra_and_misshaped_tensors_are_named() {
    type Change = fn(&mut Vec<(String, musicot::tch::Tensor)>);
    let changes: [(Change, &str); 3] = [
        (|named| drop(named.remove(0)), "missing"),
        (|named| named.push(("intruder".to_owned(), named[0].1.shallow_clone())), "intruder"),
        (|named| named[0].1 = named[0].1.reshape([-1]), "wrong shape"),
    ];
    for (change, word) in changes {
        let root = tempfile::tempdir().unwrap();
        let dir = common::tiny_bundle(root.path());
        let config = Bundle::open(&dir).unwrap().config().clone();
        let weights = dir.join("diffusion/model.safetensors");
        let stored = Checkpoint::open(&weights).unwrap();
        let mut named: Vec<_> =
            stored.names().into_iter().map(|n| (n.clone(), stored.tensor(&n).unwrap())).collect();
        named.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dim()));
        change(&mut named);
        drop(stored);
        checkpoint::write(&weights, &named, Storage::Native).unwrap();
        Bundle::seal(&dir, config).unwrap();
        let mut generator = Generator::from_bundle(&dir).unwrap();
        let request = generator.request("x").duration_secs(1.0);
        let error = generator.generate(&request, &mut Quiet).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("diffusion"), "`{word}` is not in: {error}");
    }
}

#[test]
fn a_stage_can_be_loaded_alone() {
    let root = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(common::tiny_bundle(root.path())).unwrap();
    let dir = bundle.stage_dir(Stage::Rvq).unwrap();
    musicot::rvq::RvqModel::load(dir, musicot::tch::Device::Cpu).unwrap();
}

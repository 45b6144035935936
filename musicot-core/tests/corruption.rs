//! Damaged checkpoints give errors or other values, never a panic.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::sync::OnceLock;

use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, Init, LoadOptions, ParamStore, Storage};
use proptest::prelude::*;

fn store() -> ParamStore {
    let store = ParamStore::new(Device::Cpu, 1);
    let _ = store.root().param("weight", &[3, 4], Init::Normal(1.0)).unwrap();
    let _ = store.root().param("bias", &[3], Init::Normal(1.0)).unwrap();
    store
}

/// A good file.
fn bytes() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        store().save(&path, Storage::Int8).unwrap();
        std::fs::read(path).unwrap()
    };
    BYTES.get_or_init(make).clone()
}

/// Opens, lists, reads and loads whatever is there.
fn read_all(content: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let Ok(checkpoint) = Checkpoint::open(file.path()) else { return false };
    for name in checkpoint.names() {
        let read = checkpoint.tensor(&name);
        if let (Some(info), Ok(tensor)) = (checkpoint.info(&name), read) {
            assert_eq!(info.shape, tensor.size());
            assert!(info.kind == tensor.kind() || info.kind == Kind::Float);
        }
    }
    let _ = store().load(&checkpoint, &LoadOptions::default());
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut content = bytes();
        for (place, value) in flips {
            let place = place.index(content.len());
            content[place] = value;
        }
        read_all(&content);
    }

    #[test]
    fn every_truncation_is_an_error(place in any::<prop::sample::Index>()) {
        let content = bytes();
        prop_assert!(!read_all(&content[..place.index(content.len())]));
    }

    #[test]
    fn appended_bytes_are_an_error(extra in prop::collection::vec(any::<u8>(), 1..40)) {
        let mut content = bytes();
        content.extend(extra);
        prop_assert!(!read_all(&content));
    }

    #[test]
    fn noise_is_an_error(content in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!read_all(&content));
    }
}

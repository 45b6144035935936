//! Fetching from a hub on this machine: what arrives, what is asked, and what is left when something goes wrong.
#![cfg(feature = "hub")]
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod failures;
mod fetching;
mod server;

use std::path::Path;

use musicot_core::hub::{Hub, HubError, HubModel, Snapshot};
use musicot_core::tch::Device;
use musicot_core::{Error, Init, ParamStore, Result, Storage};
use server::{REPO, Server};

fn hub(server: &Server, cache: &Path) -> Hub {
    Hub::builder().endpoint(&server.address).cache_dir(cache).token(None).offline(false).build().unwrap()
}

fn offline(cache: &Path) -> Hub {
    Hub::builder().cache_dir(cache).offline(true).build().unwrap()
}

fn model() -> HubModel {
    HubModel::new(REPO)
}

fn fetch(hub: &Hub, model: &HubModel) -> Result<Snapshot> {
    hub.fetch(model, &mut |_| {})
}

fn failure(hub: &Hub, model: &HubModel) -> HubError {
    match fetch(hub, model).unwrap_err() {
        Error::Hub(error) => error,
        other => panic!("another kind of error: {other}"),
    }
}

/// A checkpoint of one tensor.
fn weights(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let store = ParamStore::new(Device::Cpu, 3);
    let _ = store.root().param(name, &[40, 30], Init::Normal(1.0)).unwrap();
    store.save(&path, Storage::Native).unwrap();
    std::fs::read(path).unwrap()
}

/// Files under a folder that end in `ending`.
fn left_over(folder: &Path, ending: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(ending)).collect()
}

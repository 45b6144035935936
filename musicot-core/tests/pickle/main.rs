//! Files of `torch.save`: what PyTorch wrote is read exactly, and what could do harm is refused by name.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

mod archive;
mod directories;
mod fuzz;
mod golden;
mod hostile;
mod zips;

use std::path::PathBuf;

use musicot_core::Checkpoint;

use archive::on_disk;

/// The folder with PyTorch's own files.
fn golden_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pickle")
}

/// The reason why this content is refused, which names the file.
fn refusal(content: &[u8]) -> String {
    let (_folder, path) = on_disk(content);
    let message = Checkpoint::open(&path).unwrap_err().to_string();
    assert!(message.contains("file.pt"), "{message}");
    message
}

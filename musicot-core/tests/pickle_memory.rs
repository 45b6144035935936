//! Memory of small files that claim much.
#![cfg(target_os = "linux")]
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

#[path = "pickle/archive.rs"]
mod archive;

use archive::{dict, integer, laughs, on_disk, only, storage, tensor, text, torch_file, tuple};
use musicot_core::Checkpoint;

/// The most memory this process has had, in MiB.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Opens a file of a few kilobytes and reads what it has.
fn read_all(opcodes: &[u8]) {
    let content = torch_file(opcodes);
    assert!(content.len() < 100_000);
    let (_folder, path) = on_disk(&content);
    let Ok(checkpoint) = Checkpoint::open(&path) else { return };
    for name in checkpoint.names() {
        let _ = checkpoint.tensor(&name);
    }
    let _ = checkpoint.metadata();
}

#[test]
fn a_small_file_does_not_take_much_memory() {
    read_all(&only(tensor(0, &[4], &[1])));
    let before = peak_mib();
    // One tensor again and again, each with as many axes as there may be.
    let axes = [1; 32];
    let arguments =
        [storage("FloatStorage", "0", 4), integer(0), tuple(&axes), tuple(&axes), b"NN".to_vec()].concat();
    let rebuilt = [
        b"ctorch._utils\n_rebuild_tensor_v2\n\x94(",
        arguments.as_slice(),
        b"t\x94",
        &b"h\x00h\x01R".repeat(15_000),
    ]
    .concat();
    read_all(&[b"(".to_vec(), rebuilt, b"t".to_vec()].concat());
    // A huge place in the memo; containers without content; a long text that stands for bytes, often.
    read_all(b"Nr\xff\xff\xff\xff");
    read_all(&[b"(".to_vec(), b"}".repeat(90_000), b"t".to_vec()].concat());
    let encode =
        [b"c_codecs\nencode\n\x94".to_vec(), text(&"x".repeat(50_000)), text("latin1"), b"\x86\x94".to_vec()]
            .concat();
    read_all(&[b"(".to_vec(), encode, b"h\x00h\x01R".repeat(9_000), b"t".to_vec()].concat());
    // Lists of lists of lists, and a storage that is said to be large.
    read_all(&dict(&[(text("state_dict"), b"}".to_vec()), (text("x"), laughs(60))]));
    read_all(&only(tensor(0, &[1 << 40], &[0])));
    read_all(&only(storage("FloatStorage", "0", 1 << 40)));
    let growth = peak_mib() - before;
    // Measured: 72 MiB, which are the 64 MiB of metadata and what the allocator keeps of it by chance.
    assert!(growth < 128.0, "grew by {growth:.1} MiB");
}

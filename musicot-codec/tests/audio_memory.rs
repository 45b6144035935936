//! Memory of long files: decoding, resampling and writing in blocks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // also in the helpers of these tests

use std::fs;

use musicot_codec::{AudioReader, Channels, WavOptions, WavWriter};
use musicot_core::AudioBuffer;
use tempfile::TempDir;

/// The most memory this process has had, in MiB.
fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Writes and reads back a file of so many minutes at 8 kHz; returns the frames at 48 kHz.
fn pass_through(path: &std::path::Path, minutes: usize) -> usize {
    let second =
        AudioBuffer::mono((0..8_000).map(|at| (at as f32 * 0.1).sin() * 0.5).collect(), 8_000).unwrap();
    let mut writer = WavWriter::create(path, 8_000, 1, WavOptions::default()).unwrap();
    for _ in 0..minutes * 60 {
        writer.append(&second).unwrap();
    }
    writer.finish().unwrap();
    let reader = AudioReader::open(path).unwrap().with_target(48_000, Channels::Stereo).unwrap();
    reader.map(|block| block.unwrap().frames()).sum()
}

#[test]
fn long_files_take_no_more_memory_than_short_ones() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("long.wav");
    assert_eq!(pass_through(&path, 1), 60 * 48_000);
    let before = peak_mib();
    // 30 minutes: 659 MiB as 48 kHz stereo floats.
    assert_eq!(pass_through(&path, 30), 30 * 60 * 48_000);
    let growth = peak_mib() - before;
    // What the allocator keeps by chance.
    assert!(growth < 8.0, "grew by {growth:.1} MiB");
}

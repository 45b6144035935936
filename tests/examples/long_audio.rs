//! A recording of half an hour, in memory that does not grow with it.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::common::tiny_bundle;
use super::inputs::write_long;
use super::program::{path, with_bundle};

/// Runs a program that must succeed, and returns the most memory that it held, MiB.
fn peak_mib(name: &str, args: &[&str]) -> u64 {
    let mut child =
        Command::new(path(name)).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The kernel keeps the peak itself, so that only growth in the last moment can be missed.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) / 1024);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(ended.success(), "{name} {args:?}");
    assert!(peak > 0, "no memory was measured");
    peak
}

fn minutes(root: &Path, minutes: usize) -> String {
    let file = root.join(format!("{minutes}.wav"));
    write_long(&file, minutes);
    file.to_str().unwrap().to_owned()
}

#[test]
fn half_an_hour_is_read_in_flat_memory() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let (short, long) = (minutes(root.path(), 1), minutes(root.path(), 31));
    let out = root.path().join("out");
    let out = out.to_str().unwrap();
    let analyze =
        |file: &str| peak_mib("analyze", &with_bundle(&bundle, &[file, "--phrases", "piano", "--out", out]));
    let (base, all) = (analyze(&short), analyze(&long));
    // 31 minutes at 48 kHz are 340 MiB of samples; the allocator's own spread is a few tens.
    assert!(all < base + 80, "1 minute: {base} MiB, 31 minutes: {all} MiB");
    let generate = ["--seconds", "3", "--reference", &long, "--out", out];
    let reference = peak_mib("generate", &with_bundle(&bundle, &generate));
    assert!(reference < base + 200, "1 minute: {base} MiB, as reference: {reference} MiB");
}

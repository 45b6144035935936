//! What cannot work ends with one line that names the culprit, and leaves nothing half-written.

use std::fs;
use std::path::Path;
use std::process::Command;

use musicot::core::files::read_json;
use musicot::core::{Checkpoint, Storage, checkpoint};
use musicot::{Bundle, BundleConfig};

use super::common::tiny_bundle;
use super::inputs::{tone, write, write_nan, write_truncated};
use super::program::{bad, good, names, path, refused, with_bundle};

/// The examples that read a recording.
const READERS: [&str; 4] = ["reference", "analyze", "embed", "quantize"];

#[test]
fn recordings_that_are_none_are_named() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, out) = (tiny_bundle(root.path()), root.path().join("out"));
    let at = |name: &str| root.path().join(name);
    write_truncated(&at("truncated.wav"));
    write_nan(&at("nan.wav"));
    write(&at("empty.wav"), &tone(0.0, 8000));
    fs::write(at("text.mp3"), "this is not music\n".repeat(100)).unwrap();
    fs::write(at("nothing.flac"), "").unwrap();
    fs::create_dir(at("folder.wav")).unwrap();
    let cases = [
        ("missing.wav", "missing.wav"),
        ("truncated.wav", "truncated"),
        ("nan.wav", "NaN"),
        ("empty.wav", "empty.wav"),
        ("text.mp3", "not an audio file"),
        ("nothing.flac", "nothing.flac"),
        ("folder.wav", "folder.wav"),
    ];
    let out_dir = out.to_str().unwrap();
    for (name, word) in cases {
        let file = at(name);
        let file = file.to_str().unwrap();
        let args = ["--prompt", "x", "--seconds", "3", "--reference", file, "--out", out_dir];
        bad("generate", &with_bundle(&bundle, &args), &[name, word]);
        for reader in READERS {
            bad(reader, &with_bundle(&bundle, &[file]), &[name, word]);
        }
        let wav = out.join("x.wav");
        bad("codec_roundtrip", &with_bundle(&bundle, &[file, "--out", wav.to_str().unwrap()]), &[name, word]);
        assert!(names(&out).is_empty(), "{name}: {:?}", names(&out));
    }
}

#[test]
fn arguments_out_of_range_are_named() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, out) = (tiny_bundle(root.path()), root.path().join("out"));
    let cases: [(&[&str], &str); 20] = [
        (&[], "prompt"),
        (&["--prompt", " \n "], "prompt"),
        (&["--prompt", "x", "--seconds", "-3"], "duration"),
        (&["--prompt", "x", "--seconds", "0"], "duration"),
        (&["--prompt", "x", "--seconds", "nan"], "duration"),
        (&["--prompt", "x", "--seconds", "inf"], "duration"),
        (&["--prompt", "x", "--seconds", "1e300"], "duration"),
        (&["--prompt", "x", "--seconds", "soon"], "--seconds"),
        (&["--prompt", "x", "--seed", "-1"], "--seed"),
        (&["--prompt", "x", "--tempo", "fast"], "--tempo"),
        (&["--prompt", "x", "--tempo", "nan", "--seconds", "1"], "tempo"),
        (&["--prompt", "x", "--key", "H dur"], "H dur"),
        (&["--prompt", "x", "--sections", "verse:x"], "verse:x"),
        (&["--prompt", "x", "--lyrics", "no/such.txt"], "no/such.txt"),
        (&["--prompt", "x", "--device", "gpu"], "gpu"),
        (&["--prompt", "x", "--device", "cuda:99"], "cuda:99"),
        (&["--prompt", "x", "--threads", "0"], "--threads"),
        (&["--prompt", "x", "--volume", "11"], "--volume"),
        (&["--prompt", "x", "stray"], "stray"),
        (&["--prompt"], "--prompt"),
    ];
    for (args, culprit) in cases {
        // The last case must end with its flag.
        let mut words = vec!["--out", out.to_str().unwrap(), "--bundle", bundle.to_str().unwrap()];
        words.extend(args);
        bad("generate", &words, &[culprit]);
        assert!(names(&out).is_empty(), "{args:?}: {:?}", names(&out));
    }
}

#[test]
fn bundles_that_are_none_are_named() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let try_bundle = |dir: &Path, culprits: &[&str]| {
        let args = ["--prompt", "x", "--seconds", "2", "--out", out.to_str().unwrap()];
        bad("generate", &with_bundle(dir, &args), culprits);
        assert!(names(&out).is_empty(), "{:?}", names(&out));
    };
    try_bundle(&root.path().join("nowhere"), &["nowhere", "--bundle", "train-mini"]);
    try_bundle(root.path(), &["bundle.json"]);

    let bundle = tiny_bundle(root.path());
    let weights = bundle.join("lm/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    try_bundle(&bundle, &["lm", "model.safetensors"]);
    // Sealed as if it were right: the reader of the weights must notice.
    Bundle::seal(&bundle, config_of(&bundle)).unwrap();
    try_bundle(&bundle, &["model.safetensors"]);
    fs::remove_file(&weights).unwrap();
    try_bundle(&bundle, &["lm", "model.safetensors"]);
}

/// `bundle.json` as it is, without a look at the files that it names.
fn config_of(bundle: &Path) -> BundleConfig {
    read_json(bundle.join("bundle.json")).unwrap()
}

/// Tensors of a stage that are changed and sealed as if that were right.
#[test]
fn tensors_that_do_not_fit_are_named() {
    type Change = fn(&mut Vec<(String, musicot::tch::Tensor)>);
    let changes: [(Change, &str); 4] = [
        (|named| drop(named.remove(0)), "missing"),
        (|named| named.push(("intruder".to_owned(), named[0].1.shallow_clone())), "intruder"),
        (|named| named[0].1 = named[0].1.reshape([-1, 1]), "shape"),
        (|named| named[0].1 = named[0].1.to_kind(musicot::tch::Kind::Int64), "model.safetensors"),
    ];
    let root = tempfile::tempdir().unwrap();
    let (bundle, out) = (tiny_bundle(root.path()), root.path().join("out"));
    let file = bundle.join("diffusion/model.safetensors");
    let sound = fs::read(&file).unwrap();
    for (change, word) in changes {
        fs::write(&file, &sound).unwrap();
        let stored = Checkpoint::open(&file).unwrap();
        let mut named: Vec<_> =
            stored.names().into_iter().map(|name| (name.clone(), stored.tensor(&name).unwrap())).collect();
        // Matrices first: a changed shape must be another one.
        named.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dim()));
        drop(stored);
        change(&mut named);
        checkpoint::write(&file, &named, Storage::Native).unwrap();
        Bundle::seal(&bundle, config_of(&bundle)).unwrap();
        let args = ["--prompt", "x", "--seconds", "1", "--out", out.to_str().unwrap()];
        bad("generate", &with_bundle(&bundle, &args), &["model.safetensors", word]);
        assert!(names(&out).is_empty(), "{:?}", names(&out));
    }
}

#[test]
fn folders_that_cannot_be_written_to_fail_before_the_work() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let file = root.path().join("file");
    fs::write(&file, "kept").unwrap();
    for out in [file.clone(), file.join("below"), "/dev/full".into(), "/proc/nothing".into()] {
        let out = out.to_str().unwrap();
        let args = with_bundle(&bundle, &["--prompt", "x", "--seconds", "600", "--out", out]);
        let ran: super::program::Ran = Command::new(path("generate")).args(&args).output().unwrap().into();
        assert!(!ran.err.contains("planning"), "worked before it looked: {}", ran.err);
        refused(ran, out, &[out]);
        let song = root.path().join("tone.wav");
        write(&song, &tone(1.0, 8000));
        bad("analyze", &with_bundle(&bundle, &[song.to_str().unwrap(), "--out", out]), &[out]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}

/// Files may grow to 16 KiB (bash counts in KiB) only: the disk is full as soon as the song is written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, out) = (tiny_bundle(root.path()), root.path().join("out"));
    let script = r#"trap "" XFSZ; ulimit -f 16; exec "$@""#;
    let args = with_bundle(&bundle, &["--prompt", "x", "--seconds", "2", "--out", out.to_str().unwrap()]);
    let output =
        Command::new("sh").args(["-c", script, "sh"]).arg(path("generate")).args(&args).output().unwrap();
    refused(output.into(), "generate on a full disk", &["song.wav"]);
    assert!(names(&out).is_empty(), "{:?}", names(&out));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error_and_no_panic() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let args = with_bundle(&bundle, &["--random", "8"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(path("quantize")).args(&args).stdout(full).output().unwrap();
    refused(output.into(), "quantize > /dev/full", &["standard output"]);
}

#[test]
fn plans_that_are_none_are_named() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, plan, out) =
        (tiny_bundle(root.path()), root.path().join("plan.json"), root.path().join("out"));
    let args = ["--prompt", "x", "--seconds", "1", "--out", root.path().to_str().unwrap()];
    good("generate", &with_bundle(&bundle, &args));
    let sound = fs::read_to_string(&plan).unwrap();
    for (text, word) in [
        (sound[..sound.len() / 2].to_owned(), "plan.json"),
        (sound.replacen("\"format\": 1", "\"format\": 7", 1), "format"),
        ("[]".to_owned(), "plan.json"),
    ] {
        fs::write(&plan, text).unwrap();
        let args = [plan.to_str().unwrap(), "--out", out.to_str().unwrap()];
        bad("analyze", &with_bundle(&bundle, &args), &[word]);
    }
    fs::write(&plan, sound).unwrap();
    bad("analyze", &with_bundle(&bundle, &[plan.to_str().unwrap(), "--phrases", ","]), &["phrases"]);
    assert!(names(&out).is_empty());
}

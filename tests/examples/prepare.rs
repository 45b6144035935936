//! `prepare`: a folder to a manifest.

use std::fs;
use std::path::Path;

use musicot::core::train::{Dataset, Split};

use super::inputs::{tone, write, write_nan, write_truncated};
use super::program::{bad, good, run};

/// Two recordings with everything that may lie beside them.
pub fn folder(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("album/stems/two")).unwrap();
    fs::create_dir_all(at("one.stems")).unwrap();
    write(&at("one.wav"), &tone(12.0, 16_000));
    write(&at("album/two.wav"), &tone(11.0, 22_050));
    write(&at("one.stems/Piano.wav"), &tone(12.0, 16_000));
    write(&at("one.stems/drums-2.wav"), &tone(11.5, 8000));
    write(&at("album/stems/two/bass.wav"), &tone(11.0, 22_050));
    fs::write(at("one.txt"), "calm piano\n\na quiet song\n").unwrap();
    fs::write(at("album/two.txt"), "loud drums\n").unwrap();
    fs::write(at("one.lrc"), "[ti:One]\n[00:01.00]first line\n[00:04.50]second\n[00:06.00]\n").unwrap();
    fs::write(at("album/two.lyrics.json"), r#"[{"start_secs": 0.5, "end_secs": 1.0, "text": "la"}]"#)
        .unwrap();
    let sections = r#"[{"label": "intro", "start_secs": 0, "end_secs": 5}, {"label": "verse", "start_secs": 5, "end_secs": 12.2}]"#;
    fs::write(at("one.sections.json"), sections).unwrap();
    fs::write(at("one.tags.json"), r#"{"tempo_bpm": 90, "key": "C major", "instruments": ["piano"]}"#)
        .unwrap();
}

#[test]
fn a_folder_becomes_a_manifest() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path());
    fs::write(root.path().join("three.lrc"), "[00:01.00]nobody sings this\n").unwrap();
    let ran = good("prepare", &[root.path().to_str().unwrap(), "--split", "heldout"]);
    assert!(ran.out.contains("2 recordings") && ran.out.contains("3 stems"), "{}", ran.out);
    assert!(ran.err.contains("three.lrc"), "{}", ran.err);

    let dataset = Dataset::open(root.path().join("manifest.jsonl")).unwrap();
    let [two, one] = dataset.records() else { panic!("{:?}", dataset.records()) };
    assert_eq!((one.id.as_str(), two.id.as_str()), ("one", "album/two"));
    assert_eq!((one.duration_secs, two.duration_secs, one.split), (12.0, 11.0, Split::Heldout));
    assert_eq!(one.captions, ["calm piano", "a quiet song"]);
    assert_eq!((one.tags.tempo_bpm, one.tags.key.as_deref()), (Some(90.0), Some("C major")));
    let lines: Vec<_> =
        one.lyrics.iter().map(|line| (line.start_secs, line.end_secs, line.text.as_str())).collect();
    assert_eq!(lines, [(1.0, Some(4.5), "first line"), (4.5, Some(6.0), "second")]);
    assert_eq!((two.lyrics.len(), two.lyrics[0].text.as_str()), (1, "la"));
    // An end that is a little late is that of the recording.
    assert_eq!((one.sections.len(), one.sections[1].end_secs), (2, 12.0));
    let families: Vec<_> = one.stems.iter().chain(&two.stems).map(|stem| stem.family.as_str()).collect();
    assert_eq!(families, ["piano", "drums", "bass"]);
    for record in dataset.records() {
        assert!(record.audio.is_relative());
        let paths = record.stems.iter().map(|stem| &stem.audio).chain([&record.audio]);
        assert!(paths.into_iter().all(|path| dataset.resolve(path).is_file()), "{record:?}");
    }
}

#[test]
fn every_bad_file_is_named_and_nothing_is_written() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path());
    let at = |name: &str| root.path().join(name);
    write_nan(&at("nan.wav"));
    write_truncated(&at("short.wav"));
    fs::write(at("text.mp3"), "words").unwrap();
    let companions: [(&str, &str, &str); 9] = [
        ("a", ".lrc", "no time here"),
        ("b", ".lrc", "[00:59.00]after the end"),
        ("c", ".lyrics.json", r#"[{"start_secs": 2, "end_secs": 1, "text": "x"}]"#),
        ("d", ".lyrics.json", r#"[{"start_secs": "soon", "text": "x"}]"#),
        (
            "e",
            ".sections.json",
            r#"[{"label": "a", "start_secs": 0, "end_secs": 2}, {"label": "b", "start_secs": 1, "end_secs": 3}]"#,
        ),
        ("f", ".sections.json", r#"[{"label": "a", "start_secs": 0, "end_secs": 9}]"#),
        ("g", ".tags.json", r#"{"tempo_bpm": -1}"#),
        ("h", ".tags.json", r#"{"key": "H"}"#),
        ("i", ".txt", "\u{0}"),
    ];
    for (name, ending, text) in companions {
        write(&at(&format!("{name}.wav")), &tone(4.0, 8000));
        fs::write(at(&format!("{name}{ending}")), text).unwrap();
    }
    fs::write(at("i.txt"), [0xff, 0xfe, 0x00]).unwrap();
    write(&at("j.wav"), &tone(4.0, 8000));
    fs::create_dir(at("j.stems")).unwrap();
    write(&at("j.stems/bass.wav"), &tone(1.0, 8000));
    write(&at("k.wav"), &tone(4.0, 8000));
    fs::write(at("k.mp3"), "the same name").unwrap();

    let folder = root.path().to_str().unwrap();
    let ran = run("prepare", &[folder]);
    assert!(!ran.success && !ran.err.contains("panicked"), "{}{}", ran.out, ran.err);
    let names = ["nan.wav", "short.wav", "text.mp3", "bass.wav", "k.mp3"].map(str::to_owned).into_iter();
    for name in names.chain(companions.map(|(name, ending, _)| format!("{name}{ending}"))) {
        assert!(
            ran.err.lines().any(|line| line.contains(&format!("/{name}"))),
            "{name} is not named: {}",
            ran.err
        );
    }
    assert!(!at("manifest.jsonl").exists());

    good("prepare", &[folder, "--skip-bad"]);
    let dataset = Dataset::open(at("manifest.jsonl")).unwrap();
    assert_eq!(
        dataset.records().iter().map(|record| record.id.as_str()).collect::<Vec<_>>(),
        ["album/two", "one"]
    );
}

#[test]
fn folders_that_are_none_are_named() {
    let root = tempfile::tempdir().unwrap();
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    bad("prepare", &["no/such/folder"], &["no/such/folder"]);
    bad("prepare", &[empty.to_str().unwrap()], &["empty"]);
    bad("prepare", &[], &["folder"]);
    write(&empty.join("a.wav"), &tone(1.0, 8000));
    bad("prepare", &[empty.to_str().unwrap(), "--out", "/dev/full/manifest.jsonl"], &["/dev/full"]);
    bad("prepare", &[empty.to_str().unwrap(), "--split", "both"], &["both"]);
    let usage = run("prepare", &["--help"]);
    assert!(usage.success && usage.out.contains("--skip-bad"));
}

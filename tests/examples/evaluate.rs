//! `evaluate`: every section on a small corpus of tones.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::common::tiny_bundle;
use super::prepare::folder;
use super::program::{bad, good, names};

fn figure<'a>(section: &'a Value, name: &str) -> &'a Value {
    let figures = section["figures"].as_array().unwrap();
    let found = figures.iter().find(|figure| figure["name"].as_str().unwrap().contains(name));
    found.unwrap_or_else(|| panic!("no `{name}` in {section}"))
}

fn value(section: &Value, name: &str) -> f64 {
    figure(section, name)["value"].as_f64().unwrap_or_else(|| panic!("no value of `{name}` in {section}"))
}

/// The cells of a row of a section's wide tables.
fn cells(section: &Value, row: &str) -> Vec<Option<f64>> {
    let mut rows =
        section["tables"].as_array().unwrap().iter().flat_map(|table| table["rows"].as_array().unwrap());
    let found = rows.find(|found| found["name"].as_str().unwrap().contains(row));
    let cells = found.unwrap_or_else(|| panic!("no row `{row}` in {section}"))["cells"].as_array().unwrap();
    cells.iter().map(|cell| cell["value"].as_f64()).collect()
}

/// Two recordings with stems, captions and tags, and their manifest.
fn corpus(root: &Path) -> String {
    folder(root);
    fs::write(root.join("album/two.tags.json"), r#"{"tempo_bpm": 120, "key": "A minor", "mood": "sad"}"#)
        .unwrap();
    good("prepare", &[root.to_str().unwrap(), "--split", "heldout"]);
    root.join("manifest.jsonl").to_str().unwrap().to_owned()
}

/// A transcriber that hears the same note in every file; its first arguments are the script, `transcribe` and the file to write.
#[cfg(unix)]
fn one_note(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let script = r#"#!/bin/sh
out=$3; shift 3; : > "$out"
for file in "$@"; do
    test -s "$file" || exit 1
    printf '{"file": "%s", "notes": [{"onset_secs": 0.5, "pitch": 60}]}\n' "$(basename "$file")" >> "$out"
done
"#;
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_section_is_measured() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("corpus")).unwrap();
    let (manifest, out) = (corpus(&root.path().join("corpus")), at("report"));
    let bundle = bundle.to_str().unwrap();
    let pieces = ["--heldout", &manifest, "--train", &manifest, "--stems", &manifest];
    let base = [["--bundle", bundle, "--threads", "1"].as_slice(), &pieces].concat();
    let sizes = ["--prompts", "2", "--solos", "1", "--secs", "6.5"];
    let lm = format!("{bundle}/lm");
    let all = [sizes.as_slice(), &["--no-plan-lm", &lm, "--out", &out]].concat();

    let ran = good("evaluate", &[base.as_slice(), &all].concat());
    assert_eq!(names(&root.path().join("report")), ["evaluate.json", "evaluate.md"]);
    let report: Value = serde_json::from_slice(&fs::read(at("report/evaluate.json")).unwrap()).unwrap();
    let sections = report["sections"].as_array().unwrap();
    let found: Vec<_> = sections.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["codec", "tokens", "clap", "thoughts", "lm", "budget", "generation", "obedience"]);
    let markdown = fs::read_to_string(at("report/evaluate.md")).unwrap();
    for (section, name) in sections.iter().zip(&found) {
        assert!(ran.out.contains(name) && markdown.contains(name), "{name}");
        let figures = section["figures"].as_array().unwrap();
        assert!(figures.iter().any(|figure| figure["value"].is_f64()), "nothing measured: {section}");
        for figure in figures {
            // Either a value or the reason why there is none.
            assert!(figure["value"].is_f64() != figure["reason"].is_string(), "{figure}");
        }
    }
    // What is known of an untrained model: it guesses among 32 tokens, and is no better than itself.
    let lm = &sections[4];
    assert!((value(lm, "uniform guess") - 32_f64.ln()).abs() < 1e-9);
    assert!((value(lm, "nll with the right plan") - 32_f64.ln()).abs() < 0.5);
    assert_eq!(value(&sections[6], "clips"), 4.0);
    // An original is its own perfect copy; without a third piece there is nothing to measure distances from.
    assert_eq!(cells(&sections[5], "original audio")[..2], [Some(1.0), Some(1.0)]);
    assert_eq!(cells(&sections[5], "LM plan > ")[..2], [None, None]);
    assert!(value(&sections[5], "largest loss of chroma") > 0.0);
    // A clip per family that has stems, then those with tempo and key, and those with seams.
    let obedience = &sections[7];
    assert_eq!(cells(obedience, "piano")[0], Some(1.0));
    assert_eq!(value(obedience, "clips"), (3 + 2 + 1 + 2) as f64);
    // The judge of stems was fitted on these very stems.
    assert_eq!(value(obedience, "ceiling: held-out stems, by the probe"), 1.0);
    assert!(cells(obedience, "ceiling")[5].is_some() && value(obedience, "seams") > 0.0);
    // The reconstruction of a tone from its own magnitudes has the tone's chroma; an untrained decoder's has not.
    let codec = &sections[0];
    assert!(value(codec, "ceiling") > 0.9, "{codec}");

    bad("evaluate", &[base.as_slice(), &["--only", "song", "--out", &at("none")]].concat(), &["song"]);
    let missing = at("nowhere.jsonl");
    bad("evaluate", &["--bundle", bundle, "--heldout", &missing, "--out", &at("none")], &["nowhere.jsonl"]);
    assert!(!root.path().join("none/evaluate.json").exists());
}

#[cfg(unix)]
#[test]
fn notes_are_those_of_a_transcriber() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("corpus")).unwrap();
    let manifest = corpus(&root.path().join("corpus"));
    one_note(&root.path().join("python"));
    let measure = |python: &str, out: &str| -> Value {
        let bundle = ["--bundle", bundle.to_str().unwrap(), "--heldout", &manifest, "--threads", "1"];
        let what = ["--only", "codec", "--pieces", "2", "--transcriber", python, "--out", out];
        good("evaluate", &[bundle.as_slice(), &what].concat());
        let report = fs::read(Path::new(out).join("evaluate.json")).unwrap();
        serde_json::from_slice::<Value>(&report).unwrap()["sections"][0].take()
    };
    let heard = measure(&at("python"), &at("heard"));
    assert_eq!(value(&heard, "codec: note F1"), 1.0);
    assert_eq!(figure(&heard, "codec: note F1")["verdict"], "pass");
    assert_eq!(value(&heard, "another piece: note F1"), 1.0);
    // Nobody there: the other figures stay.
    let deaf = measure(&at("nobody"), &at("deaf"));
    assert!(figure(&deaf, "codec: note F1")["reason"].as_str().unwrap().contains("nobody"));
    assert!(value(&deaf, "codec: chroma") > 0.0);
}

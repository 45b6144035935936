//! `evaluate`: every section on a small corpus of tones.

use std::fs;

use serde_json::Value;

use super::common::tiny_bundle;
use super::prepare::folder;
use super::program::{bad, good, names};

fn value(section: &Value, figure: &str) -> f64 {
    let figures = section["figures"].as_array().unwrap();
    let found = figures.iter().find(|f| f["name"].as_str().unwrap().contains(figure));
    found.unwrap_or_else(|| panic!("no `{figure}` in {section}"))["value"].as_f64().unwrap()
}

#[test]
fn every_section_is_measured() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("corpus")).unwrap();
    folder(&root.path().join("corpus"));
    good("prepare", &[&at("corpus"), "--split", "heldout"]);
    let (manifest, out) = (at("corpus/manifest.jsonl"), at("report"));
    let bundle = bundle.to_str().unwrap();
    let base = ["--bundle", bundle, "--heldout", &manifest, "--train", &manifest, "--threads", "1"];
    let all = ["--prompts", "2", "--secs", "2", "--no-plan-lm", &format!("{bundle}/lm"), "--out", &out];

    let ran = good("evaluate", &[base.as_slice(), all.as_slice()].concat());
    assert_eq!(names(&root.path().join("report")), ["evaluate.json", "evaluate.md"]);
    let report: Value = serde_json::from_slice(&fs::read(at("report/evaluate.json")).unwrap()).unwrap();
    let sections = report["sections"].as_array().unwrap();
    let found: Vec<_> = sections.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["codec", "tokens", "clap", "thoughts", "lm", "generation"]);
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
    assert_eq!(value(&sections[5], "clips"), 4.0);
    // The reconstruction of a tone from its own magnitudes has the tone's chroma; an untrained decoder's has not.
    let codec = &sections[0];
    assert!(value(codec, "ceiling") > 0.9, "{codec}");

    bad("evaluate", &[base.as_slice(), &["--only", "song", "--out", &at("none")]].concat(), &["song"]);
    let missing = at("nowhere.jsonl");
    bad("evaluate", &["--bundle", bundle, "--heldout", &missing, "--out", &at("none")], &["nowhere.jsonl"]);
    assert!(!root.path().join("none/evaluate.json").exists());
}

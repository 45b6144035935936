//! `experiments`: every experiment on a small corpus of tones and an untrained model, with tiny counts.

use std::fs;
use std::path::Path;

use musicot::core::Storage;
use musicot::core::files::{read_json, write_json};
use musicot::lm::train::{LmTrainConfig, TokenDataset};
use musicot::lm::{MusicLm, MusicLmConfig, MusicVocab, PlanMode, ThoughtOrder};
use musicot::tch::Device;
use serde_json::{Value, json};

use super::common::tiny_bundle;
use super::prepare::folder;
use super::program::{bad, good, names};

/// A corpus that is its own held-out part, its tokens, and the flags that name all of it.
struct Place {
    root: tempfile::TempDir,
    flags: Vec<String>,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
        let bundle = tiny_bundle(root.path());
        fs::create_dir(at("corpus")).unwrap();
        folder(&root.path().join("corpus"));
        good("prepare", &[&at("corpus"), "--split", "heldout"]);
        let stage = |name: &str| bundle.join(name).to_str().unwrap().to_owned();
        let manifest = at("corpus/manifest.jsonl");
        for split in ["train", "heldout"] {
            let (clap, rvq) = (stage("clap"), stage("rvq"));
            let (semantic, codec) = (stage("semantic"), stage("codec"));
            let stages = ["--clap", &clap, "--rvq", &rvq, "--semantic", &semantic, "--codec", &codec];
            let out = at(&format!("encoded/{split}"));
            good("train", &[["encode", "--manifest", &manifest, "--out", &out].as_slice(), &stages].concat());
        }
        let vectors = at("vectors.safetensors");
        let windows = ["--manifest", &manifest, "--hop-secs", "2", "--out", &vectors];
        good("train", &[["embeddings", "--clap", &stage("clap")].as_slice(), &windows].concat());
        let flags =
            ["--bundle", bundle.to_str().unwrap(), "--heldout", &manifest, "--train", &manifest, "--encoded"];
        let more = [
            at("encoded"),
            "--vectors".into(),
            vectors,
            "--data".into(),
            at("data"),
            "--runs".into(),
            at("runs"),
            "--quick".into(),
        ];
        let last = ["--prompts", "2", "--threads", "1"];
        let flags = flags.map(str::to_owned).into_iter().chain(more).chain(last.map(str::to_owned)).collect();
        Self { root, flags }
    }

    fn at(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn args<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        words.iter().copied().chain(self.flags.iter().map(String::as_str)).collect()
    }

    /// Runs an experiment and returns its report.
    fn run(&self, name: &str, more: &[&str]) -> Value {
        let out = self.at("out");
        let ran = good("experiments", &self.args(&[&[name, "--out", &out], more].concat()));
        let markdown = fs::read_to_string(self.at(&format!("out/{name}.md"))).unwrap();
        assert!(markdown.starts_with("## ") && markdown.contains("experiments "), "{markdown}");
        assert!(ran.out.contains(&format!("{name}.json")), "{}", ran.out);
        read_json(self.at(&format!("out/{name}.json"))).unwrap()
    }

    /// An untrained language model as one of the experiments' own, with a changed configuration.
    fn take_model(&self, name: &str, change: impl Fn(&mut MusicLmConfig)) {
        let mut config: MusicLmConfig = read_json(self.at("tiny/lm/config.json")).unwrap();
        change(&mut config);
        config.llama.vocab_size = MusicVocab::new(config.vocab.clone()).unwrap().size();
        let model = MusicLm::new(config, Device::Cpu, 7).unwrap();
        model.save(self.root.path().join("runs").join(name).join("model"), Storage::Native).unwrap();
    }
}

fn blocks<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    report["blocks"].as_array().unwrap().iter().filter(|block| block[kind].is_string()).collect()
}

/// Every picture that a report names is there, and there are so many.
fn expect_pictures(place: &Place, report: &Value, least: usize) {
    let pictures = blocks(report, "picture");
    assert!(pictures.len() >= least, "{report}");
    for picture in pictures {
        let file = place.at(&format!("out/{}", picture["picture"].as_str().unwrap()));
        assert!(fs::read_to_string(file).unwrap().starts_with("<svg"));
    }
}

#[test]
fn thoughts_are_quantised_read_and_sampled() {
    let place = Place::new();
    let rvq = place.run("rvq", &[]);
    expect_pictures(&place, &rvq, 2);
    let cosines = &blocks(&rvq, "table")[0]["rows"];
    let cosine = |row: usize| cosines[row][1]["mean"].as_f64().unwrap();
    // Four vectors are their own codewords.
    assert!(cosine(1) > 0.999 && cosine(1) > cosine(0), "{cosines}");

    let read = place.run("analyzability", &[]);
    let table = blocks(&read, "table")[0]["rows"].as_array().unwrap();
    let anchors: Vec<_> = table.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(anchors, ["bass", "drums", "piano"]);

    let obeyed = place.run("obedience", &["--secs", "7"]);
    assert!(blocks(&obeyed, "not_measured").is_empty(), "{obeyed}");
    expect_pictures(&place, &obeyed, 3);
    let fits = blocks(&obeyed, "table").into_iter().find(|table| table["headings"][0] == "plans").unwrap();
    let fits = fits["rows"].as_array().unwrap().iter().map(|row| row[1]["mean"].as_f64().unwrap());
    assert!(fits.collect::<Vec<_>>().is_sorted(), "more drafts fit worse: {obeyed}");

    let rendered = place.run("diffusion", &["--secs", "7"]);
    assert!(blocks(&rendered, "not_measured").is_empty(), "{rendered}");
    expect_pictures(&place, &rendered, 2);
    let tables = blocks(&rendered, "table");
    let arms = |table: usize| tables[table]["rows"].as_array().unwrap();
    // Values and their differences, by turns; beside the ways to sample the pieces themselves.
    assert_eq!((arms(0).len(), arms(2).len()), (4 + 1, 6 + 1), "{rendered}");
    // What the tiny model, which was not trained, makes of any condition is the same, whatever its scale.
    assert_ne!(arms(0)[0][3], arms(0)[3][3], "the temperature makes no difference: {rendered}");
    assert_eq!(arms(2)[5][0], "tokens 2, thoughts and text 4");

    let sampled = place.run("sampling", &["--secs", "7", "--lm", &place.at("tiny/lm")]);
    expect_pictures(&place, &sampled, 3);
    let arms = blocks(&sampled, "table")[0]["rows"].as_array().unwrap();
    let names: Vec<_> = arms.iter().map(|row| row[0].as_str().unwrap()).collect();
    // Four cells, what the bundle is delivered with, and the pieces themselves.
    assert!(names.len() == 6 && names[0].starts_with("dual") && names[4].contains("bundle"), "{names:?}");
}

#[test]
fn arms_that_are_missing_are_told_and_the_others_measured() {
    let place = Place::new();
    let (tokens, manifest) = (place.at("encoded/heldout/tokens"), place.at("corpus/manifest.jsonl"));
    let from = ["--tokens", &tokens, "--manifest", &manifest];
    for (kind, name, more) in [
        ("words", "words", [].as_slice()),
        ("levels", "depth-2", &["--levels", "2"]),
        ("short", "short", &["--secs", "5"]),
    ] {
        let out = place.at(&format!("data/{name}/heldout"));
        let args = [["tokens", kind, "--out", &out].as_slice(), &from, more].concat();
        good("experiments", &[args.as_slice(), &["--bundle", &place.at("tiny")]].concat());
        let made = TokenDataset::read(&out).unwrap();
        let windows: Vec<usize> = made.pieces().iter().map(|piece| piece.thoughts.nrows()).collect();
        let (levels, size) = (made.info().levels, made.info().codebook_size);
        match kind {
            // A label and twelve families; piece `one` has sections and names no instruments in them.
            "words" => assert_eq!((levels, size, made.pieces()[1].thoughts[[0, 0]]), (13, 6, 2)),
            "levels" => assert_eq!((levels, size), (2, 8)),
            _ => assert_eq!((made.info().window_tokens, windows), (125, vec![2, 2])),
        }
    }
    place.take_model("lm-thoughts", |_| ());
    let reasons = |report: &Value| -> Vec<String> {
        blocks(report, "not_measured")
            .iter()
            .map(|block| block["reason"].as_str().unwrap().to_owned())
            .collect()
    };
    for (name, run) in [("plan", "lm-none"), ("order", "lm-depth-2")] {
        let report = place.run(name, &["--secs", "3"]);
        let told = reasons(&report);
        assert!(told.iter().any(|reason| reason.contains(&format!("--only {run}"))), "{told:?}");
        assert!(blocks(&report, "table").len() >= 3, "{report}");
    }
    place.take_model("lm-none", |config| config.plan = PlanMode::None);
    place.take_model("lm-words", |config| {
        (config.vocab.levels, config.vocab.codebook_size) = (13, 6);
    });
    place.take_model("lm-depth-2", |config| config.vocab.levels = 2);
    place.take_model("lm-level-major", |config| config.thought_order = ThoughtOrder::LevelMajor);
    place.take_model("lm-5s", |config| config.plan_window_secs = 5.0);
    let report = place.run("plan", &["--secs", "8"]);
    assert!(reasons(&report).is_empty(), "{report}");
    let arms = |report: &Value| -> Vec<String> {
        let tables = blocks(report, "table");
        let of_audio = tables.iter().find(|table| table["headings"][1].as_str().unwrap().contains("CLAP"));
        let rows = of_audio.unwrap()["rows"].as_array().unwrap().iter();
        rows.map(|row| row[0].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(arms(&report).len(), 5, "{report}");
    expect_pictures(&place, &report, 1);
    let report = place.run("order", &["--secs", "3"]);
    assert_eq!(arms(&report)[..3], ["time-major, 3 levels", "level-major, 3 levels", "time-major, 2 levels"]);
    let report = place.run("robustness", &["--secs", "7", "--seeds", "2"]);
    assert!(reasons(&report).is_empty(), "{report}");
    bad("experiments", &place.args(&["plans"]), &["plans", "analyzability"]);
    bad("experiments", &place.args(&["tokens", "pictures", "--tokens", &tokens]), &["pictures", "words"]);
}

#[test]
fn references_are_audited_and_listeners_counted() {
    let place = Place::new();
    let referred = place.run("reference", &["--secs", "12"]);
    assert!(blocks(&referred, "not_measured").is_empty(), "{referred}");
    let found = *blocks(&referred, "table").last().unwrap();
    assert!(found["table"].as_str().unwrap().contains("trained on"), "{found}");

    place.take_model("lm-thoughts", |_| ());
    place.take_model("lm-none", |config| config.plan = PlanMode::None);
    let made = place.run("listening", &["--secs", "4"]);
    assert!(made["blocks"].to_string().contains("no mean opinion score is claimed"));
    let listening = place.root.path().join("out/listening");
    assert!(names(&listening).len() >= 2, "{:?}", names(&listening));
    let page = fs::read_to_string(listening.join("index.html")).unwrap();
    let key: Value = read_json(place.at("out/listening-key.json")).unwrap();
    let answers: Vec<Value> = key["trials"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(trial, secret)| match secret["systems"].as_array().unwrap().len() {
            1 => json!({ "trial": trial, "score": 4 }),
            // Whoever hears this prefers the alphabet's first.
            _ => json!({ "trial": trial, "choice": if secret["systems"][0].as_str() < secret["systems"][1].as_str() { "a" } else { "b" } }),
        })
        .collect();
    assert!(
        !page.contains("single temperature")
            && page.contains(key["trials"].as_object().unwrap().keys().next().unwrap())
    );
    let results = place.at("results.json");
    write_json(&results, &json!({ "listener": "x", "answers": answers })).unwrap();
    let summed = place.run("listening", &["--results", &results]);
    let tables = blocks(&summed, "table");
    assert_eq!(tables[0]["rows"][0][2]["mean"], 4.0);
    assert_eq!(tables[1]["rows"][0][2]["mean"], 1.0);
    write_json(&results, &json!({ "listener": "x", "answers": [{ "trial": "t999", "score": 3 }] })).unwrap();
    bad(
        "experiments",
        &place.args(&["listening", "--out", &place.at("out"), "--results", &results]),
        &["t999"],
    );
}

#[test]
fn the_recipes_of_the_arms_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/recipe/experiments");
    let recipes: Vec<String> = names(&folder).into_iter().filter(|name| name.starts_with("lm-")).collect();
    assert_eq!(recipes.len(), 7, "{recipes:?}");
    for recipe in recipes {
        let config: LmTrainConfig = read_json(folder.join(&recipe)).unwrap();
        config.validate().unwrap_or_else(|error| panic!("{recipe}: {error}"));
    }
}

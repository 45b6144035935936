//! `train`: the steps from a folder of recordings to a bundle, one after the other.

use std::fs;

use musicot::Bundle;
use musicot::rvq::RvqModel;
use musicot::tch::Device;
use serde_json::json;

use super::common::tiny_bundle;
use super::prepare::folder;
use super::program::{bad, good};

#[test]
fn a_corpus_is_embedded_quantised_encoded_and_bundled() {
    let root = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle(root.path());
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let stage = |name: &str| bundle.join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("corpus")).unwrap();
    folder(&root.path().join("corpus"));
    good("prepare", &[&at("corpus")]);
    let manifest = at("corpus/manifest.jsonl");

    let vectors = at("vectors.safetensors");
    let embed = [
        "embeddings",
        "--clap",
        &stage("clap"),
        "--manifest",
        &manifest,
        "--hop-secs",
        "1",
        "--out",
        &vectors,
    ];
    let ran = good("train", &embed);
    assert!(ran.out.contains("vectors in "), "{}", ran.out);

    let config = json!({ "model": { "dim": 16, "levels": 3, "codebook_size": 2 }, "steps": 5, "batch": 4, "checkpoint_every": 2 });
    fs::write(at("rvq.json"), config.to_string()).unwrap();
    let fit = [
        "rvq",
        "--config",
        &at("rvq.json"),
        "--run",
        &at("run"),
        "--vectors",
        &vectors,
        "--heldout",
        &vectors,
    ];
    let ran = good("train", &fit);
    assert!(ran.out.contains("5 steps done") && ran.out.contains("run/model"), "{}", ran.out);
    RvqModel::load(at("run/model"), Device::Cpu).unwrap();

    let encode = [
        "encode",
        "--clap",
        &stage("clap"),
        "--rvq",
        &at("run/model"),
        "--semantic",
        &stage("semantic"),
        "--codec",
        &stage("codec"),
        "--manifest",
        &manifest,
        "--out",
        &at("encoded"),
    ];
    let ran = good("train", &encode);
    assert!(ran.out.starts_with("2 pieces"), "{}", ran.out);
    musicot::lm::train::TokenDataset::read(at("encoded/tokens")).unwrap();

    let mut plan = serde_json::to_value(Bundle::open(&bundle).unwrap().config()).unwrap();
    plan.as_object_mut().unwrap().remove("format");
    let stages = ["clap", "rvq", "lm", "diffusion", "codec", "semantic"]
        .map(|name| (name.to_owned(), json!(stage(name))));
    plan["stages"] = serde_json::Value::Object(stages.into_iter().collect());
    fs::write(at("bundle.json"), plan.to_string()).unwrap();
    let assemble = ["bundle", "--config", &at("bundle.json"), "--out", &at("made")];
    good("train", &assemble);
    assert_eq!(Bundle::open(at("made")).unwrap().hashes(), Bundle::open(&bundle).unwrap().hashes());
    bad("train", &assemble, &["made"]);

    // Other element types: the stages named, and no others, are written again.
    plan["storage"] = json!({ "lm": "int8", "clap": "bf16" });
    fs::write(at("bundle.json"), plan.to_string()).unwrap();
    good("train", &["bundle", "--config", &at("bundle.json"), "--out", &at("small")]);
    let size = |stage: &str, of: &str| {
        fs::metadata(root.path().join(of).join(stage).join("model.safetensors")).unwrap().len() as f64
    };
    let ratio = |stage: &str| size(stage, "small") / size(stage, "made");
    assert!(ratio("lm") < 0.45 && (0.4..0.6).contains(&ratio("clap")), "{} {}", ratio("lm"), ratio("clap"));
    assert!((ratio("codec") - 1.0).abs() < f64::EPSILON);
    let out = at("song");
    let args = ["--prompt", "piano", "--seconds", "1", "--out", &out];
    good("generate", &super::program::with_bundle(&root.path().join("small"), &args));
}

#[test]
fn steps_and_settings_that_are_none_are_named() {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("config.json");
    let config = config.to_str().unwrap();
    let run = root.path().join("run");
    let run = run.to_str().unwrap();
    bad("train", &[], &["step"]);
    bad("train", &["dance", "--run", run], &["dance"]);
    bad("train", &["lm", "--run", run], &["--config"]);
    bad("train", &["lm", "--config", "no/such.json", "--run", run], &["no/such.json"]);
    bad("train", &["lm", "--hours", "-1"], &["--hours"]);
    for stage in ["clap", "semantic", "codec", "lm", "diffusion"] {
        fs::write(config, r#"{"no_such_setting": 1}"#).unwrap();
        bad("train", &[stage, "--config", config, "--run", run], &["config.json", "no_such_setting"]);
        fs::write(config, "{}").unwrap();
        // The defaults name data that is not here.
        let none = root.path().join("none");
        let ran = std::process::Command::new(super::program::path("train"))
            .args([stage, "--config", config, "--run", run])
            .current_dir(root.path())
            .output()
            .unwrap();
        super::program::refused(ran.into(), stage, &[]);
        assert!(!none.exists());
    }
}

//! `conformance`: cases of the golden files, and what is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use musicot::core::Checkpoint;
use musicot::core::checkpoint::{self, Storage};
use musicot::core::tch::{Kind, Tensor};
use serde_json::{Value, json};

use super::program::{bad, good};

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A case made of some files, options and inputs.
fn case(dir: &Path, files: &[PathBuf], options: &Value, inputs: &[(&str, Tensor)]) {
    fs::create_dir_all(dir).unwrap();
    for file in files {
        fs::copy(file, dir.join(file.file_name().unwrap())).unwrap();
    }
    fs::write(dir.join("case.json"), options.to_string()).unwrap();
    let inputs: Vec<(String, Tensor)> =
        inputs.iter().map(|(name, tensor)| (format!("in.{name}"), tensor.shallow_clone())).collect();
    checkpoint::write(dir.join("io.safetensors"), &inputs, Storage::Native).unwrap();
}

fn outputs(dir: &Path, out: &Path) -> Checkpoint {
    good("conformance", &[text(dir), "--out", text(out), "--threads", "1"]);
    Checkpoint::open(out).unwrap()
}

fn deviation(left: &Tensor, right: &Tensor) -> f64 {
    (left.to_kind(Kind::Double) - right.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// Every directory of the crates' golden files that is a case.
fn golden_cases() -> Vec<PathBuf> {
    let folders = |path: PathBuf| fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let crates = folders(golden("")).filter(|path| path.join("tests/golden").is_dir());
    let cases = crates.flat_map(|path| folders(path.join("tests/golden")));
    let mut cases: Vec<PathBuf> = cases.filter(|path| path.join("case.json").is_file()).collect();
    cases.sort();
    cases
}

/// Compares the outputs with a case's golden ones: integers exactly, others within ten times the reference's own noise in f32.
fn expect_golden(case: &Path, found: &Checkpoint) {
    let expected = Checkpoint::open(case.join("golden.safetensors")).unwrap();
    let inputs = Checkpoint::open(case.join("io.safetensors")).unwrap();
    // What a position computes that padding hides is nobody's business; the golden files have zeros there.
    let mask = inputs.tensor("in.attention_mask").ok();
    let names: Vec<String> = expected.names().into_iter().filter(|name| name.starts_with("out.")).collect();
    assert!(!names.is_empty(), "{}", case.display());
    for name in &names {
        let place = format!("{} {name}", case.display());
        let (mut tensor, right) = (found.tensor(name).unwrap(), expected.tensor(name).unwrap());
        assert_eq!((tensor.size(), tensor.kind()), (right.size(), right.kind()), "{place}");
        if right.kind() == Kind::Int64 {
            assert!(tensor.equal(&right), "{place}");
            continue;
        }
        if let (Some(mask), "out.logits") = (&mask, name.as_str()) {
            tensor *= mask.unsqueeze(-1);
        }
        let noise = expected.tensor(&name.replacen("out.", "noise.", 1)).unwrap().double_value(&[]);
        let deviation = deviation(&tensor, &right);
        assert!(deviation <= 10.0 * noise, "{place}: {deviation:e} against a noise of {noise:e}");
    }
    assert_eq!(found.names(), names, "{}", case.display());
}

#[test]
fn every_golden_case_gives_the_reference_s_outputs() {
    let root = tempfile::tempdir().unwrap();
    let mut kinds = BTreeSet::new();
    for case in golden_cases() {
        expect_golden(&case, &outputs(&case, &root.path().join("deep/pred.safetensors")));
        let options: Value = serde_json::from_slice(&fs::read(case.join("case.json")).unwrap()).unwrap();
        kinds.insert(options["kind"].as_str().unwrap().to_owned());
    }
    let all = [
        "clap",
        "clap_laion",
        "dac",
        "encodec",
        "llama",
        "oobleck",
        "sa_dit",
        "sa_dit_original",
        "semantic",
        "solver",
        "vocos",
    ];
    assert_eq!(kinds, all.map(str::to_owned).into());
}

#[test]
fn codebooks_give_the_reference_s_codes() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for (name, weights, levels) in
        [("vq_pytorch_projected", "pytorch_model.bin", 1), ("encodec", "model.safetensors", 5)]
    {
        let folder = golden("musicot-rvq/tests/golden").join(name);
        let expected = Checkpoint::open(folder.join("golden.safetensors")).unwrap();
        let x = expected.tensor("x").unwrap();
        let options = json!({ "kind": "rvq", "levels": levels });
        case(&at(name), &[folder.join(weights)], &options, &[("x", x)]);
        // No name is usual for them: any will do for the only file beside the inputs.
        let renamed = at(name).join("codebooks").with_extension(weights.rsplit('.').next().unwrap());
        fs::rename(at(name).join(weights), renamed).unwrap();
        let found = outputs(&at(name), &at("pred.safetensors"));
        let codes = expected.tensor("codes").unwrap().narrow(-1, 0, levels);
        assert!(found.tensor("out.codes").unwrap().equal(&codes), "{name}");
        let sums = expected.tensor(if levels == 1 { "coarse" } else { "decoded" }).unwrap();
        assert!(deviation(&found.tensor("out.quantized").unwrap(), &sums) < 1e-5, "{name}");
    }
}

#[test]
fn a_chain_gives_the_reference_s_probabilities() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let expected = Checkpoint::open(golden("musicot-sampling/tests/golden/golden.safetensors")).unwrap();
    let cases: Value =
        serde_json::from_slice(&fs::read(golden("musicot-sampling/tests/golden/cases.json")).unwrap())
            .unwrap();
    for name in ["usual_order", "guided_chain"] {
        let chain = cases.as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
        let tensor = |part: &str| expected.tensor(&format!("{name}.{part}"));
        let mut inputs =
            vec![("logits", tensor("logits").unwrap()), ("input_ids", tensor("input_ids").unwrap())];
        inputs.extend(tensor("null_logits").ok().map(|null| ("null_logits", null)));
        case(&at(name), &[], &json!({ "kind": "sampling", "chain": chain["chain"] }), &inputs);
        let found = outputs(&at(name), &at("pred.safetensors"));
        let (logits, right) = (found.tensor("out.logits").unwrap(), tensor("out").unwrap());
        assert!(logits.isinf().equal(&right.isinf()), "{name}");
        let probs = found.tensor("out.probs").unwrap();
        assert!(deviation(&probs, &right.softmax(1, Kind::Float)) < 1e-6, "{name}");
    }
}

#[test]
fn cases_that_are_none_are_named() {
    let root = tempfile::tempdir().unwrap();
    let (dir, out) = (root.path().join("case"), root.path().join("pred.safetensors"));
    let logits = Tensor::from_slice(&[0.5_f32, 1.0]).unsqueeze(0);
    let refused = |options: Value, inputs: &[(&str, Tensor)], culprits: &[&str]| {
        case(&dir, &[], &options, inputs);
        bad("conformance", &[text(&dir), "--out", text(&out)], culprits);
        assert!(!out.exists());
    };
    let of = |chain: Value| json!({ "kind": "sampling", "chain": chain });
    refused(json!({ "kind": "song" }), &[("x", logits.shallow_clone())], &["case.json", "song"]);
    refused(json!({ "new_tokens": 1 }), &[("x", logits.shallow_clone())], &["case.json", "kind"]);
    refused(of(json!([])), &[("x", logits.shallow_clone())], &["in.logits"]);
    refused(of(json!([{ "heat": 1.0 }])), &[("logits", logits.shallow_clone())], &["case.json", "heat"]);
    refused(of(json!([{ "guidance": 2.0 }])), &[("logits", logits.shallow_clone())], &["in.null_logits"]);
    refused(of(json!([{ "top_p": 2.0 }])), &[("logits", logits.shallow_clone())], &["top_p"]);
    let integers = Tensor::from_slice(&[1_i64, 2]).unsqueeze(0);
    refused(of(json!([])), &[("logits", integers)], &["in.logits", "Int64"]);
    refused(json!({ "kind": "rvq", "levels": 1 }), &[("x", logits)], &["case"]);
    bad("conformance", &[text(&root.path().join("nowhere"))], &["nowhere"]);
}

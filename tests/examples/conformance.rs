//! `conformance`: cases of the golden files, and what is refused.

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

#[test]
fn a_llama_gives_the_reference_s_logits_and_tokens() {
    let root = tempfile::tempdir().unwrap();
    let dir = golden("musicot-lm/tests/golden/llama_gqa");
    let found = outputs(&dir, &root.path().join("deep/pred.safetensors"));
    let expected = Checkpoint::open(dir.join("golden.safetensors")).unwrap();
    let both = |name: &str| (found.tensor(name).unwrap(), expected.tensor(name).unwrap());
    let (tokens, right) = both("out.greedy_tokens");
    assert!(tokens.kind() == Kind::Int64 && tokens.equal(&right));
    for name in ["logits", "greedy_logits"] {
        let (logits, right) = both(&format!("out.{name}"));
        let noise = expected.tensor(&format!("noise.{name}")).unwrap().double_value(&[]);
        assert!(deviation(&logits, &right) <= 10.0 * noise, "{name}");
    }
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

//! The transforms against those of `transformers`: the same tokens cut, the same probabilities (`tests/reference/sampling.py`).
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use musicot_sampling::core::Checkpoint;
use musicot_sampling::core::files::read_json;
use musicot_sampling::core::tch::{Kind, Tensor};
use musicot_sampling::core::tensor::to_ids;
use musicot_sampling::{
    Guidance, GuidanceScale, LogitsTransform, MinP, RepetitionPenalty, Temperature, TopK, TopP,
};
use serde::Deserialize;

/// A processor, as the fixture names it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Link {
    Temperature(f64),
    TopK(usize),
    TopP(f64),
    MinP(f64),
    RepetitionPenalty(f64),
    Guidance(f64),
}

#[derive(Deserialize)]
struct Case {
    name: String,
    chain: Vec<Link>,
    /// Largest difference of the reference's probabilities in f32 from those in f64.
    noise: f64,
}

impl Case {
    /// Whether top-p chooses among equal logits. The reference's sort is not stable, so that its choice depends on the processor; ours is
    /// stable. How many stay, and with which probabilities, is still the same.
    fn cuts_among_equals(&self) -> bool {
        self.name.ends_with("_ties") && self.chain.iter().any(|link| matches!(link, Link::TopP(_)))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn history(ids: &Tensor) -> Vec<Vec<i64>> {
    let width = ids.size()[1] as usize;
    to_ids(ids).unwrap().chunks(width).map(<[i64]>::to_vec).collect()
}

fn apply(link: &Link, logits: Tensor, null: Option<&Tensor>, history: &[Vec<i64>]) -> Tensor {
    let transform: Box<dyn LogitsTransform> = match link {
        Link::Temperature(value) => Box::new(Temperature::new(*value).unwrap()),
        Link::TopK(count) => Box::new(TopK::new(*count).unwrap()),
        Link::TopP(value) => Box::new(TopP::new(*value).unwrap()),
        Link::MinP(value) => Box::new(MinP::new(*value).unwrap()),
        Link::RepetitionPenalty(value) => Box::new(RepetitionPenalty::new(*value).unwrap()),
        Link::Guidance(scale) => {
            let guidance = Guidance::new(GuidanceScale::new(*scale).unwrap());
            return guidance.combine(&logits, null.unwrap()).unwrap();
        }
    };
    transform.apply(logits, history).unwrap()
}

/// The largest distance of two tensors of one shape.
fn deviation(left: &Tensor, right: &Tensor) -> f64 {
    (left.to_kind(Kind::Double) - right.to_kind(Kind::Double)).abs().max().double_value(&[])
}

#[test]
fn every_chain_cuts_and_weighs_as_transformers_does() {
    let cases: Vec<Case> = read_json(folder().join("cases.json")).unwrap();
    let golden = Checkpoint::open(folder().join("golden.safetensors")).unwrap();
    assert_eq!(cases.len(), 26);
    for case in &cases {
        let tensor = |name: &str| golden.tensor(&format!("{}.{name}", case.name)).unwrap();
        let history = history(&tensor("input_ids"));
        let is_guided = matches!(case.chain[0], Link::Guidance(_));
        let null = is_guided.then(|| tensor("null_logits"));
        let out = case
            .chain
            .iter()
            .fold(tensor("logits"), |logits, link| apply(link, logits, null.as_ref(), &history));
        let (out, expected) = match case.cuts_among_equals() {
            true => (out.sort(1, false).0, tensor("out").sort(1, false).0),
            false => (out, tensor("out")),
        };
        assert!(out.isinf().equal(&expected.isinf()), "{}: other tokens are cut", case.name);
        // Ten times the rounding of the reference itself; where that happens to be exact, one step of f32 below 1.
        let allowed = (10.0 * case.noise).max(f64::from(f32::EPSILON));
        let found = deviation(&out.softmax(1, Kind::Float), &expected.softmax(1, Kind::Float));
        assert!(found <= allowed, "{}: probabilities differ by {found:e}, {allowed:e} is allowed", case.name);
    }
}

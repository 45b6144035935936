//! Cases of published codecs.
// Each test binary uses a part of it.
#![allow(dead_code)]

use std::path::PathBuf;

use musicot_codec::Result;
use musicot_core::files;
use musicot_core::tch::{Kind, Tensor, set_num_threads};
use serde_json::{Map, Value};

use crate::golden_common::{expect_golden, folder, tensor};

/// A directory and what the reference says about it.
pub struct Case(pub &'static str);

impl Case {
    pub fn folder(&self) -> PathBuf {
        set_num_threads(1);
        folder(self.0)
    }

    pub fn input(&self, name: &str) -> Tensor {
        tensor(self.0, "io.safetensors", &format!("in.{name}"))
    }

    pub fn output(&self, name: &str) -> Tensor {
        tensor(self.0, "golden.safetensors", &format!("out.{name}"))
    }

    pub fn levels(&self) -> usize {
        let case: Map<String, Value> = files::read_json(self.folder().join("case.json")).unwrap();
        case["levels"].as_u64().unwrap() as usize
    }

    /// Integers are equal, numbers within the noise of the reference.
    pub fn agrees(&self, name: &str, actual: &Tensor) {
        match actual.is_floating_point() {
            true => expect_golden(self.0, name, actual),
            false => assert_eq!(actual, &self.output(name), "{} {name}", self.0),
        }
    }
}

pub fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// Share of the elements that are equal.
pub fn share_of_equal(a: &Tensor, b: &Tensor) -> f64 {
    a.eq_tensor(b).to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

/// The error names all culprits.
pub fn names<T>(result: Result<T>, culprits: &[&str]) {
    let message = result.err().unwrap().to_string();
    for culprit in culprits {
        assert!(message.contains(culprit), "{culprit} in: {message}");
    }
}

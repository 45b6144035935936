//! Encoding and decoding.

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error, ParamStore};
use proptest::prelude::*;

use super::data::{config, ids, normal, rows, with_codebooks};
use crate::{Metric, ResidualVq, RvqConfig, VectorQuantizer};

fn random(seed: u64) -> ResidualVq {
    let codebooks: Vec<Tensor> =
        (0..4).map(|level| normal(seed + level, 16, 6) * 0.5_f64.powi(level as i32)).collect();
    with_codebooks(&codebooks, Metric::Euclidean)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn decoding_sums_the_chosen_codewords(seed in 0_u64..10_000, depth in 1_i64..=4) {
        let rvq = random(seed);
        let codes = rvq.encode(&normal(seed + 50, 7, 6)).unwrap().narrow(1, 0, depth);
        let decoded = rvq.decode(&codes).unwrap();
        let mut expected = Tensor::zeros([7, 6], (Kind::Float, Device::Cpu));
        for level in 0..depth {
            expected += rvq.codebooks()[level as usize].index_select(0, &codes.select(1, level));
        }
        prop_assert!(decoded == expected);
    }

    /// One level more adds exactly that level's codeword.
    #[test]
    fn prefixes_are_consistent(seed in 0_u64..10_000, depth in 1_i64..4) {
        let rvq = random(seed);
        let codes = rvq.encode(&normal(seed + 50, 7, 6)).unwrap();
        let shorter = rvq.decode(&codes.narrow(1, 0, depth)).unwrap();
        let longer = rvq.decode(&codes.narrow(1, 0, depth + 1)).unwrap();
        let word = rvq.codebooks()[depth as usize].index_select(0, &codes.select(1, depth));
        prop_assert!(longer == shorter + word);
    }

    #[test]
    fn leading_axes_are_kept(seed in 0_u64..10_000) {
        let rvq = random(seed);
        let flat = normal(seed + 50, 12, 6);
        let (flat_codes, folded) = (rvq.encode(&flat).unwrap(), rvq.encode(&flat.reshape([2, 3, 2, 6])).unwrap());
        prop_assert_eq!(folded.size(), [2, 3, 2, 4]);
        prop_assert_eq!(ids(&folded), ids(&flat_codes));
        prop_assert_eq!(rvq.decode(&folded).unwrap().size(), [2, 3, 2, 6]);
        let one = rvq.encode(&flat.get(0)).unwrap();
        prop_assert_eq!(one.size(), [4]);
    }
}

#[test]
fn the_error_per_level_is_that_of_prefix_decodes() {
    let (rvq, vectors) = (random(3), normal(70, 40, 6));
    let errors = rvq.error_per_level(&vectors).unwrap();
    let codes = rvq.encode(&vectors).unwrap();
    assert_eq!(errors.len(), 5);
    for (depth, error) in errors.iter().enumerate() {
        let decoded = match depth {
            0 => vectors.zeros_like(),
            depth => rvq.decode(&codes.narrow(1, 0, depth as i64)).unwrap(),
        };
        let expected =
            (&vectors - decoded).to_kind(Kind::Double).square().mean(Kind::Double).double_value(&[]);
        // The same sums in another order.
        assert!((error - expected).abs() < 1e-6 * errors[0], "{depth}: {error} {expected}");
    }
}

#[test]
fn no_vectors_have_no_codes() {
    let none = Tensor::zeros([0, 6], (Kind::Float, Device::Cpu));
    let codes = random(1).encode(&none).unwrap();
    assert_eq!(codes.size(), [0, 4]);
    assert_eq!(random(1).decode(&codes).unwrap().size(), [0, 6]);
    assert!(random(1).error_per_level(&none).is_err());
}

#[test]
fn half_precision_vectors_are_taken() {
    let vectors = normal(5, 9, 6).to_kind(Kind::BFloat16);
    let expected = random(1).encode(&vectors.to_kind(Kind::Float)).unwrap();
    assert_eq!(ids(&random(1).encode(&vectors).unwrap()), ids(&expected));
}

#[test]
fn what_does_not_fit_is_named() {
    let rvq = random(1);
    let message = |result: Result<Tensor, Error>| result.unwrap_err().to_string();
    assert!(message(rvq.encode(&normal(1, 2, 5))).contains("[.., 6], got [2, 5]"));
    assert!(message(rvq.encode(&Tensor::from(1.0_f32))).contains("[.., 6]"));
    assert!(message(rvq.encode(&normal(1, 2, 6).to_kind(Kind::Int64))).contains("floating point"));
    assert!(message(rvq.encode(&(normal(1, 2, 6) / 0.0))).contains("NaN or infinite"));
    let codes = |values: &[i64]| Tensor::from_slice(values).unsqueeze(0);
    assert!(message(rvq.decode(&codes(&[0, 1, 16]))).contains("ids in 0..16"));
    assert!(message(rvq.decode(&codes(&[0, -1]))).contains("ids in 0..16"));
    assert!(message(rvq.decode(&codes(&[0, 1, 2, 3, 4]))).contains("[.., 1 to 4]"));
    assert!(message(rvq.decode(&codes(&[]).to_kind(Kind::Int64))).contains("[.., 1 to 4]"));
    assert!(message(rvq.decode(&normal(1, 2, 4))).contains("Int64"));
}

#[test]
fn configurations_out_of_range_name_the_field() {
    let message = |config: RvqConfig| config.validate().unwrap_err().to_string();
    assert!(message(config(0, 1, 1)).contains("`dim`"));
    assert!(message(config(1, 0, 1)).contains("`levels`"));
    assert!(message(config(1, 1, 0)).contains("`codebook_size`"));
    assert!(message(config(usize::MAX, usize::MAX, usize::MAX)).contains("2^36"));
    assert!(message(RvqConfig { beam: 0, ..config(1, 1, 1) }).contains("`beam`"));
    assert!(message(RvqConfig { beam: 5000, ..config(1, 1, 1) }).contains("`beam`"));
    assert!(message(RvqConfig { metric: Metric::Cosine, ..config(4, 2, 4) }).contains("cosine"));
    assert!(serde_json::from_str::<RvqConfig>(r#"{"codebooks": 3}"#).is_err());
}

#[test]
fn nothing_is_left_for_an_optimiser() {
    let store = ParamStore::new(Device::Cpu, 1);
    let rvq = ResidualVq::new(&store.root(), &config(3, 2, 4)).unwrap();
    assert!(store.trainable().is_empty());
    let names: Vec<String> = store.named().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["layers.0.embed", "layers.1.embed"]);
    assert!(rvq.codebooks().iter().all(|c| c.abs().sum(Kind::Float).double_value(&[]) > 0.0));
}

#[test]
fn cosine_codewords_have_unit_length() {
    let store = ParamStore::new(Device::Cpu, 1);
    let rvq =
        ResidualVq::new(&store.root(), &RvqConfig { metric: Metric::Cosine, ..config(5, 1, 8) }).unwrap();
    for word in rows(&rvq.codebooks()[0]) {
        let length = word.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }
}

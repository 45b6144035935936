//! Evaluation.

use super::data::{normal, with_codebooks};
use crate::{Metric, evaluate};

/// Every vector is a codeword.
#[test]
fn a_lossless_quantiser_scores_fully() {
    let vectors = normal(1, 32, 8);
    let rvq = with_codebooks(&[vectors.shallow_clone(), vectors.zeros_like()], Metric::Euclidean);
    let report = evaluate(&rvq, &vectors, 10).unwrap();
    // Cosines of a vector with itself, in f32.
    assert!(report.cosine.iter().all(|c| (c - 1.0).abs() < 1e-6), "{report:?}");
    assert_eq!(report.mse, [0.0, 0.0]);
    assert_eq!(report.nearest_own, 1.0);
    assert!((report.perplexity[0] - 32.0).abs() < 1e-9, "{report:?}");
    assert!((report.perplexity[1] - 1.0).abs() < 1e-9, "{report:?}");
}

/// One codeword for all: the first original that is nearest to it wins each time, so one row per gallery is its own.
#[test]
fn a_constant_quantiser_finds_one_original_per_gallery() {
    let vectors = normal(2, 40, 8);
    let rvq = with_codebooks(&[normal(3, 1, 8)], Metric::Euclidean);
    let report = evaluate(&rvq, &vectors, 10).unwrap();
    assert_eq!(report.nearest_own, 0.1);
    assert_eq!(report.perplexity, [1.0]);
}

#[test]
fn nothing_to_measure_is_an_error() {
    let rvq = with_codebooks(&[normal(3, 4, 8)], Metric::Euclidean);
    assert!(evaluate(&rvq, &normal(1, 0, 8), 10).is_err());
    assert!(evaluate(&rvq, &normal(1, 5, 8), 0).is_err());
    assert!(evaluate(&rvq, &normal(1, 5, 7), 10).is_err());
}

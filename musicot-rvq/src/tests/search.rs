//! The search against loops.

use musicot_core::tch::{Device, Kind, Tensor};
use proptest::prelude::*;

use super::data::{ids, normal, rows, whole, with_beam, with_codebooks};
use crate::search::{nearest, normalize};
use crate::{Metric, ResidualVq, VectorQuantizer};

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// The first codeword at the smallest distance, found by looking at all of them.
fn slow(vector: &[f64], codebook: &[Vec<f64>]) -> usize {
    let mut best = 0;
    for code in 1..codebook.len() {
        if distance(vector, &codebook[code]) < distance(vector, &codebook[best]) {
            best = code;
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whole numbers: the same code to the last tie.
    #[test]
    fn exact_numbers_give_the_oracles_code(seed in 0_u64..10_000, count in 0_i64..20, size in 1_i64..30, dim in 1_i64..6) {
        let (vectors, codebook) = (whole(seed, count, dim), whole(seed + 1, size, dim));
        let found = ids(&nearest(&vectors, &codebook).unwrap());
        let codebook = rows(&codebook);
        let expected: Vec<i64> = rows(&vectors).iter().map(|v| slow(v, &codebook) as i64).collect();
        prop_assert_eq!(found, expected);
    }

    /// Real numbers: no codeword is nearer than the one found by more than rounding.
    #[test]
    fn no_codeword_is_nearer(seed in 0_u64..10_000, size in 1_i64..40, dim in 1_i64..20) {
        let (vectors, codebook) = (normal(seed, 15, dim), normal(seed + 1, size, dim));
        let found = ids(&nearest(&vectors, &codebook).unwrap());
        let codebook = rows(&codebook);
        for (vector, code) in rows(&vectors).iter().zip(found) {
            let best = distance(vector, &codebook[slow(vector, &codebook)]);
            let found = distance(vector, &codebook[code as usize]);
            // Scores are sums of up to 20 products of normal numbers, below 200 in size, with 24 bits each.
            prop_assert!(found <= best + 1e-4, "{found} > {best}");
        }
    }

    #[test]
    fn residual_codes_are_the_oracles(seed in 0_u64..10_000, levels in 1_usize..4) {
        let vectors = whole(seed, 10, 3) * 3.0;
        let codebooks: Vec<Tensor> = (0..levels as u64).map(|level| whole(seed + 7 + level, 9, 3)).collect();
        let found = rows(&with_codebooks(&codebooks, Metric::Euclidean).encode(&vectors).unwrap().to_kind(Kind::Float));
        for (mut residual, codes) in rows(&vectors).into_iter().zip(found) {
            for (codebook, code) in codebooks.iter().map(rows).zip(codes) {
                let best = slow(&residual, &codebook);
                prop_assert_eq!(best as f64, code);
                residual = residual.iter().zip(&codebook[best]).map(|(r, word)| r - word).collect();
            }
        }
    }

    #[test]
    fn cosine_finds_the_smallest_angle(seed in 0_u64..10_000, scale in 0.01_f64..100.0) {
        let (vectors, codebook) = (normal(seed, 10, 5), normalize(&normal(seed + 1, 12, 5)).unwrap());
        let rvq = with_codebooks(&[codebook.shallow_clone()], Metric::Cosine);
        let codes = rvq.encode(&vectors).unwrap();
        let scaled = rvq.encode(&(&vectors * scale)).unwrap();
        // Both searches run on unit vectors that agree to rounding; so do the cosines they reach.
        for codes in [codes, scaled] {
            let words = rvq.decode(&codes).unwrap();
            let reached = rows(&Tensor::cosine_similarity(&words, &vectors, 1, 1e-12).unsqueeze(1));
            let all = normalize(&vectors).unwrap().matmul(&codebook.transpose(0, 1)).amax([1], true);
            for (reached, best) in reached.iter().zip(rows(&all)) {
                prop_assert!((reached[0] - best[0]).abs() < 1e-5, "{reached:?} {best:?}");
            }
        }
    }
}

/// Squared error of each row's decoding.
fn errors(rvq: &ResidualVq, vectors: &Tensor) -> Vec<f64> {
    let decoded = rows(&rvq.decode(&rvq.encode(vectors).unwrap()).unwrap());
    rows(vectors).iter().zip(decoded).map(|(v, d)| distance(v, &d)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn looking_ahead_is_never_worse(seed in 0_u64..10_000, beam in 2_usize..40) {
        let vectors = normal(seed, 30, 4) * 2.0;
        let codebooks: Vec<Tensor> = (0..3).map(|level| normal(seed + 7 + level, 6, 4)).collect();
        let greedy = errors(&with_codebooks(&codebooks, Metric::Euclidean), &vectors);
        let ahead = errors(&with_beam(&codebooks, Metric::Euclidean, beam), &vectors);
        // The choice between both is made in f32.
        prop_assert!(ahead.iter().zip(&greedy).all(|(a, g)| *a <= g + 1e-4), "{ahead:?} {greedy:?}");
        prop_assert!(ahead.iter().sum::<f64>() <= greedy.iter().sum::<f64>());
    }

    /// A beam as wide as all sums finds the nearest of them.
    #[test]
    fn a_full_beam_is_exhaustive(seed in 0_u64..10_000) {
        let vectors = normal(seed, 10, 3) * 2.0;
        let codebooks: Vec<Tensor> = (0..3).map(|level| normal(seed + 7 + level, 5, 3)).collect();
        let books: Vec<_> = codebooks.iter().map(rows).collect();
        let found = errors(&with_beam(&codebooks, Metric::Euclidean, 125), &vectors);
        for (vector, found) in rows(&vectors).iter().zip(found) {
            let sums = (0..125).map(|n: usize| -> Vec<f64> {
                (0..3).map(|axis| books[0][n / 25][axis] + books[1][n / 5 % 5][axis] + books[2][n % 5][axis]).collect()
            });
            let best = sums.map(|sum| distance(vector, &sum)).fold(f64::INFINITY, f64::min);
            prop_assert!(found <= best + 1e-4, "{found} > {best}");
        }
    }
}

/// 512 rows fit into a chunk beside 2^15 codewords.
#[test]
fn chunks_join_without_seam() {
    let (vectors, codebook) =
        (whole(1, 1100, 2) * 40.0 + whole(2, 1100, 2), whole(3, 1 << 15, 2) * 40.0 + whole(4, 1 << 15, 2));
    let together = ids(&nearest(&vectors, &codebook).unwrap());
    for row in [0, 511, 512, 513, 1023, 1024, 1099] {
        let alone = ids(&nearest(&vectors.narrow(0, row, 1), &codebook).unwrap());
        assert_eq!(alone[0], together[row as usize], "row {row}");
    }
    assert_eq!(together.len(), 1100);
}

/// A beam of 4096 over 512 codewords leaves 8 rows a chunk.
#[test]
fn beams_join_without_seam() {
    let codebooks = [normal(1, 512, 2) * 4.0, normal(2, 512, 2)];
    let rvq = with_beam(&codebooks, Metric::Euclidean, 4096);
    let vectors = normal(3, 19, 2) * 4.0;
    let together = errors(&rvq, &vectors);
    for row in [0, 7, 8, 18] {
        let alone = errors(&rvq, &vectors.narrow(0, row, 1));
        assert!((alone[0] - together[row as usize]).abs() < 1e-5, "row {row}");
    }
    let none = rvq.encode(&normal(1, 0, 2)).unwrap();
    assert_eq!(none.size(), [0, 2]);
}

#[test]
fn zero_vectors_stay_zero_when_normalized() {
    let zeros = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let unit = normalize(&zeros).unwrap();
    unit.sum(Kind::Float).backward();
    assert_eq!(rows(&unit), vec![vec![0.0; 3]; 2]);
    assert!(zeros.grad().isfinite().all().int64_value(&[]) == 1);
}

//! Transforms against the oracle, and their edge cases.

use proptest::prelude::*;

use super::{bits, logits, oracle, rows};
use crate::{
    LogitsTransform, MinP, RepetitionPenalty, Sampler, SamplingConfig, Temperature, TopK, TopP, allow,
};

/// Values on a coarse grid, so that ties are common, with some tokens masked; never a wholly masked row.
fn batch() -> impl Strategy<Value = Vec<Vec<f32>>> {
    let value = prop_oneof![
        8 => (-24_i32..24).prop_map(|v| v as f32 * 0.25),
        4 => -6.0_f32..6.0,
        1 => Just(oracle::MASKED),
    ];
    (1_usize..12, 1_usize..4).prop_flat_map(move |(vocab, batch)| {
        let row = prop::collection::vec(value.clone(), vocab).prop_map(|mut row| {
            if row.iter().all(|v| *v == oracle::MASKED) {
                row[0] = 0.0;
            }
            row
        });
        prop::collection::vec(row, batch)
    })
}

fn apply(transform: &dyn LogitsTransform, batch: &[Vec<f32>], history: &[Vec<i64>]) -> Vec<Vec<f32>> {
    rows(&transform.apply(logits(batch), history).unwrap())
}

fn close(found: &[Vec<f32>], expected: &[Vec<f32>]) -> bool {
    // One division or multiplication in f32 against the same in f64: half a unit in the last place each.
    let near = |a: f32, b: f32| a == b || (a - b).abs() <= 2.0 * f32::EPSILON * b.abs();
    found.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| near(*a, *b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn temperature_is_the_oracle(batch in batch(), temperature in 0.05_f64..5.0) {
        let found = apply(&Temperature::new(temperature).unwrap(), &batch, &[]);
        let expected: Vec<_> = batch.iter().map(|row| oracle::temperature(row, temperature)).collect();
        prop_assert!(close(&found, &expected), "{found:?} {expected:?}");
    }

    #[test]
    fn repetition_is_the_oracle(batch in batch(), penalty in 0.2_f64..3.0, seen in prop::collection::vec(0_i64..12, 0..8)) {
        let vocab = batch[0].len() as i64;
        let history: Vec<Vec<i64>> =
            (0..batch.len() as i64).map(|row| seen.iter().map(|t| (t + row) % vocab).collect()).collect();
        let found = apply(&RepetitionPenalty::new(penalty).unwrap(), &batch, &history);
        let expected: Vec<_> =
            batch.iter().zip(&history).map(|(row, history)| oracle::repetition(row, history, penalty)).collect();
        prop_assert!(close(&found, &expected), "{found:?} {expected:?}");
    }

    #[test]
    fn top_k_is_the_oracle(batch in batch(), k in 1_usize..14) {
        let found = apply(&TopK::new(k).unwrap(), &batch, &[]);
        let expected: Vec<_> = batch.iter().map(|row| oracle::top_k(row, k)).collect();
        prop_assert_eq!(bits(&found), bits(&expected));
    }

    #[test]
    fn top_p_is_the_oracle(batch in batch(), p in 0.0_f64..=1.0) {
        let expected: Option<Vec<_>> = batch.iter().map(|row| oracle::top_p(row, p)).collect();
        let Some(expected) = expected else { return Ok(()) };
        let found = apply(&TopP::new(p).unwrap(), &batch, &[]);
        prop_assert_eq!(bits(&found), bits(&expected));
    }

    #[test]
    fn min_p_is_the_oracle(batch in batch(), fraction in 0.0_f64..=1.0) {
        let expected: Option<Vec<_>> = batch.iter().map(|row| oracle::min_p(row, fraction)).collect();
        let Some(expected) = expected else { return Ok(()) };
        let found = apply(&MinP::new(fraction).unwrap(), &batch, &[]);
        prop_assert_eq!(bits(&found), bits(&expected));
    }

    #[test]
    fn every_chain_leaves_the_likeliest_token(
        batch in batch(),
        temperature in 0.1_f64..3.0, top_k in 0_usize..5, top_p in 0.0_f64..=1.0, min_p in 0.0_f64..=1.0,
    ) {
        let config = SamplingConfig { temperature, top_k, top_p, min_p, ..Default::default() };
        let history = vec![vec![]; batch.len()];
        let found = rows(&Sampler::new(&config).unwrap().transform(logits(&batch), &history).unwrap());
        for (row, found) in batch.iter().zip(found) {
            let highest = row.iter().copied().fold(oracle::MASKED, f32::max);
            let survives = row.iter().zip(&found).any(|(before, after)| *before == highest && after.is_finite());
            prop_assert!(survives, "{row:?} became {found:?}");
        }
    }
}

#[test]
fn top_k_keeps_ties_with_the_last_one_kept() {
    let found = apply(&TopK::new(2).unwrap(), &[vec![1.0, 3.0, 2.0, 2.0, 0.0]], &[]);
    assert_eq!(found, [[oracle::MASKED, 3.0, 2.0, 2.0, oracle::MASKED]]);
}

#[test]
fn top_p_of_zero_keeps_one_token() {
    let found = apply(&TopP::new(0.0).unwrap(), &[vec![1.0, 1.0, 1.0]], &[]);
    assert_eq!(found, [[oracle::MASKED, oracle::MASKED, 1.0]]);
}

/// Probabilities 0.5, 0.25, 0.125, 0.125: counted from the least likely up, a limit of 0.26 drops two tokens, one of 0.24 drops one.
#[test]
fn top_p_counts_from_the_least_likely_token() {
    let row = vec![0.0, 0.5_f32.ln(), 0.25_f32.ln(), 0.25_f32.ln()];
    let found = apply(&TopP::new(0.74).unwrap(), std::slice::from_ref(&row), &[]);
    assert_eq!(found, [[row[0], row[1], oracle::MASKED, oracle::MASKED]]);
    let found = apply(&TopP::new(0.76).unwrap(), std::slice::from_ref(&row), &[]);
    assert_eq!(found, [[row[0], row[1], oracle::MASKED, row[3]]]);
}

#[test]
fn repetition_counts_a_token_once() {
    let penalty = RepetitionPenalty::new(2.0).unwrap();
    let found = apply(&penalty, &[vec![4.0, -4.0, 4.0]], &[vec![0, 0, 0, 1]]);
    assert_eq!(found, [[2.0, -8.0, 4.0]]);
}

#[test]
fn allowed_logits_keep_their_bits() {
    let batch = [vec![0.1, -0.0, 2.5, 1e-30, -7.0]];
    let found = rows(&allow(&logits(&batch), &[3..4, 0..2, 1..2]).unwrap());
    assert_eq!(bits(&found), bits(&[vec![0.1, -0.0, oracle::MASKED, 1e-30, oracle::MASKED]]));
}

/// With 4.0 first halved and then divided by 0.5, top-k sees 4.0 below 4.5; cutting before the penalty would keep the other one.
#[test]
fn the_chain_penalises_before_it_cuts() {
    let config = SamplingConfig { temperature: 0.5, top_k: 1, repetition_penalty: 2.0, ..Default::default() };
    let found = Sampler::new(&config).unwrap().transform(logits(&[vec![4.0, 2.25]]), &[vec![0]]).unwrap();
    assert_eq!(rows(&found), [[oracle::MASKED, 4.5]]);
}

//! Guidance, phases, and the distribution of draws.

use musicot_core::{CounterRng, GuidanceScale};
use proptest::prelude::*;

use super::{bits, logits, oracle, rows};
use crate::{
    Guidance, Phase, PhaseConfig, PhasePolicy, Sampler, SamplingConfig, TagGuidance, draw, greedy,
    nested_guidance,
};

fn songs(count: usize) -> Vec<CounterRng> {
    (0..count as u64).map(|song| CounterRng::new(11).stage("test").item(song)).collect()
}

/// Pearson's statistic of draws of one row of logits, and the degrees of freedom.
fn chi_square(row: &[f32], draws: usize, position: u64) -> (f64, usize) {
    let tokens = draw(&logits(&vec![row.to_vec(); draws]), &songs(draws), position).unwrap();
    let expected: Vec<f64> = oracle::softmax(row).iter().map(|p| p * draws as f64).collect();
    let mut counts = vec![0_usize; row.len()];
    tokens.iter().for_each(|token| counts[*token as usize] += 1);
    let possible = expected.iter().zip(&counts).filter(|(e, _)| **e > 0.0);
    let impossible: usize = expected.iter().zip(&counts).filter(|(e, _)| **e == 0.0).map(|(_, c)| c).sum();
    assert_eq!(impossible, 0, "a masked token was drawn");
    let terms: Vec<f64> = possible.map(|(e, c)| (*c as f64 - e).powi(2) / e).collect();
    (terms.iter().sum(), terms.len() - 1)
}

#[test]
fn frequencies_follow_the_softmax() {
    let distributions: [Vec<f32>; 4] = [
        vec![0.0; 8],
        vec![2.0, 1.0, 0.0, -1.0, 0.5],
        vec![oracle::MASKED, 3.0, oracle::MASKED, 2.5, -1.0, oracle::MASKED],
        vec![100.0, 99.0, 101.0],
    ];
    for (case, row) in distributions.iter().enumerate() {
        let (statistic, freedom) = chi_square(row, 40_000, case as u64);
        // Wilson and Hilferty's approximation of the 0.9999 quantile (z = 3.72): one false alarm in 10 000 seeds, and the seed is fixed.
        let n = freedom as f64;
        let limit = n * (1.0 - 2.0 / (9.0 * n) + 3.72 * (2.0 / (9.0 * n)).sqrt()).powi(3);
        assert!(statistic < limit, "case {case}: {statistic} >= {limit}");
    }
}

/// Along positions of one song instead of across songs.
#[test]
fn positions_are_independent_draws() {
    let row = logits(&[vec![0.0, 0.0]]);
    let song = songs(1);
    let tokens: Vec<i64> = (0..4000).map(|at| draw(&row, &song, at).unwrap()[0]).collect();
    let repeats = tokens.windows(2).filter(|pair| pair[0] == pair[1]).count() as f64;
    // Half of the pairs repeat, with a standard deviation of sqrt(n) / 2; four of them.
    assert!((repeats - 2000.0).abs() < 2.0 * 4000_f64.sqrt(), "{repeats} of 3999 pairs repeat");
}

#[test]
fn greedy_and_cold_draws_agree() {
    let batch = logits(&[vec![1.0, 5.0, 2.0], vec![-3.0, -9.0, -4.0]]);
    let cold = Sampler::new(&SamplingConfig::at(1e-3)).unwrap();
    let history = [vec![], vec![]];
    let drawn = cold.sample(batch.shallow_clone(), &history, &songs(2), 0).unwrap();
    let greedy_sampler = Sampler::new(&SamplingConfig::greedy()).unwrap();
    assert_eq!(drawn, greedy(&batch).unwrap());
    assert_eq!(drawn, greedy_sampler.sample(batch, &history, &songs(2), 0).unwrap());
}

/// The settings alone decide, not the phase.
#[test]
fn equal_temperatures_are_a_single_temperature() {
    let phase = PhaseConfig {
        sampling: SamplingConfig::at(0.9),
        guidance: GuidanceScale::new(1.7).unwrap(),
        tag_guidance: None,
    };
    let policy = PhasePolicy { thoughts: phase, audio: phase };
    let both = logits(&[vec![0.3, 1.0, -0.4, 0.8], vec![0.1, 0.2, 0.3, 0.4]]);
    let sample = |phase: &PhaseConfig, at| {
        let guided = Guidance::new(phase.guidance).combine_halves(&both).unwrap();
        Sampler::new(&phase.sampling).unwrap().sample(guided, &[vec![]], &songs(1), at).unwrap()
    };
    let dual: Vec<_> = (0..200)
        .map(|at| sample(policy.get(if at < 100 { Phase::Thoughts } else { Phase::Audio }), at))
        .collect();
    let single: Vec<_> = (0..200).map(|at| sample(&phase, at)).collect();
    assert_eq!(dual, single);
}

#[test]
fn the_default_policy_is_the_papers() {
    let policy = PhasePolicy::default();
    assert_eq!(policy, PhasePolicy::preset("paper").unwrap());
    let figures = |p: &PhaseConfig| (p.sampling.temperature, p.guidance.value());
    assert_eq!((figures(&policy.thoughts), figures(&policy.audio)), ((0.65, 2.3), (0.75, 1.3)));
    let neutral = PhasePolicy::preset("neutral").unwrap();
    assert!(neutral.thoughts.guidance.is_neutral() && neutral.audio.guidance.is_neutral());
    assert_eq!(PhasePolicy::preset("greedy").unwrap().audio.sampling.temperature, 0.0);
}

#[test]
fn a_policy_file_is_read_as_written() {
    let json = serde_json::to_string(&PhasePolicy::paper()).unwrap();
    let golden = concat!(
        r#"{"thoughts":{"sampling":{"temperature":0.65,"top_k":0,"top_p":1.0,"min_p":0.0,"repetition_penalty":1.0},"guidance":2.3},"#,
        r#""audio":{"sampling":{"temperature":0.75,"top_k":0,"top_p":1.0,"min_p":0.0,"repetition_penalty":1.0},"guidance":1.3}}"#,
    );
    assert_eq!(json, golden);
    let partial: PhasePolicy =
        serde_json::from_str(r#"{"audio": {"sampling": {"temperature": 0.5}, "guidance": 1.0}}"#).unwrap();
    assert_eq!(partial.thoughts, PhasePolicy::paper().thoughts);
    assert_eq!((partial.audio.sampling, partial.audio.tag_guidance), (SamplingConfig::at(0.5), None));
    let tagged: PhasePolicy = serde_json::from_str(
        r#"{"audio": {"sampling": {}, "guidance": 2.5, "tag_guidance": {"scale": 6.0, "key": true}}}"#,
    )
    .unwrap();
    assert_eq!(tagged.audio.tag_guidance, Some(TagGuidance::of_key(GuidanceScale::new(6.0).unwrap())));
    assert_eq!(
        serde_json::from_str::<PhasePolicy>(&serde_json::to_string(&tagged).unwrap()).unwrap(),
        tagged
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn draws_do_not_depend_on_the_batch(
        batch in prop::collection::vec(prop::collection::vec(-5.0_f32..5.0, 7), 1..6),
        position in 0_u64..1000,
    ) {
        let songs = songs(batch.len());
        let together = draw(&logits(&batch), &songs, position).unwrap();
        let alone: Vec<i64> = batch.iter().zip(&songs)
            .map(|(row, song)| draw(&logits(std::slice::from_ref(row)), &[*song], position).unwrap()[0])
            .collect();
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn neutral_guidance_is_the_condition_alone(
        halves in prop::collection::vec(prop::collection::vec(-5.0_f32..5.0, 5), 4),
    ) {
        let guided = Guidance::new(GuidanceScale::NEUTRAL).combine_halves(&logits(&halves)).unwrap();
        prop_assert_eq!(bits(&rows(&guided)), bits(&halves[..2]));
    }

    #[test]
    fn nested_guidance_is_the_formula(
        branches in prop::collection::vec(prop::collection::vec(-5.0_f32..5.0, 5), 3),
        scales in prop::array::uniform2(0.0_f64..6.0),
    ) {
        let tensors: Vec<_> = branches.iter().map(|row| logits(std::slice::from_ref(row))).collect();
        let nested = |scales: [f64; 2]| rows(&nested_guidance(&tensors, &scales.map(|s| GuidanceScale::new(s).unwrap())).unwrap());
        let (guided, alike) = (nested(scales), nested([scales[0]; 2]));
        for token in 0..5 {
            let [a, b, c] = [0, 1, 2].map(|branch| f64::from(branches[branch][token]));
            let expected = a + scales[0] * (b - a) + scales[1] * (c - b);
            // A few f32 roundings of values up to 125.
            prop_assert!((f64::from(guided[0][token]) - expected).abs() < 1e-4);
            prop_assert!((f64::from(alike[0][token]) - (a + scales[0] * (c - a))).abs() < 1e-4);
        }
    }

    #[test]
    fn guidance_is_the_formula(
        halves in prop::collection::vec(prop::collection::vec(-5.0_f32..5.0, 5), 4),
        scale in 0.0_f64..6.0,
    ) {
        let guided = rows(&Guidance::new(GuidanceScale::new(scale).unwrap()).combine_halves(&logits(&halves)).unwrap());
        for row in 0..2 {
            for token in 0..5 {
                let (c, u) = (f64::from(halves[row][token]), f64::from(halves[row + 2][token]));
                // Three f32 roundings of values up to 65.
                prop_assert!((f64::from(guided[row][token]) - (u + scale * (c - u))).abs() < 2e-5);
            }
        }
    }
}

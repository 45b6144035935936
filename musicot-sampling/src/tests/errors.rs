//! What callers can get wrong.
#![allow(clippy::single_range_in_vec_init)] // A list of one range is what the mask takes.

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{CounterRng, Error as CoreError, GuidanceScale};

use super::logits;
use crate::{
    Allow, Error, Guidance, LogitsTransform, MinP, PhasePolicy, RepetitionPenalty, Sampler, SamplingConfig,
    Temperature, TopK, TopP, allow, draw, greedy, nested_guidance,
};

const NO_SONGS: [CounterRng; 0] = [];

fn song() -> Vec<CounterRng> {
    vec![CounterRng::new(0)]
}

#[test]
fn a_row_that_is_all_masked_is_named() {
    let batch = logits(&[vec![0.0, 1.0], vec![f32::NEG_INFINITY; 2]]);
    let songs = [CounterRng::new(0), CounterRng::new(1)];
    assert!(matches!(draw(&batch, &songs, 0), Err(Error::NothingAllowed { row: 1 })));
    assert!(matches!(greedy(&batch), Err(Error::NothingAllowed { row: 1 })));
}

/// The chain must hand NaN and masks on to the draw, not hide them.
#[test]
fn nan_and_infinity_are_named_after_every_chain() {
    let config =
        SamplingConfig { temperature: 0.7, top_k: 2, top_p: 0.9, min_p: 0.1, repetition_penalty: 1.2 };
    for config in [config, SamplingConfig::default(), SamplingConfig::greedy()] {
        let sampler = Sampler::new(&config).unwrap();
        let nan = sampler.sample(logits(&[vec![0.0, f32::NAN, 1.0]]), &[vec![0]], &song(), 0);
        assert!(matches!(nan, Err(Error::NotFinite { row: 0, token: 1, .. })), "{nan:?}");
        let masked = sampler.sample(logits(&[vec![f32::NEG_INFINITY; 3]]), &[vec![0]], &song(), 0);
        assert!(matches!(masked, Err(Error::NothingAllowed { row: 0 })), "{masked:?}");
    }
    let infinite = draw(&logits(&[vec![f32::INFINITY, 0.0]]), &song(), 0);
    assert!(matches!(infinite, Err(Error::NotFinite { token: 0, .. })));
}

#[test]
fn settings_out_of_range_name_their_field() {
    let field = |config: SamplingConfig| match config.validate() {
        Err(Error::Core(CoreError::Config { field, .. })) => field,
        other => panic!("{other:?}"),
    };
    let base = SamplingConfig::default();
    assert_eq!(field(SamplingConfig { temperature: -0.1, ..base }), "temperature");
    assert_eq!(field(SamplingConfig { temperature: f64::NAN, ..base }), "temperature");
    assert_eq!(field(SamplingConfig { top_p: 1.1, ..base }), "top_p");
    assert_eq!(field(SamplingConfig { min_p: -1.0, ..base }), "min_p");
    assert_eq!(field(SamplingConfig { repetition_penalty: 0.0, ..base }), "repetition_penalty");
    let mut policy = PhasePolicy::paper();
    policy.audio.sampling.top_p = f64::NAN;
    assert!(policy.validate().unwrap_err().to_string().contains("`audio.sampling.top_p`"));
    assert!(TopK::new(0).is_err());
    assert!(Temperature::new(0.0).is_err());
    assert!(TopP::new(f64::NAN).is_err());
    assert!(PhasePolicy::preset("papr").unwrap_err().to_string().contains("paper, greedy, neutral"));
}

#[test]
fn files_with_unknown_fields_are_refused() {
    assert!(serde_json::from_str::<SamplingConfig>(r#"{"temprature": 1.0}"#).is_err());
    assert!(serde_json::from_str::<PhasePolicy>(r#"{"audio": {"guidance": 1.0}}"#).is_err());
    assert!(serde_json::from_str::<GuidanceScale>("-1.0").is_err());
}

#[test]
fn wrong_shapes_and_types_are_errors() {
    let flat = Tensor::from_slice(&[1.0_f32, 2.0]);
    let double = Tensor::from_slice(&[1.0_f64, 2.0]).unsqueeze(0);
    let empty = Tensor::zeros([1, 0], (Kind::Float, Device::Cpu));
    let transforms: Vec<Box<dyn LogitsTransform>> = vec![
        Box::new(Temperature::new(0.5).unwrap()),
        Box::new(TopK::new(1).unwrap()),
        Box::new(TopP::new(0.5).unwrap()),
        Box::new(MinP::new(0.5).unwrap()),
        Box::new(RepetitionPenalty::new(1.5).unwrap()),
        Box::new(Allow(vec![0..1])),
    ];
    for bad in [&flat, &double, &empty] {
        assert!(draw(bad, &song(), 0).is_err());
        assert!(greedy(bad).is_err());
        assert!(Guidance::new(GuidanceScale::NEUTRAL).combine_halves(bad).is_err());
        for transform in &transforms {
            assert!(transform.apply(bad.shallow_clone(), &[vec![]]).is_err());
        }
    }
}

#[test]
fn counts_and_ids_must_fit() {
    let two = || logits(&[vec![0.0, 1.0, 2.0]]);
    assert!(draw(&two(), &NO_SONGS, 0).is_err());
    let penalty = RepetitionPenalty::new(1.1).unwrap();
    assert!(penalty.apply(two(), &[]).is_err());
    assert!(penalty.apply(two(), &[vec![3]]).unwrap_err().to_string().contains("0..3, got 3"));
    assert!(penalty.apply(two(), &[vec![-1]]).is_err());
    let guidance = Guidance::new(GuidanceScale::new(2.0).unwrap());
    assert!(guidance.combine_halves(&two()).is_err());
    assert!(guidance.combine(&two(), &logits(&[vec![0.0, 1.0]])).is_err());
    let scale = GuidanceScale::NEUTRAL;
    assert!(nested_guidance(&[], &[]).is_err());
    assert!(nested_guidance(&[two(), two()], &[scale; 2]).unwrap_err().to_string().contains("2 for 2"));
    assert!(nested_guidance(&[two(), logits(&[vec![0.0, 1.0]])], &[scale]).is_err());
    for ranges in [vec![], vec![2..2], vec![0..4], vec![-1..2]] {
        assert!(allow(&two(), &ranges).is_err(), "{ranges:?}");
    }
}

#[test]
fn an_empty_batch_draws_nothing() {
    let none = Tensor::zeros([0, 4], (Kind::Float, Device::Cpu));
    assert_eq!(draw(&none, &NO_SONGS, 0).unwrap(), Vec::<i64>::new());
}

#[test]
fn a_users_error_passes_through() {
    struct Failing;
    impl LogitsTransform for Failing {
        fn apply(&self, _logits: Tensor, _history: &[Vec<i64>]) -> crate::Result<Tensor> {
            Err(Error::Transform("grammar table is missing".into()))
        }
    }
    let sampler = Sampler::new(&SamplingConfig::default()).unwrap().with_first(Box::new(Failing));
    let error = sampler.sample(logits(&[vec![0.0]]), &[vec![]], &song(), 0).unwrap_err();
    assert_eq!(error.to_string(), "logits transform: grammar table is missing");
}

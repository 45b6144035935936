//! Agreement with librosa, mir_eval, scikit-learn and scipy; the values come from `tests/reference/eval_music.py`.
#![allow(clippy::unwrap_used)]

use musicot_eval::chroma::Chroma;
use musicot_eval::copies::qmax;
use musicot_eval::core::AudioBuffer;
use musicot_eval::key::{Key, KeyScores};
use musicot_eval::notes::{Note, Tolerance, note_f1};
use musicot_eval::probe::{Classifier, Regressor};
use musicot_eval::significance::benjamini_hochberg;
use musicot_eval::structure::{SelfSimilarity, boundary_f1};
use musicot_eval::tempo::TempoCurve;
use musicot_eval::timbre::features;
use ndarray::Array2;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    excerpts: Vec<Excerpt>,
    notes: Vec<Notes>,
    boundaries: Vec<Boundaries>,
    paths: Vec<Path>,
    probes: Probes,
    discoveries: Vec<Discoveries>,
    mirex: Vec<f64>,
}

#[derive(Deserialize)]
struct Excerpt {
    file: String,
    sample_rate_hz: u32,
    keys: Vec<f64>,
    tempo: Vec<f64>,
    cepstra: Vec<f64>,
    similarity: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Notes {
    reference: Vec<(f64, f64)>,
    estimate: Vec<(f64, f64)>,
    f1: f64,
    precision: f64,
    recall: f64,
}

#[derive(Deserialize)]
struct Boundaries {
    expected: Vec<f64>,
    found: Vec<f64>,
    tolerance: f64,
    f1: f64,
    precision: f64,
    recall: f64,
}

#[derive(Deserialize)]
struct Path {
    rows: Vec<String>,
    qmax: f64,
}

#[derive(Deserialize)]
struct Probes {
    features: Vec<Vec<f32>>,
    labels: Vec<String>,
    levels: Vec<f64>,
    unseen: Vec<Vec<f32>>,
    cases: Vec<Probe>,
}

#[derive(Deserialize)]
struct Probe {
    l2: f64,
    probabilities: Vec<Vec<f64>>,
    levels: Vec<f64>,
}

#[derive(Deserialize)]
struct Discoveries {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

fn golden() -> Golden {
    musicot_eval::tch::set_num_threads(1);
    serde_json::from_str(include_str!("golden/music.json")).unwrap()
}

fn matrix(rows: &[Vec<f32>]) -> Array2<f32> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

fn assert_near(what: &str, ours: impl IntoIterator<Item = f64>, theirs: &[f64], tolerance: f64) {
    let ours: Vec<f64> = ours.into_iter().collect();
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart <= tolerance, "{what}: {apart} apart");
}

impl Excerpt {
    fn audio(&self) -> AudioBuffer {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(&self.file);
        let bytes = std::fs::read(path).unwrap();
        let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
        AudioBuffer::mono(bytes.chunks_exact(2).map(sample).collect(), self.sample_rate_hz).unwrap()
    }
}

/// Transforms of f32 against those of f64: 1e-3 of levels in decibels, of which correlations keep less.
#[test]
fn excerpts_measure_as_they_do_in_numpy_and_librosa() {
    let excerpts = golden().excerpts;
    assert_eq!(excerpts.len(), 3);
    for excerpt in excerpts {
        let audio = excerpt.audio();
        let keys = KeyScores::of(&Chroma::of(&audio).unwrap()).unwrap();
        assert_near("keys", keys.scores.iter().map(|(_, score)| *score), &excerpt.keys, 1e-3);
        assert_near("tempo", TempoCurve::of(&audio).unwrap().salience, &excerpt.tempo, 2e-3);
        let cepstra = features(&audio).unwrap().into_iter().take(24).map(f64::from);
        assert_near("cepstra", cepstra, &excerpt.cepstra, 0.02);
        let similarity = SelfSimilarity::every(&audio, 1.0).unwrap();
        let theirs = excerpt.similarity.concat();
        assert_near("similarity", similarity.values().iter().copied(), &theirs, 2e-3);
    }
}

#[test]
fn note_matching_is_mir_eval_s() {
    let cases = golden().notes;
    assert!(cases.len() >= 10 && cases.iter().any(|case| case.f1 > 0.3 && case.f1 < 0.9));
    for case in cases {
        let notes = |list: &[(f64, f64)]| -> Vec<Note> {
            list.iter().map(|(onset_secs, pitch)| Note { onset_secs: *onset_secs, pitch: *pitch }).collect()
        };
        let score = note_f1(&notes(&case.reference), &notes(&case.estimate), Tolerance::default()).unwrap();
        assert_near(
            "notes",
            [score.f1, score.precision, score.recall],
            &[case.f1, case.precision, case.recall],
            1e-12,
        );
    }
}

#[test]
fn boundary_matching_is_mir_eval_s() {
    for case in golden().boundaries {
        let score = boundary_f1(&case.expected, &case.found, 60.0, case.tolerance).unwrap().score;
        let (ours, theirs) =
            ([score.f1, score.precision, score.recall], [case.f1, case.precision, case.recall]);
        assert_near("boundaries", ours, &theirs, 1e-12);
    }
}

#[test]
fn key_scores_are_mir_eval_s() {
    let ours =
        Key::all().flat_map(|reference| Key::all().map(move |estimate| estimate.mirex_score(reference)));
    assert_near("MIREX scores", ours, &golden().mirex, 0.0);
}

/// `librosa.sequence.rqa`, which follows the same paper.
#[test]
fn longest_paths_are_librosa_s() {
    for path in golden().paths {
        let plot = Array2::from_shape_fn((path.rows.len(), path.rows[0].len()), |(i, j)| {
            path.rows[i].as_bytes()[j] == b'1'
        });
        assert_eq!(qmax(plot.view()), path.qmax);
    }
}

/// Both fits end at a gradient of 1e-8 or less of losses whose curvature is at least the penalty, 1e-3.
#[test]
fn probes_are_scikit_learn_s() {
    let probes = golden().probes;
    let (features, unseen) = (matrix(&probes.features), matrix(&probes.unseen));
    for case in probes.cases {
        let classifier = Classifier::fit(features.view(), &probes.labels, case.l2).unwrap();
        let ours = classifier.probabilities(unseen.view()).unwrap();
        assert_near("probabilities", ours, &case.probabilities.concat(), 1e-4);
        let regressor = Regressor::fit(features.view(), &probes.levels, case.l2).unwrap();
        // Features in f32 here, in f64 there.
        assert_near("levels", regressor.predict(unseen.view()).unwrap(), &case.levels, 1e-4);
    }
}

#[test]
fn adjusted_p_values_are_scipy_s() {
    for case in golden().discoveries {
        assert_near("p-values", benjamini_hochberg(&case.p).unwrap(), &case.adjusted, 1e-12);
    }
}

//! Agreement with mir_eval, scipy and librosa; the values come from `tests/reference/eval_audio.py`.
#![allow(clippy::unwrap_used)]

use musicot_eval::chroma::{Chroma, similarity};
use musicot_eval::core::AudioBuffer;
use musicot_eval::frechet::frechet_distance;
use musicot_eval::onsets::{onset_f1, onset_times};
use musicot_eval::spectral::SpectralShape;
use ndarray::Array2;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    excerpts: Vec<Excerpt>,
    matching: Vec<Matching>,
    frechet: Vec<Frechet>,
}

#[derive(Deserialize)]
struct Excerpt {
    file: String,
    sample_rate_hz: u32,
    librosa_onsets: Vec<f64>,
    notes: Vec<f64>,
    chroma: Vec<Vec<f64>>,
    active: usize,
    flatness: f64,
    centroid_hz: f64,
}

#[derive(Deserialize)]
struct Matching {
    reference: Vec<f64>,
    estimate: Vec<f64>,
    tolerance: f64,
    f1: f64,
    precision: f64,
    recall: f64,
}

#[derive(Deserialize)]
struct Frechet {
    a: Vec<Vec<f32>>,
    b: Vec<Vec<f32>>,
    distance: f64,
}

fn golden() -> Golden {
    musicot_eval::tch::set_num_threads(1);
    serde_json::from_str(include_str!("golden/audio.json")).unwrap()
}

impl Excerpt {
    fn audio(&self) -> AudioBuffer {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(&self.file);
        let bytes = std::fs::read(path).unwrap();
        let samples =
            bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0);
        AudioBuffer::mono(samples.collect(), self.sample_rate_hz).unwrap()
    }
}

#[test]
fn onset_matching_is_mir_eval_s() {
    let cases = golden().matching;
    assert!(cases.len() >= 18);
    for case in cases {
        let score = onset_f1(&case.reference, &case.estimate, case.tolerance).unwrap();
        for (ours, theirs) in
            [(score.f1, case.f1), (score.precision, case.precision), (score.recall, case.recall)]
        {
            assert!((ours - theirs).abs() < 1e-12, "{ours} {theirs}");
        }
    }
}

#[test]
fn frechet_distance_is_scipy_s() {
    let array = |rows: &[Vec<f32>]| Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j]);
    for case in golden().frechet {
        let ours = frechet_distance(array(&case.a).view(), array(&case.b).view()).unwrap();
        // The items are rounded to f32 here: 1e-7 of values that enter squared.
        assert!((ours / case.distance - 1.0).abs() < 1e-5, "{ours} {}", case.distance);
    }
}

/// On rendered music: two detectors that differ in normalisation and thresholds, and the notes of the score (some of which begin
/// under louder ones, or fade in).
#[test]
fn onsets_agree_with_librosa_and_with_the_score() {
    for excerpt in golden().excerpts {
        let found = onset_times(&excerpt.audio()).unwrap();
        let (theirs, score) = (&excerpt.librosa_onsets, &excerpt.notes);
        let with_librosa = onset_f1(theirs, &found, 0.05).unwrap().f1;
        let (ours, librosa) =
            (onset_f1(score, &found, 0.05).unwrap().f1, onset_f1(score, theirs, 0.05).unwrap().f1);
        println!(
            "{}: with librosa {with_librosa:.3}, with the score {ours:.3} (librosa {librosa:.3})",
            excerpt.file
        );
        assert!(with_librosa >= 0.95, "{}: {with_librosa}", excerpt.file);
        assert!(ours >= librosa - 0.05, "{}: {ours} {librosa}", excerpt.file);
    }
}

#[test]
fn chroma_and_shape_are_those_of_numpy_and_librosa() {
    for excerpt in golden().excerpts {
        let audio = excerpt.audio();
        let chroma = Chroma::of(&audio).unwrap();
        assert_eq!(chroma.active().iter().filter(|active| **active).count(), excerpt.active);
        for expected in &excerpt.chroma {
            let row = chroma.values().row(expected[0] as usize);
            let greatest = expected[1..].iter().copied().fold(0.0, f64::max);
            // f32 transforms against f64 ones; the root of a leaked 1e-7 of the power is 3e-4.
            let is_near = row.iter().zip(&expected[1..]).all(|(a, b)| (a - b).abs() < 1e-3 * greatest);
            assert!(is_near, "{} frame {}: {row}", excerpt.file, expected[0]);
        }
        let shape = SpectralShape::of(&audio).unwrap();
        assert!((shape.flatness / excerpt.flatness - 1.0).abs() < 1e-3, "{shape:?} {}", excerpt.flatness);
        assert!(
            (shape.centroid_hz / excerpt.centroid_hz - 1.0).abs() < 1e-3,
            "{shape:?} {}",
            excerpt.centroid_hz
        );
    }
}

/// Other music of the same corpus must not look alike.
#[test]
fn different_excerpts_are_less_alike_than_copies() {
    let chromas: Vec<Chroma> = golden().excerpts.iter().map(|e| Chroma::of(&e.audio()).unwrap()).collect();
    for (i, a) in chromas.iter().enumerate() {
        for (j, b) in chromas.iter().enumerate() {
            let similarity = similarity(a, b).unwrap();
            assert!(if i == j { similarity > 0.999_999 } else { similarity < 0.9 }, "{i} {j} {similarity}");
        }
    }
}

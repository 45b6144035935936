//! Multinomial logistic regression.

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::lbfgs::minimise;
use super::scaling::{Linear, Scaling, check_l2};
use crate::{Error, Result, check};

/// Greatest component of the gradient of the mean loss at which the fit ends.
const TOLERANCE: f64 = 1e-8;

/// Says which of several labels an item has, with probabilities.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::probe::Classifier;
/// let features = ndarray::array![[0.0_f32, 1.0], [0.1, 0.9], [1.0, 0.0], [0.9, 0.2]];
/// let probe = Classifier::fit(features.view(), &["flute", "flute", "drums", "drums"], 0.01)?;
/// assert_eq!(probe.labels(), ["drums", "flute"]);
/// assert_eq!(probe.predict(ndarray::array![[0.2_f32, 0.8]].view())?, ["flute"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "File")]
pub struct Classifier {
    labels: Vec<String>,
    linear: Linear,
}

/// A classifier as it is read, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    labels: Vec<String>,
    linear: Linear,
}

impl TryFrom<File> for Classifier {
    type Error = Error;

    fn try_from(file: File) -> Result<Self> {
        file.linear.check()?;
        check::at_least("labels", file.labels.len(), 2)?;
        check::same_len("labels", file.labels.len(), file.linear.outputs())?;
        Ok(Self { labels: file.labels, linear: file.linear })
    }
}

impl Classifier {
    /// Fits features `[items, features]` and the label of each item: the mean cross-entropy plus `l2 / 2` times the sum of squared
    /// weights of the standardised features (intercepts are free). scikit-learn's `C` is `1 / (l2 x items)`.
    ///
    /// # Errors
    /// [`Error::TooFew`] for fewer than two items, features or labels; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::Range`]
    /// for a penalty that is not above 0, or too small to converge.
    pub fn fit<L: AsRef<str>>(features: ArrayView2<'_, f32>, labels: &[L], l2: f64) -> Result<Self> {
        check_l2(l2)?;
        check::same_len("labels", labels.len(), features.nrows())?;
        let (scaling, rows) = Scaling::fit(features)?;
        let mut names: Vec<String> = labels.iter().map(|label| label.as_ref().to_owned()).collect();
        names.sort();
        names.dedup();
        check::at_least("different labels", names.len(), 2)?;
        let truth: Vec<usize> =
            labels.iter().filter_map(|label| names.iter().position(|name| name == label.as_ref())).collect();
        let (classes, columns) = (names.len(), rows.ncols());
        let start = vec![0.0; classes * (columns + 1)];
        let found = minimise(|point| loss(point, &rows, &truth, classes, l2), start, TOLERANCE)?;
        let (weights, intercepts) = found.split_at(classes * columns);
        let weights = Array2::from_shape_fn((classes, columns), |(i, j)| weights[i * columns + j]);
        Ok(Self { labels: names, linear: Linear::new(scaling, &weights, intercepts.to_vec())? })
    }

    /// The labels in alphabetical order, which is that of the probabilities.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Probabilities `[items, labels]`, which sum to 1, of features `[items, features]`.
    ///
    /// # Errors
    /// [`Error::TooFew`] for no items; [`Error::LengthMismatch`] for other features than those of the fit; [`Error::NotFinite`].
    pub fn probabilities(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        let mut scores = self.linear.apply(features)?;
        softmax(&mut scores);
        Ok(scores)
    }

    /// The most probable label of each item; of equals the first.
    ///
    /// # Errors
    /// Those of [`Self::probabilities`].
    pub fn predict(&self, features: ArrayView2<'_, f32>) -> Result<Vec<&str>> {
        let probabilities = self.probabilities(features)?;
        let best = |row: ndarray::ArrayView1<'_, f64>| {
            let best = (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
            self.labels[best].as_str()
        };
        Ok(probabilities.rows().into_iter().map(best).collect())
    }

    /// Share of items whose label is predicted, 0..=1. A label that the fit did not see counts as missed.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] between items and labels; those of [`Self::probabilities`].
    pub fn accuracy<L: AsRef<str>>(&self, features: ArrayView2<'_, f32>, labels: &[L]) -> Result<f64> {
        check::same_len("labels", labels.len(), features.nrows())?;
        let predicted = self.predict(features)?;
        let hits =
            predicted.iter().zip(labels).filter(|(predicted, label)| **predicted == label.as_ref()).count();
        Ok(hits as f64 / labels.len() as f64)
    }
}

/// Value and gradient of the penalised mean cross-entropy; the point holds the weights `[classes, features]`, then the intercepts.
fn loss(point: &[f64], rows: &Array2<f64>, truth: &[usize], classes: usize, l2: f64) -> (f64, Vec<f64>) {
    let (count, columns) = (rows.nrows() as f64, rows.ncols());
    let (weights, intercepts) = point.split_at(classes * columns);
    let matrix = Array2::from_shape_fn((columns, classes), |(i, j)| weights[j * columns + i]);
    let mut scores = rows.dot(&matrix);
    scores.rows_mut().into_iter().for_each(|mut row| {
        row.iter_mut().zip(intercepts).for_each(|(score, intercept)| *score += intercept);
    });
    softmax(&mut scores);
    let mut value = 0.5 * l2 * weights.iter().map(|weight| weight * weight).sum::<f64>();
    for (mut row, label) in scores.rows_mut().into_iter().zip(truth) {
        // Probabilities that underflow cost what the smallest positive number does.
        value -= row[*label].max(f64::MIN_POSITIVE).ln() / count;
        row[*label] -= 1.0;
    }
    let slopes = scores.t().dot(rows) / count;
    let mut gradient: Vec<f64> =
        slopes.iter().zip(weights).map(|(slope, weight)| slope + l2 * weight).collect();
    gradient.extend(scores.sum_axis(Axis(0)).iter().map(|sum| sum / count));
    (value, gradient)
}

fn softmax(scores: &mut Array2<f64>) {
    for mut row in scores.rows_mut() {
        let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        row.mapv_inplace(|score| (score - greatest).exp());
        let sum = row.sum();
        row /= sum;
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    /// Three clouds in five dimensions.
    fn clouds(seed: u64, items: usize) -> (Array2<f32>, Vec<&'static str>) {
        let names = ["bass", "drums", "flute"];
        let mut draws = CounterRng::new(seed).at(0);
        let labels: Vec<usize> = (0..items).map(|item| item % 3).collect();
        let features = Array2::from_shape_fn((items, 5), |(item, column)| {
            draws.normal() + if column == labels[item] { 2.5 } else { 0.0 }
        });
        (features * 100.0 + 3.0, labels.into_iter().map(|label| names[label]).collect())
    }

    #[test]
    fn clouds_are_told_apart_and_shuffled_labels_are_not() {
        let ((train, labels), (test, truth)) = (clouds(1, 300), clouds(2, 300));
        let probe = Classifier::fit(train.view(), &labels, 1e-3).unwrap();
        assert!(probe.accuracy(test.view(), &truth).unwrap() > 0.85);
        let order = CounterRng::new(3).permutation(0, 300);
        let shuffled: Vec<&str> = order.iter().map(|item| labels[*item]).collect();
        let lost = Classifier::fit(train.view(), &shuffled, 1e-3).unwrap();
        assert!(lost.accuracy(test.view(), &truth).unwrap() < 0.55);
        // No random draw: the same twice.
        assert_eq!(probe, Classifier::fit(train.view(), &labels, 1e-3).unwrap());
    }

    #[test]
    fn the_scale_and_offset_of_features_do_not_count() {
        let (features, labels) = clouds(4, 60);
        let moved = &features * 0.5 + 16.0;
        let (a, b) = (
            Classifier::fit(features.view(), &labels, 0.1).unwrap(),
            Classifier::fit(moved.view(), &labels, 0.1).unwrap(),
        );
        let (a, b) = (a.probabilities(features.view()).unwrap(), b.probabilities(moved.view()).unwrap());
        // Rounding of the moved features to f32.
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn separable_classes_and_flat_features_converge() {
        let features = array![[0.0_f32, 7.0], [1.0, 7.0], [10.0, 7.0], [11.0, 7.0]];
        let probe = Classifier::fit(features.view(), &["a", "a", "b", "b"], 1e-6).unwrap();
        assert_eq!(probe.accuracy(features.view(), &["a", "a", "b", "b"]).unwrap(), 1.0);
        assert_eq!(probe.accuracy(features.view(), &["a", "a", "b", "c"]).unwrap(), 0.75);
    }

    #[test]
    fn probes_are_saved_and_broken_files_are_refused() {
        let (features, labels) = clouds(5, 30);
        let probe = Classifier::fit(features.view(), &labels, 0.1).unwrap();
        let json = serde_json::to_string(&probe).unwrap();
        assert_eq!(serde_json::from_str::<Classifier>(&json).unwrap(), probe);
        for (from, to) in
            [("\"bass\",", ""), ("\"scales\":[", "\"scales\":[1.0,"), ("\"labels\"", "\"names\"")]
        {
            assert!(json.contains(from));
            assert!(serde_json::from_str::<Classifier>(&json.replacen(from, to, 1)).is_err(), "{from}");
        }
    }

    #[test]
    fn unusable_data_is_named() {
        let (features, labels) = clouds(6, 9);
        assert!(matches!(Classifier::fit(features.view(), &labels, 0.0), Err(Error::Range { .. })));
        assert!(matches!(
            Classifier::fit(features.view(), &labels[1..], 1.0),
            Err(Error::LengthMismatch { .. })
        ));
        assert!(matches!(Classifier::fit(features.view(), &["a"; 9], 1.0), Err(Error::TooFew { .. })));
        let mut bad = features.clone();
        bad[[2, 2]] = f32::NAN;
        assert!(matches!(Classifier::fit(bad.view(), &labels, 1.0), Err(Error::NotFinite { .. })));
        let probe = Classifier::fit(features.view(), &labels, 1.0).unwrap();
        assert!(matches!(probe.predict(array![[1.0_f32]].view()), Err(Error::LengthMismatch { .. })));
        assert!(matches!(probe.predict(Array2::zeros((0, 5)).view()), Err(Error::TooFew { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_gradient_is_that_of_the_loss(point in prop::collection::vec(-1.0_f64..1.0, 18), which in 0_usize..18) {
            let (features, labels) = clouds(7, 12);
            let (_, rows) = Scaling::fit(features.view()).unwrap();
            let truth: Vec<usize> = (0..labels.len()).map(|item| item % 3).collect();
            let value = |point: &[f64]| loss(point, &rows, &truth, 3, 0.3);
            let step = 1e-5;
            let (mut above, mut below) = (point.clone(), point.clone());
            above[which] += step;
            below[which] -= step;
            let slope = (value(&above).0 - value(&below).0) / (2.0 * step);
            prop_assert!((slope - value(&point).1[which]).abs() < 1e-7);
        }
    }
}

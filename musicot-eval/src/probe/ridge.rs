//! Ridge regression.

use musicot_core::tch::Tensor;
use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::scaling::{Linear, Scaling, check_l2};
use crate::{Error, Result, check, statistics};

/// Predicts a number from features, such as the level of an instrument from the sound of a mix.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::probe::{Regressor, r2};
/// let features = ndarray::array![[0.0_f32], [1.0], [2.0], [3.0]];
/// let probe = Regressor::fit(features.view(), &[1.0, 3.0, 5.0, 7.0], 1e-9)?;
/// let predicted = probe.predict(ndarray::array![[4.0_f32], [5.0]].view())?;
/// assert!(r2(&[9.0, 11.0], &predicted)? > 0.999);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "File")]
pub struct Regressor {
    linear: Linear,
}

/// A regressor as it is read, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    linear: Linear,
}

impl TryFrom<File> for Regressor {
    type Error = Error;

    fn try_from(file: File) -> Result<Self> {
        file.linear.check()?;
        check::same_len("intercepts", file.linear.outputs(), 1)?;
        Ok(Self { linear: file.linear })
    }
}

impl Regressor {
    /// Fits features `[items, features]` and a value per item: the mean squared error plus `l2` times the sum of squared weights of the
    /// standardised features (the intercept is free). scikit-learn's `alpha` is `l2 x items`.
    ///
    /// # Errors
    /// [`Error::TooFew`] for fewer than two items; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::Range`] for a penalty that is not
    /// above 0.
    pub fn fit(features: ArrayView2<'_, f32>, values: &[f64], l2: f64) -> Result<Self> {
        check_l2(l2)?;
        check::same_len("values", values.len(), features.nrows())?;
        let (scaling, rows) = Scaling::fit(features)?;
        let mean = statistics::mean(values)?;
        let count = values.len() as f64;
        let centred: Array1<f64> = values.iter().map(|value| value - mean).collect();
        let products = rows.t().dot(&rows) / count + Array2::from_diag(&Array1::from_elem(rows.ncols(), l2));
        let weights = solve(&products, &(rows.t().dot(&centred) / count))?;
        Ok(Self { linear: Linear::new(scaling, &weights, vec![mean])? })
    }

    /// A value per row of features `[items, features]`.
    ///
    /// # Errors
    /// [`Error::TooFew`] for no items; [`Error::LengthMismatch`] for other features than those of the fit; [`Error::NotFinite`].
    pub fn predict(&self, features: ArrayView2<'_, f32>) -> Result<Vec<f64>> {
        Ok(self.linear.apply(features)?.column(0).to_vec())
    }
}

/// The solution `[1, n]` of a symmetric positive definite system `[n, n]`.
fn solve(matrix: &Array2<f64>, right: &Array1<f64>) -> Result<Array2<f64>> {
    let size = right.len() as i64;
    let tensor = |values: Vec<f64>, columns: i64| Tensor::f_from_slice(&values)?.f_reshape([size, columns]);
    let root = tensor(matrix.iter().copied().collect(), size)?.f_linalg_cholesky(false)?;
    let solved = tensor(right.to_vec(), 1)?.f_cholesky_solve(&root, false)?.f_reshape([-1])?;
    let values: Vec<f64> = Vec::try_from(&solved)?;
    Array2::from_shape_vec((1, values.len()), values).map_err(|e| Error::range("weights", e.to_string()))
}

/// The coefficient of determination: 1 less the mean squared error over the variance of the truth. 1 is perfect, 0 what the mean of the
/// truth would score, and worse predictions are below 0 without limit.
///
/// # Errors
/// [`Error::TooFew`] for fewer than two values; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::Range`] for a truth that does not
/// vary.
pub fn r2(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    check::at_least("true values", truth.len(), 2)?;
    check::same_len("predicted values", predicted.len(), truth.len())?;
    check::finite("predicted values", predicted.iter().copied())?;
    let mean = statistics::mean(truth)?;
    let total: f64 = truth.iter().map(|value| (value - mean).powi(2)).sum();
    if total <= truth.len() as f64 * (1e-12 * mean).powi(2) {
        return Err(Error::range("true values", "expected values that vary"));
    }
    let residual: f64 = truth.iter().zip(predicted).map(|(a, b)| (a - b).powi(2)).sum();
    Ok(1.0 - residual / total)
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;
    use proptest::prelude::*;

    use super::*;

    fn data(seed: u64, items: usize, noise: f64) -> (Array2<f32>, Vec<f64>) {
        let mut draws = CounterRng::new(seed).at(0);
        let features =
            Array2::from_shape_fn((items, 4), |(_, column)| draws.normal() * 10_f32.powi(column as i32));
        let value = |row: ndarray::ArrayView1<'_, f32>| 3.0 + f64::from(row[0]) - 0.02 * f64::from(row[2]);
        let values = features.rows().into_iter().map(value).collect::<Vec<_>>();
        let values = values.iter().map(|value| value + noise * f64::from(draws.normal())).collect();
        (features, values)
    }

    #[test]
    fn what_is_linear_is_found_and_noise_is_not() {
        let ((train, values), (test, truth)) = (data(1, 200, 0.2), data(2, 200, 0.2));
        let probe = Regressor::fit(train.view(), &values, 1e-3).unwrap();
        let score = r2(&truth, &probe.predict(test.view()).unwrap()).unwrap();
        // Variance 5 of the signal against 0.04 of the noise.
        assert!((score - 0.992).abs() < 0.005, "{score}");
        let order = CounterRng::new(3).permutation(0, 200);
        let shuffled: Vec<f64> = order.iter().map(|item| values[*item]).collect();
        let lost = Regressor::fit(train.view(), &shuffled, 1e-3).unwrap();
        assert!(r2(&truth, &lost.predict(test.view()).unwrap()).unwrap() < 0.3);
    }

    #[test]
    fn a_great_penalty_leaves_the_mean() {
        let (features, values) = data(4, 50, 0.1);
        let mean = values.iter().sum::<f64>() / 50.0;
        let probe = Regressor::fit(features.view(), &values, 1e9).unwrap();
        assert!(probe.predict(features.view()).unwrap().iter().all(|value| (value - mean).abs() < 1e-6));
    }

    #[test]
    fn more_features_than_items_and_a_saved_probe() {
        let features = Array2::from_shape_fn((3, 8), |(i, j)| ((i + 1) * (j + 2) % 7) as f32);
        let probe = Regressor::fit(features.view(), &[1.0, 2.0, 4.0], 1e-3).unwrap();
        assert!(probe.predict(features.view()).unwrap().iter().all(|value| value.is_finite()));
        let json = serde_json::to_string(&probe).unwrap();
        assert_eq!(serde_json::from_str::<Regressor>(&json).unwrap(), probe);
        let two = json.replace("\"intercepts\":[", "\"intercepts\":[0.0,");
        assert!(serde_json::from_str::<Regressor>(&two).is_err());
    }

    #[test]
    fn unusable_data_is_named() {
        let (features, values) = data(5, 6, 0.1);
        assert!(Regressor::fit(features.view(), &values, f64::NAN).is_err());
        assert!(Regressor::fit(features.view(), &values[1..], 1.0).is_err());
        assert!(Regressor::fit(features.view(), &[f64::NAN; 6], 1.0).is_err());
        assert!(matches!(r2(&[1.0, 1.0], &[1.0, 2.0]), Err(Error::Range { .. })));
        assert!(r2(&[1.0, 2.0], &[1.0]).is_err() && r2(&[1.0], &[1.0]).is_err());
        assert_eq!(r2(&[1.0, 3.0], &[2.0, 2.0]).unwrap(), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_fit_beats_the_mean_on_its_own_data(seed in 0_u64..100, l2 in 1e-6_f64..10.0) {
            let (features, values) = data(seed, 12, 1.0);
            let probe = Regressor::fit(features.view(), &values, l2).unwrap();
            let score = r2(&values, &probe.predict(features.view()).unwrap()).unwrap();
            prop_assert!((-1e-9..=1.0).contains(&score), "{}", score);
        }
    }
}

//! Standardised features, and the linear functions of them that both probes are.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, check, vectors};

/// Features that vary less than this, relative to their size, do not vary.
const FLAT: f64 = 1e-12;

/// Linear functions of standardised features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Linear {
    /// Mean and scale of each feature.
    means: Vec<f64>,
    scales: Vec<f64>,
    /// Per output, a weight for each feature.
    weights: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
}

impl Linear {
    pub(crate) fn new(scaling: Scaling, weights: &Array2<f64>, intercepts: Vec<f64>) -> Result<Self> {
        let weights = weights.rows().into_iter().map(|row| row.to_vec()).collect();
        let (means, scales) = (scaling.means.to_vec(), scaling.scales.to_vec());
        let linear = Self { means, scales, weights, intercepts };
        linear.check()?;
        Ok(linear)
    }

    pub(crate) fn outputs(&self) -> usize {
        self.intercepts.len()
    }

    /// Checks what a file, or values near the end of the range of f64, may have got wrong.
    pub(crate) fn check(&self) -> Result<()> {
        let features = self.means.len();
        check::at_least("means", features, 1)?;
        check::at_least("intercepts", self.outputs(), 1)?;
        check::same_len("scales", self.scales.len(), features)?;
        check::same_len("weights: rows", self.weights.len(), self.outputs())?;
        for row in &self.weights {
            check::same_len("weights: columns", row.len(), features)?;
        }
        check::finite("means", self.means.iter().copied())?;
        check::finite("weights", self.weights.iter().flatten().copied())?;
        check::finite("intercepts", self.intercepts.iter().copied())?;
        match self.scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
            None => Ok(()),
            Some(scale) => Err(Error::range("scales", format!("expected values above 0, got {scale}"))),
        }
    }

    /// Outputs `[items, outputs]` of features `[items, features]`.
    pub(crate) fn apply(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
        let rows = vectors::checked("features", features, 1)?;
        check::same_len("features: columns", rows.ncols(), self.means.len())?;
        let scaled = (rows - Array1::from(self.means.clone())) / Array1::from(self.scales.clone());
        let weights = Array2::from_shape_fn((self.means.len(), self.outputs()), |(i, j)| self.weights[j][i]);
        Ok(scaled.dot(&weights) + Array1::from(self.intercepts.clone()))
    }
}

/// Means and standard deviations (divided by items) of features.
pub(crate) struct Scaling {
    means: Array1<f64>,
    scales: Array1<f64>,
}

impl Scaling {
    /// Fits features `[items, features]` and returns them at mean 0 and deviation 1; features that do not vary become 0.
    pub(crate) fn fit(features: ArrayView2<'_, f32>) -> Result<(Self, Array2<f64>)> {
        let rows = vectors::checked("features", features, 2)?;
        let count = rows.nrows() as f64;
        let means = rows.sum_axis(Axis(0)) / count;
        let centred = &rows - &means;
        let deviations = ((&centred * &centred).sum_axis(Axis(0)) / count).mapv(f64::sqrt);
        let scale = |(deviation, mean): (&f64, &f64)| {
            if *deviation > FLAT * mean.abs().max(f64::MIN_POSITIVE) { *deviation } else { 1.0 }
        };
        let scales: Array1<f64> = deviations.iter().zip(&means).map(scale).collect();
        let scaled = centred / &scales;
        Ok((Self { means, scales }, scaled))
    }
}

/// An L2 penalty must be positive: without it, separable classes have no finite optimum, and few items no unique one.
pub(crate) fn check_l2(l2: f64) -> Result<()> {
    if l2.is_finite() && l2 > 0.0 {
        return Ok(());
    }
    Err(Error::range("l2", format!("expected a penalty above 0, got {l2}")))
}

//! Fréchet distance between two sets of embeddings.

use musicot_core::tch::{Kind, Tensor};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::{Error, Result, check, vectors};

/// How far a covariance may be from symmetric, and below positive semidefinite, relative to its greatest entry or eigenvalue.
const SLACK: f64 = 1e-8;

/// A normal distribution, as fitted to a set of embeddings. Keep that of a reference corpus to compare several models with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    mean: Array1<f64>,
    covariance: Array2<f64>,
}

impl Gaussian {
    /// Mean and unbiased covariance (divided by items - 1) of rows `[items, dim]`.
    ///
    /// # Errors
    /// [`Error::TooFew`] for fewer than two rows; [`Error::NotFinite`].
    pub fn fit(items: ArrayView2<'_, f32>) -> Result<Self> {
        let items = vectors::checked("items", items, 2)?;
        let mean = items.sum_axis(Axis(0)) / items.nrows() as f64;
        let centered = &items - &mean;
        let covariance = centered.t().dot(&centered) / (items.nrows() - 1) as f64;
        Ok(Self { mean, covariance })
    }

    /// A distribution with a given mean `[dim]` and covariance `[dim, dim]`.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] for axes that differ; [`Error::NotFinite`]; [`Error::Range`] for a covariance that is not symmetric.
    pub fn new(mean: Array1<f64>, covariance: Array2<f64>) -> Result<Self> {
        check::at_least("mean: values", mean.len(), 1)?;
        check::same_len("covariance: rows", covariance.nrows(), mean.len())?;
        check::same_len("covariance: columns", covariance.ncols(), mean.len())?;
        check::finite("mean", mean.iter().copied())?;
        check::finite("covariance", covariance.iter().copied())?;
        let greatest = covariance.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let is_symmetric = covariance
            .indexed_iter()
            .all(|((i, j), value)| (value - covariance[[j, i]]).abs() <= SLACK * greatest);
        if !is_symmetric {
            return Err(Error::range("covariance", "expected a symmetric matrix"));
        }
        Ok(Self { mean, covariance })
    }

    /// Mean `[dim]`.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// Covariance `[dim, dim]`.
    pub fn covariance(&self) -> &Array2<f64> {
        &self.covariance
    }

    /// Squared Fréchet (2-Wasserstein) distance, at least 0 (Dowson and Landau, 1982), the quantity that is reported as FID (Heusel et
    /// al., 2017) and FAD (Kilgour et al., 2019):
    /// `|m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2)`.
    /// The last trace is the sum of the singular values of `C1^(1/2) C2^(1/2)`, whose roots come from symmetric
    /// eigendecompositions in f64, so that rank-deficient covariances (fewer items than dimensions) need no added diagonal.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] for dimensions that differ; [`Error::Range`] for a covariance that is not positive semidefinite.
    pub fn squared_distance(&self, other: &Self) -> Result<f64> {
        check::same_len("other distribution: dimensions", other.mean.len(), self.mean.len())?;
        let apart = &self.mean - &other.mean;
        let traces = self.covariance.diag().sum() + other.covariance.diag().sum();
        let roots = self.root()?.f_matmul(&other.root()?)?;
        let (_, singular_values, _) = roots.f_svd(true, false)?;
        let shared = singular_values.f_sum(Kind::Double)?.f_double_value(&[])?;
        Ok((apart.dot(&apart) + traces - 2.0 * shared).max(0.0))
    }

    /// The symmetric root of the covariance.
    fn root(&self) -> Result<Tensor> {
        let size = self.mean.len() as i64;
        let values: Vec<f64> = self.covariance.iter().copied().collect();
        let matrix = Tensor::f_from_slice(&values)?.f_reshape([size, size])?;
        let (eigenvalues, axes) = matrix.f_linalg_eigh("L")?;
        let least = eigenvalues.f_min()?.f_double_value(&[])?;
        let greatest = eigenvalues.f_abs()?.f_max()?.f_double_value(&[])?;
        if least < -SLACK * greatest {
            let reason = format!("expected a positive semidefinite matrix, got an eigenvalue of {least}");
            return Err(Error::range("covariance", reason));
        }
        let roots = eigenvalues.f_clamp_min(0.0)?.f_sqrt()?.f_to_kind(Kind::Double)?;
        Ok(axes.f_mul(&roots)?.f_matmul(&axes.f_transpose(0, 1)?)?)
    }
}

/// The squared Fréchet distance of normal distributions fitted to two sets of rows `[items, dim]`; at least 0. It is biased
/// upwards for few items: compare only figures from equally many.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// let here = ndarray::array![[0.0_f32, 1.0], [2.0, 3.0], [4.0, 1.0]];
/// let there = &here + 3.0; // moved by 3 in both dimensions
/// let distance = musicot_eval::frechet::frechet_distance(here.view(), there.view())?;
/// assert!((distance - 18.0).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for fewer than two rows; [`Error::NotFinite`]; [`Error::LengthMismatch`] for dimensions that differ.
pub fn frechet_distance(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Result<f64> {
    Gaussian::fit(a)?.squared_distance(&Gaussian::fit(b)?)
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn diagonal_covariances_have_a_closed_form() {
        let a = Gaussian::new(array![1.0, 2.0], array![[4.0, 0.0], [0.0, 9.0]]).unwrap();
        let b = Gaussian::new(array![4.0, -2.0], array![[1.0, 0.0], [0.0, 25.0]]).unwrap();
        // 3^2 + 4^2 + (2 - 1)^2 + (3 - 5)^2
        assert!((a.squared_distance(&b).unwrap() - 30.0).abs() < 1e-10);
        assert!(a.squared_distance(&a).unwrap() < 1e-10);
        // A point mass, to which the distance is the other's second moment about it.
        let point = Gaussian::new(array![1.0, 2.0], Array2::zeros((2, 2))).unwrap();
        assert!((a.squared_distance(&point).unwrap() - 13.0).abs() < 1e-10);
    }

    #[test]
    fn a_rotation_by_90_degrees() {
        // Commuting covariances diag(4, 1) and diag(1, 4): 2 (2 - 1)^2.
        let a = Gaussian::new(array![0.0, 0.0], array![[4.0, 0.0], [0.0, 1.0]]).unwrap();
        let b = Gaussian::new(array![0.0, 0.0], array![[1.0, 0.0], [0.0, 4.0]]).unwrap();
        assert!((a.squared_distance(&b).unwrap() - 2.0).abs() < 1e-10);
    }

    #[test]
    fn unusable_distributions_are_refused() {
        assert!(matches!(Gaussian::fit(array![[1.0_f32, 2.0]].view()), Err(Error::TooFew { needed: 2, .. })));
        assert!(matches!(Gaussian::fit(array![[1.0_f32], [f32::NAN]].view()), Err(Error::NotFinite { .. })));
        assert!(matches!(
            Gaussian::new(array![0.0, 0.0], array![[1.0, 2.0], [0.0, 1.0]]),
            Err(Error::Range { .. })
        ));
        assert!(matches!(Gaussian::new(array![0.0], array![[1.0, 2.0]]), Err(Error::LengthMismatch { .. })));
        let indefinite = Gaussian::new(array![0.0, 0.0], array![[1.0, 0.0], [0.0, -1.0]]).unwrap();
        assert!(matches!(indefinite.squared_distance(&indefinite), Err(Error::Range { .. })));
        let other = Gaussian::new(array![0.0], array![[1.0]]).unwrap();
        assert!(matches!(other.squared_distance(&indefinite), Err(Error::LengthMismatch { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_is_a_distance(a in prop::collection::vec(-9.0_f32..9.0, 20), b in prop::collection::vec(-9.0_f32..9.0, 12)) {
            // Five and three items of four dimensions: the second covariance has rank two.
            let (a, b) = (Array2::from_shape_vec((5, 4), a).unwrap(), Array2::from_shape_vec((3, 4), b).unwrap());
            let ab = frechet_distance(a.view(), b.view()).unwrap();
            let ba = frechet_distance(b.view(), a.view()).unwrap();
            prop_assert!(ab.is_finite() && ab >= 0.0 && (ab - ba).abs() < 1e-6);
            prop_assert!(frechet_distance(a.view(), a.view()).unwrap() < 1e-6);
        }
    }
}

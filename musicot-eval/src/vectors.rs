//! Rows of embeddings in f64.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::{Error, Result, check};

/// The rows at unit length. At least one row and one column, all finite, no row zero.
pub(crate) fn unit_rows(what: &str, rows: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
    let mut rows = checked(what, rows, 1)?;
    for (row, mut values) in rows.rows_mut().into_iter().enumerate() {
        let norm = values.dot(&values).sqrt();
        if norm == 0.0 {
            return Err(Error::ZeroVector { what: what.to_owned(), row });
        }
        values /= norm;
    }
    Ok(rows)
}

/// At least `needed` rows and one column, all finite.
pub(crate) fn checked(what: &str, rows: ArrayView2<'_, f32>, needed: usize) -> Result<Array2<f64>> {
    check::at_least(&format!("{what}: rows"), rows.nrows(), needed)?;
    check::at_least(&format!("{what}: columns"), rows.ncols(), 1)?;
    check::finite(what, rows.iter().map(|value| f64::from(*value)))?;
    Ok(rows.mapv(f64::from))
}

/// Cosines of the rows of two sets of unit rows `[a, b]`, of one dimension.
pub(crate) fn cosines(what: &str, a: &Array2<f64>, b: &Array2<f64>) -> Result<Array2<f64>> {
    check::same_len(&format!("{what}: columns"), b.ncols(), a.ncols())?;
    Ok(a.dot(&b.t()).mapv(|cosine| cosine.clamp(-1.0, 1.0)))
}

/// Cosines of the rows of two sets of unit rows, row by row.
pub(crate) fn paired_cosines(what: &str, a: &Array2<f64>, b: &Array2<f64>) -> Result<Array1<f64>> {
    check::same_len(&format!("{what}: rows"), b.nrows(), a.nrows())?;
    check::same_len(&format!("{what}: columns"), b.ncols(), a.ncols())?;
    Ok((a * b).sum_axis(Axis(1)).mapv(|cosine| cosine.clamp(-1.0, 1.0)))
}

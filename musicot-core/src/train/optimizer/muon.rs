//! Muon (Jordan et al., 2024): a matrix moves by its momentum with all singular values made one, so that every direction
//! it has learns at the same pace.
//!
//! Steps are scaled as in Liu et al. (2025), "Muon is scalable for LLM training": their root mean square is about that of AdamW's, so
//! that one learning rate and one weight decay serve both.

use tch::{Kind, Tensor};

use crate::Result;

/// Share of the momentum that stays from step to step.
pub(super) const MOMENTUM: f64 = 0.95;

/// Coefficients of the iteration `x <- a x + (b x xT + c (x xT)^2) x` and how often it is done: singular values of 0.01 to 1 come
/// to within 0.7 to 1.2, which is as good as one here.
const COEFFICIENTS: (f64, f64, f64) = (3.4445, -4.775, 2.0315);
const ITERATIONS: usize = 5;

/// Root mean square of a step in units of the learning rate, AdamW's in practice.
const STEP_SIZE: f64 = 0.2;

/// Keeps the norm of a matrix without a gradient finite.
const EPSILON: f64 = 1e-7;

/// The step of matrices `[count, rows, columns]` of one shape from their momentum, in units of the learning rate.
pub(super) fn step_of(momentum: &Tensor) -> Result<Tensor> {
    let (_, rows, columns) = momentum.size3()?;
    let is_tall = rows > columns;
    // The products are those of the shorter side.
    let wide = if is_tall { momentum.f_transpose(1, 2)? } else { momentum.shallow_clone() };
    let wide = orthogonal(&wide)?;
    let made = if is_tall { wide.f_transpose(1, 2)? } else { wide };
    Ok(made.f_mul_scalar(STEP_SIZE * (rows.max(columns) as f64).sqrt())?)
}

/// Matrices `[count, rows, columns]` with the same singular vectors and singular values near one (Newton and Schulz).
fn orthogonal(matrices: &Tensor) -> Result<Tensor> {
    let (a, b, c) = COEFFICIENTS;
    let norm = matrices.f_square()?.f_sum_dim_intlist([1, 2].as_slice(), true, Kind::Float)?.f_sqrt()?;
    let mut x = matrices.f_div(&norm.f_add_scalar(EPSILON)?)?;
    for _ in 0..ITERATIONS {
        let gram = x.f_bmm(&x.f_transpose(1, 2)?)?;
        let polynomial = gram.f_mul_scalar(b)?.f_add(&gram.f_bmm(&gram)?.f_mul_scalar(c)?)?;
        x = x.f_mul_scalar(a)?.f_add(&polynomial.f_bmm(&x)?)?;
    }
    Ok(x)
}

//! The second-order one-step solver.

use musicot_core::tch::Tensor;

use super::{Field, Solver, check_times, step};
use crate::objective::combine;
use crate::{Objective, Result};

/// Two calls a step, second order (Karras et al., 2022, algorithm 1). Where the last step ends at 0 it is of first order
/// and takes one call: networks are least trained there, and a single such step keeps the order of the whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heun;

impl Solver for Heun {
    fn solve(
        &self,
        objective: Objective,
        times: &[f64],
        x: &Tensor,
        field: &mut Field<'_>,
    ) -> Result<Tensor> {
        check_times(times)?;
        let mut x = x.shallow_clone();
        for pair in times.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let output = field(&x, from)?;
            let guess = step(objective, &x, &output, from, to)?;
            x = if to == 0.0 { guess } else { correct(objective, pair, (&x, &output), guess, field)? };
        }
        Ok(x)
    }

    fn calls(&self, steps: usize) -> usize {
        (2 * steps).saturating_sub(1)
    }
}

/// The first-order step already holds the part of the output's change that the path itself prescribes (a rotation for
/// [`Objective::Angle`], none for [`Objective::Flow`]); the trapezoid rule is applied to the rest.
fn correct(
    objective: Objective,
    pair: &[f64],
    (x, output): (&Tensor, &Tensor),
    guess: Tensor,
    field: &mut Field<'_>,
) -> Result<Tensor> {
    let (from, to) = (pair[0], pair[1]);
    let expected = match objective {
        Objective::Flow => output.shallow_clone(),
        Objective::Angle => {
            let (sin, cos) = ((from - to) * objective.span()).sin_cos();
            combine(x, sin, output, cos)?
        }
    };
    let surprise = field(&guess, to)?.f_sub(&expected)?;
    Ok(guess.f_add(&surprise.f_mul_scalar(0.5 * objective.span() * (to - from))?)?)
}

//! The first-order solver.

use musicot_core::tch::Tensor;

use super::{Field, Solver, check_times, step};
use crate::{Objective, Result};

/// One call a step, first order; DDIM (Song et al., 2021) in both parametrisations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Euler;

impl Solver for Euler {
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
            let output = field(&x, pair[0])?;
            x = step(objective, &x, &output, pair[0], pair[1])?;
        }
        Ok(x)
    }

    fn calls(&self, steps: usize) -> usize {
        steps
    }
}

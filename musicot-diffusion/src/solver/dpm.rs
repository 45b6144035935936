//! DPM-Solver++(2M) (Lu et al., 2022, algorithm 2) in the data-prediction form.
//!
//! With `lambda = ln(alpha / sigma)` and `h = lambda(s) - lambda(t)`, a step from `t` to `s` is
//! `x_s = (sigma_s / sigma_t) x_t + alpha_s (1 - exp(-h)) D`. It only needs `alpha` and `sigma`, so it serves both
//! objectives: `alpha = 1 - t, sigma = t` for the flow, `cos` and `sin` for the angle form. `exp(-h)` is written as the
//! ratio `(alpha_t sigma_s) / (sigma_t alpha_s)`, so that the factor of `D` becomes `alpha_s - alpha_t sigma_s / sigma_t`,
//! which is finite where `lambda` is not: at the noise (`alpha_t = 0`) and at the data (`sigma_s = 0`, where `x_s = D`).

use musicot_core::tch::Tensor;

use super::{Field, Solver, check_times};
use crate::objective::combine;
use crate::{Objective, Result};

/// One call a step, second order by extrapolating the last two data predictions. The first and last steps are of first
/// order (there is no history, and `h` is infinite).
#[derive(Debug, Clone, Copy, Default)]
pub struct DpmSolver2M;

impl Solver for DpmSolver2M {
    fn solve(
        &self,
        objective: Objective,
        times: &[f64],
        x: &Tensor,
        field: &mut Field<'_>,
    ) -> Result<Tensor> {
        check_times(times)?;
        let mut x = x.shallow_clone();
        let mut history: Option<(Tensor, f64)> = None;
        for pair in times.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let data = objective.data(&x, &field(&x, from)?, from)?;
            let weight =
                history.as_ref().map_or(0.0, |(_, before)| extrapolation(objective, [*before, from, to]));
            let estimate = match &history {
                Some((previous, _)) if weight != 0.0 => combine(&data, 1.0 + weight, previous, -weight)?,
                _ => data.shallow_clone(),
            };
            let ratio = objective.sigma(to) / objective.sigma(from);
            x = combine(&x, ratio, &estimate, objective.alpha(to) - objective.alpha(from) * ratio)?;
            history = Some((data, from));
        }
        Ok(x)
    }

    fn calls(&self, steps: usize) -> usize {
        steps
    }
}

/// `h / 2 h_before` for three times in order; 0 where either is infinite.
fn extrapolation(objective: Objective, times: [f64; 3]) -> f64 {
    let [before, from, to] = times.map(|t| (objective.alpha(t) / objective.sigma(t)).ln());
    let weight = 0.5 * (to - from) / (from - before);
    if weight.is_finite() { weight } else { 0.0 }
}

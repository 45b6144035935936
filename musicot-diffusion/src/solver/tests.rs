//! Orders of convergence on a Gaussian, where the probability-flow equation has a closed solution.

use musicot_core::tch::{Kind, Tensor};

use super::*;
use crate::Schedule;

/// Data normal with these means and standard deviations, one per component.
const MEANS: [f64; 3] = [0.5, -1.0, 0.2];
const DEVIATIONS: [f64; 3] = [0.3, 0.8, 2.0];

fn start() -> Tensor {
    Tensor::from_slice(&[1.3_f64, -0.4, 0.7])
}

/// The best prediction of the target: the posterior mean given `x`.
fn field(objective: Objective) -> impl FnMut(&Tensor, f64) -> Result<Tensor> {
    let (mean, deviation) = (Tensor::from_slice(&MEANS), Tensor::from_slice(&DEVIATIONS));
    move |x, t| {
        let (alpha, sigma) = (objective.alpha(t), objective.sigma(t));
        let variance = deviation.square();
        let spread = &variance * (alpha * alpha) + sigma * sigma;
        let rest = x - &mean * alpha;
        let data = &mean + &variance * alpha * &rest / &spread;
        let noise = sigma * &rest / &spread;
        objective.target(&data, &noise, t)
    }
}

/// From `x(1)`, pure noise, the exact solution at 0 is `mean + deviation * x(1)`.
fn error(solver: &dyn Solver, objective: Objective, schedule: Schedule, steps: usize) -> f64 {
    let exact = Tensor::from_slice(&MEANS) + Tensor::from_slice(&DEVIATIONS) * start();
    let times = schedule.times(steps).unwrap();
    let found = solver.solve(objective, &times, &start(), &mut field(objective)).unwrap();
    assert_eq!(found.kind(), Kind::Double);
    (found - exact).abs().max().double_value(&[])
}

fn order(solver: &dyn Solver, objective: Objective, schedule: Schedule) -> f64 {
    (error(solver, objective, schedule, 64) / error(solver, objective, schedule, 256)).log2() / 2.0
}

#[test]
fn errors_fall_with_the_order() {
    for objective in [Objective::Flow, Objective::Angle] {
        for schedule in [Schedule::Uniform, Schedule::Melody, Schedule::Cosine] {
            let orders = [
                order(&Euler, objective, schedule),
                order(&Heun, objective, schedule),
                order(&DpmSolver2M, objective, schedule),
            ];
            println!("{objective:?} {schedule:?} {orders:?}");
            assert!((0.9..1.2).contains(&orders[0]), "Euler {objective:?} {schedule:?}: {}", orders[0]);
            // At 64 steps the asymptote is reached to about a tenth.
            assert!((1.85..2.4).contains(&orders[1]), "Heun {objective:?} {schedule:?}: {}", orders[1]);
            // 2M loses up to a logarithm: its steps in lambda do not shrink near pure noise.
            assert!((1.7..2.4).contains(&orders[2]), "2M {objective:?} {schedule:?}: {}", orders[2]);
        }
    }
}

#[test]
fn all_agree_in_the_limit() {
    for objective in [Objective::Flow, Objective::Angle] {
        for kind in [SolverKind::Euler, SolverKind::Heun, SolverKind::DpmSolver2M] {
            let error = error(kind.build().as_ref(), objective, Schedule::Uniform, 2000);
            // First order at 2000 steps, with derivatives of a few units.
            assert!(error < 3e-3, "{kind:?} {objective:?}: {error}");
        }
    }
}

#[test]
fn second_order_pays_at_equal_calls() {
    for objective in [Objective::Flow, Objective::Angle] {
        let euler = error(&Euler, objective, Schedule::Uniform, 16);
        let multi = error(&DpmSolver2M, objective, Schedule::Uniform, 16);
        assert!(multi < 0.5 * euler, "{objective:?}: 2M {multi} against Euler {euler}");
    }
}

/// With one datum the prediction is always right, and every solver must land on it in any number of steps.
#[test]
fn a_single_datum_is_hit_exactly() {
    let datum = Tensor::from_slice(&[0.7_f64, -2.0, 3.0]);
    for objective in [Objective::Flow, Objective::Angle] {
        for kind in [SolverKind::Euler, SolverKind::Heun, SolverKind::DpmSolver2M] {
            for steps in [1, 2, 3, 7] {
                let times = Schedule::Uniform.times(steps).unwrap();
                let mut field = |x: &Tensor, t: f64| {
                    let noise = (x - &datum * objective.alpha(t)) / objective.sigma(t);
                    objective.target(&datum, &noise, t)
                };
                let found = kind.build().solve(objective, &times, &start(), &mut field).unwrap();
                assert!(found.allclose(&datum, 0.0, 1e-9, false), "{kind:?} {objective:?} {steps}");
            }
        }
    }
}

#[test]
fn calls_are_counted_rightly() {
    for kind in [SolverKind::Euler, SolverKind::Heun, SolverKind::DpmSolver2M] {
        let solver = kind.build();
        let mut calls = 0;
        let mut inner = field(Objective::Flow);
        let mut counted = |x: &Tensor, t: f64| {
            calls += 1;
            inner(x, t)
        };
        let _ = solver
            .solve(Objective::Flow, &Schedule::Uniform.times(5).unwrap(), &start(), &mut counted)
            .unwrap();
        assert_eq!(calls, solver.calls(5), "{kind:?}");
    }
}

#[test]
fn bad_times_are_refused() {
    for times in [&[][..], &[1.0], &[0.5, 0.5], &[0.2, 0.4], &[1.5, 0.0], &[f64::NAN, 0.0]] {
        assert!(Euler.solve(Objective::Flow, times, &start(), &mut field(Objective::Flow)).is_err());
    }
}

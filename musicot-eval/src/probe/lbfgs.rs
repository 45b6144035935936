//! Minimises smooth convex functions: L-BFGS (Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989).

use crate::{Error, Result};

/// Pairs of steps and changes of the gradient that stand in for the curvature.
const MEMORY: usize = 12;

const MAX_ITERATIONS: usize = 5000;

/// The line search accepts a step that gains this share of what the slope promises (Armijo), and halves it otherwise.
const SUFFICIENT: f64 = 1e-4;
const MAX_HALVINGS: usize = 50;

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// Runs from a start until no component of the gradient is above `tolerance`, or until rounding leaves no step that gains anything.
pub(crate) fn minimise(
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
    start: Vec<f64>,
    tolerance: f64,
) -> Result<Vec<f64>> {
    let mut point = start;
    let (mut value, mut gradient) = function(&point);
    let mut memory: Vec<Pair> = Vec::new();
    for _ in 0..MAX_ITERATIONS {
        if gradient.iter().all(|component| component.abs() <= tolerance) {
            return Ok(point);
        }
        let mut direction = descent(&gradient, &memory);
        if dot(&direction, &gradient) >= 0.0 {
            memory.clear();
            direction = descent(&gradient, &memory);
        }
        // Without a memory the length of the gradient says nothing about that of the step.
        let first = if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let slope = dot(&direction, &gradient);
        let tried = (0..MAX_HALVINGS).find_map(|halvings| {
            let length = first * 0.5_f64.powi(halvings as i32);
            let next: Vec<f64> = point.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (next_value, next_gradient) = function(&next);
            (next_value <= value + SUFFICIENT * length * slope).then_some((next, next_value, next_gradient))
        });
        let Some((next, next_value, next_gradient)) = tried else {
            if memory.is_empty() {
                return Ok(point);
            }
            memory.clear();
            continue;
        };
        let step: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change) {
            if memory.len() == MEMORY {
                memory.remove(0);
            }
            memory.push(Pair { step, change, curvature });
        }
        (point, value, gradient) = (next, next_value, next_gradient);
    }
    Err(Error::range("fit", format!("did not converge within {MAX_ITERATIONS} iterations")))
}

/// The two-loop recursion: minus the inverse curvature times the gradient.
fn descent(gradient: &[f64], memory: &[Pair]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|component| -component).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let share = dot(&pair.step, &direction) / pair.curvature;
        add(&mut direction, -share, &pair.change);
        shares.push(share);
    }
    if let Some(last) = memory.last() {
        let scale = last.curvature / dot(&last.change, &last.change);
        direction.iter_mut().for_each(|component| *component *= scale);
    }
    for (pair, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(&pair.change, &direction) / pair.curvature;
        add(&mut direction, share - back, &pair.step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretched_bowl_has_its_minimum_where_it_should() {
        let bowl = |x: &[f64]| {
            let parts = x.iter().enumerate().map(|(i, x)| (10_f64.powi(i as i32), x - i as f64));
            let value = parts.clone().map(|(steep, x)| 0.5 * steep * x * x).sum();
            (value, parts.map(|(steep, x)| steep * x).collect())
        };
        let found = minimise(bowl, vec![5.0; 6], 1e-9).unwrap();
        assert!(found.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-8), "{found:?}");
        assert_eq!(
            minimise(bowl, (0..6).map(f64::from).collect(), 1e-9).unwrap(),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        );
    }

    #[test]
    fn a_function_without_a_minimum_is_an_error() {
        let slope = |x: &[f64]| (-x[0], vec![-1.0]);
        assert!(matches!(minimise(slope, vec![0.0], 1e-9), Err(Error::Range { .. })));
    }
}

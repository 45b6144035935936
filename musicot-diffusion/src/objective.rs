//! What the network predicts: two parametrisations of the same family of paths from data to noise.
//!
//! Time `t` runs from 0 (data) to 1 (noise) in both, and `x_t = alpha(t) data + sigma(t) noise`. The network's output is a
//! combination `a data + b noise` with `alpha b - sigma a = 1`, so that data and noise follow from `x_t` and the output
//! without any division.

use std::f64::consts::FRAC_PI_2;

use musicot_core::tch::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The path from data to noise, and the network's target on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Rectified flow (Liu et al., 2023): `x_t = (1 - t) data + t noise`, target `noise - data`.
    #[default]
    Flow,
    /// v-prediction in the angle form of MeLoDy (Lam et al., 2023): with the angle `d = t pi / 2`,
    /// `x_t = cos(d) data + sin(d) noise`, target `cos(d) noise - sin(d) data`.
    Angle,
}

/// Factors of data and noise in `x_t` and in the target at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Factors<T> {
    /// Data in `x_t`.
    pub alpha: T,
    /// Noise in `x_t`.
    pub sigma: T,
    /// Data in the target.
    pub data: T,
    /// Noise in the target.
    pub noise: T,
}

impl Objective {
    /// The factor of the data in `x_t`; exactly 1 at `t = 0` and exactly 0 at `t = 1`.
    pub fn alpha(self, t: f64) -> f64 {
        match self {
            Self::Flow => 1.0 - t,
            Self::Angle if t == 1.0 => 0.0,
            Self::Angle => (t * FRAC_PI_2).cos(),
        }
    }

    /// The factor of the noise in `x_t`; exactly 0 at `t = 0` and exactly 1 at `t = 1`.
    pub fn sigma(self, t: f64) -> f64 {
        match self {
            Self::Flow => t,
            Self::Angle => (t * FRAC_PI_2).sin(),
        }
    }

    /// Length of the path in the variable in which the target is the velocity: `dx = span * target * dt`.
    pub fn span(self) -> f64 {
        match self {
            Self::Flow => 1.0,
            Self::Angle => FRAC_PI_2,
        }
    }

    pub(crate) fn factors(self, t: f64) -> Factors<f64> {
        let (alpha, sigma) = (self.alpha(t), self.sigma(t));
        match self {
            Self::Flow => Factors { alpha, sigma, data: -1.0, noise: 1.0 },
            Self::Angle => Factors { alpha, sigma, data: -sigma, noise: alpha },
        }
    }

    /// The noised latents at one time, in the shape of `data`.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    pub fn mix(self, data: &Tensor, noise: &Tensor, t: f64) -> Result<Tensor> {
        let f = self.factors(t);
        combine(data, f.alpha, noise, f.sigma)
    }

    /// What the network should output at one time, in the shape of `data`.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    pub fn target(self, data: &Tensor, noise: &Tensor, t: f64) -> Result<Tensor> {
        let f = self.factors(t);
        combine(data, f.data, noise, f.noise)
    }

    /// The data that the network's output at `x` implies.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    pub fn data(self, x: &Tensor, output: &Tensor, t: f64) -> Result<Tensor> {
        let f = self.factors(t);
        combine(x, f.noise, output, -f.sigma)
    }

    /// The noise that the network's output at `x` implies.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    pub fn noise(self, x: &Tensor, output: &Tensor, t: f64) -> Result<Tensor> {
        let f = self.factors(t);
        combine(x, -f.data, output, f.alpha)
    }

    /// Noised latents and targets for items at different times: `data`, `noise` `[batch, dim, frames]`, `time [batch]`.
    ///
    /// # Errors
    /// libtorch refuses shapes that do not match.
    pub fn batch(self, data: &Tensor, noise: &Tensor, time: &Tensor) -> Result<(Tensor, Tensor)> {
        let time = time.f_reshape([-1, 1, 1])?;
        match self {
            Self::Flow => {
                let target = noise.f_sub(data)?;
                Ok((data.f_addcmul(&time, &target)?, target))
            }
            Self::Angle => {
                let angle = time.f_mul_scalar(FRAC_PI_2)?;
                let (cos, sin) = (angle.f_cos()?, angle.f_sin()?);
                let mixed = data.f_mul(&cos)?.f_addcmul(noise, &sin)?;
                let target = noise.f_mul(&cos)?.f_sub(&data.f_mul(&sin)?)?;
                Ok((mixed, target))
            }
        }
    }

    /// The part of the target that follows from `x_t` alone, and the scale of the rest: the best linear prediction of the target is
    /// `skip x_t`, and what it leaves has the standard deviation `scale`, for data and noise that both have variance 1. Each
    /// broadcasts over `[batch, dim, frames]`; `None` where they are 0 and 1, as in the angle form, in which target and `x_t` are uncorrelated.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub(crate) fn precondition(self, time: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        if self == Self::Angle {
            return Ok(None);
        }
        let time = time.f_reshape([-1, 1, 1])?;
        let rest = time.f_neg()?.f_add_scalar(1.0)?;
        let variance = time.f_square()?.f_add(&rest.f_square()?)?;
        Ok(Some((time.f_sub(&rest)?.f_div(&variance)?, variance.f_rsqrt()?)))
    }
}

/// `p x + q y`.
pub(crate) fn combine(x: &Tensor, p: f64, y: &Tensor, q: f64) -> Result<Tensor> {
    Ok(x.f_mul_scalar(p)?.f_add(&y.f_mul_scalar(q)?)?)
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;
    use musicot_core::tch::{Device, Kind};

    use super::*;

    fn draw(position: u64) -> Tensor {
        CounterRng::new(1).normal(position, &[3, 4, 5], Device::Cpu).unwrap().to_kind(Kind::Double)
    }

    #[test]
    fn data_and_noise_come_back_from_the_target() {
        let (data, noise) = (draw(0), draw(1));
        for objective in [Objective::Flow, Objective::Angle] {
            for t in [0.0, 1e-6, 0.3, 0.999, 1.0] {
                let x = objective.mix(&data, &noise, t).unwrap();
                let output = objective.target(&data, &noise, t).unwrap();
                let back = objective.data(&x, &output, t).unwrap();
                // Double precision; values of a few units.
                assert!(back.allclose(&data, 0.0, 1e-12, false), "{objective:?} data at {t}");
                let back = objective.noise(&x, &output, t).unwrap();
                assert!(back.allclose(&noise, 0.0, 1e-12, false), "{objective:?} noise at {t}");
            }
        }
    }

    #[test]
    fn ends_are_exact() {
        for objective in [Objective::Flow, Objective::Angle] {
            assert_eq!((objective.alpha(0.0), objective.sigma(0.0)), (1.0, 0.0));
            assert_eq!((objective.alpha(1.0), objective.sigma(1.0)), (0.0, 1.0));
        }
    }

    /// For data that depend on nothing the best prediction is linear, and its error is what `scale` says.
    #[test]
    fn what_the_input_leaves_open_is_uncorrelated_with_it() {
        let draw = |position| CounterRng::new(5).normal(position, &[1, 1, 200_000], Device::Cpu).unwrap();
        let (data, noise) = (draw(0), draw(1));
        for t in [0.0, 0.2, 0.5, 0.9, 1.0] {
            let time = Tensor::from_slice(&[t]);
            let (x, target) = Objective::Flow.batch(&data, &noise, &time).unwrap();
            let (skip, scale) = Objective::Flow.precondition(&time).unwrap().unwrap();
            let rest = (target - &x * skip) / scale;
            // Four standard errors of 200 000 products of unit variance, and of their squares.
            assert!((&rest * &x).mean(Kind::Double).double_value(&[]).abs() < 0.01, "correlated at {t}");
            assert!((rest.square().mean(Kind::Double).double_value(&[]) - 1.0).abs() < 0.015, "scale at {t}");
        }
    }

    #[test]
    fn batch_agrees_with_single_times() {
        let (data, noise) = (draw(2), draw(3));
        let times = [0.1, 0.5, 0.9];
        for objective in [Objective::Flow, Objective::Angle] {
            let (x, target) = objective.batch(&data, &noise, &Tensor::from_slice(&times)).unwrap();
            for (i, t) in times.into_iter().enumerate() {
                let (d, n) = (data.get(i as i64), noise.get(i as i64));
                let (one, goal) = (objective.mix(&d, &n, t).unwrap(), objective.target(&d, &n, t).unwrap());
                assert!(x.get(i as i64).allclose(&one, 0.0, 1e-12, false));
                assert!(target.get(i as i64).allclose(&goal, 0.0, 1e-12, false));
            }
        }
    }
}

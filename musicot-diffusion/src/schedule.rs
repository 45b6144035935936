//! The times at which a solver calls the network, from 1 (noise) down to 0 (data).

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Most steps a schedule is made for.
pub const MAX_STEPS: usize = 10_000;

/// How the steps are spread over `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Schedule {
    /// Equal steps.
    #[default]
    Uniform,
    /// `(1 + cos(pi i / n)) / 2`: short steps at both ends.
    Cosine,
    /// MeLoDy's (Lam et al., 2023, section 4): angle steps `pi / 6n + 2 pi i / 3n(n + 1)` for `i = n .. 1`, which sum to
    /// `pi / 2`: long steps first.
    Melody,
    /// `s u / (1 + (s - 1) u)` of equal steps `u` (Esser et al., 2024): a shift `s` above 1 stays longer near the noise.
    Shifted(f64),
}

impl Schedule {
    /// `steps + 1` strictly falling times, the first exactly 1, the last exactly 0.
    ///
    /// # Errors
    /// [`Error::Input`] when `steps` is not in `1..=MAX_STEPS`; [`Error::Config`] when a shift is not a positive number
    /// (or so extreme that steps vanish).
    ///
    /// ```
    /// # use musicot_diffusion::Schedule;
    /// assert_eq!(Schedule::Uniform.times(4).unwrap(), [1.0, 0.75, 0.5, 0.25, 0.0]);
    /// ```
    pub fn times(self, steps: usize) -> Result<Vec<f64>> {
        if !(1..=MAX_STEPS).contains(&steps) {
            return Err(Error::input("solver steps", format!("expected 1..={MAX_STEPS}, got {steps}")));
        }
        if let Self::Shifted(shift) = self
            && !(shift.is_finite() && shift > 0.0)
        {
            return Err(Error::config("schedule", format!("expected a positive shift, got {shift}")));
        }
        let times: Vec<f64> = (0..=steps).rev().map(|left| self.time(left as f64, steps as f64)).collect();
        if times.windows(2).all(|pair| pair[0] > pair[1]) {
            return Ok(times);
        }
        Err(Error::config("schedule", format!("{self:?} leaves no room for {steps} steps")))
    }

    /// The time at which `left` of `n` steps remain.
    fn time(self, left: f64, n: f64) -> f64 {
        if left == n {
            return 1.0;
        }
        if left == 0.0 {
            return 0.0;
        }
        let u = left / n;
        match self {
            Self::Uniform => u,
            Self::Cosine => 0.5 * (1.0 - (std::f64::consts::PI * u).cos()),
            // The sum of the last `left` angle steps, over pi / 2.
            Self::Melody => left / (3.0 * n) + 2.0 * left * (left + 1.0) / (3.0 * n * (n + 1.0)),
            Self::Shifted(shift) => shift * u / (1.0 + (shift - 1.0) * u),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_2, PI};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_fall_from_one_to_zero(steps in 1_usize..300, shift in 0.05_f64..20.0) {
            for schedule in [Schedule::Uniform, Schedule::Cosine, Schedule::Melody, Schedule::Shifted(shift)] {
                let times = schedule.times(steps).unwrap();
                prop_assert_eq!(times.len(), steps + 1);
                prop_assert_eq!((times[0], times[steps]), (1.0, 0.0));
                prop_assert!(times.windows(2).all(|pair| pair[0] > pair[1]));
            }
        }

        /// The published steps, one by one, against the closed form of their sums.
        #[test]
        fn melody_steps_are_the_published_ones(steps in 1_usize..300) {
            let n = steps as f64;
            let times = Schedule::Melody.times(steps).unwrap();
            let mut sum = 0.0;
            for (index, pair) in times.windows(2).enumerate() {
                let i = (steps - index) as f64;
                let published = PI / (6.0 * n) + 2.0 * PI * i / (3.0 * n * (n + 1.0));
                prop_assert!(((pair[0] - pair[1]) * FRAC_PI_2 - published).abs() < 1e-12);
                sum += published;
            }
            prop_assert!((sum - FRAC_PI_2).abs() < 1e-12);
        }
    }

    #[test]
    fn absurd_settings_are_refused() {
        assert!(Schedule::Uniform.times(0).is_err());
        assert!(Schedule::Uniform.times(MAX_STEPS + 1).is_err());
        for shift in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Schedule::Shifted(shift).times(8).is_err());
        }
    }
}

//! Means with intervals, and tests that assume no distribution.

use musicot_core::CounterRng;
use serde::Serialize;

use crate::{Error, Result, check};

/// Resamples of the bootstrap.
const RESAMPLES: u64 = 4000;

/// Fewer resamples have no 2.5th percentile to speak of.
const MIN_RESAMPLES: usize = 100;

/// Random rearrangements of the permutation tests.
const PERMUTATIONS: u64 = 10_000;

/// A mean, or another statistic, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The mean of the values, or the statistic of all items.
    pub mean: f64,
    /// 2.5th percentile of the resamples.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

impl Interval {
    /// Whether 0 is outside.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(3);
        write!(f, "{:.digits$} [{:.digits$}, {:.digits$}]", self.mean, self.low, self.high)
    }
}

/// The arithmetic mean.
///
/// # Errors
/// [`Error::TooFew`] for no values; [`Error::NotFinite`].
pub fn mean(values: &[f64]) -> Result<f64> {
    check_values("values", values)?;
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}

/// The quantile `q` in 0..=1, linear between the two nearest values.
///
/// # Errors
/// [`Error::TooFew`] for no values; [`Error::NotFinite`]; [`Error::Range`] for q.
pub fn quantile(values: &[f64], q: f64) -> Result<f64> {
    check_values("values", values)?;
    if !(0.0..=1.0).contains(&q) {
        return Err(Error::range("quantile", format!("expected 0..=1, got {q}")));
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let (low, part) = (position.floor() as usize, position.fract());
    let high = (low + 1).min(sorted.len() - 1);
    Ok(sorted[low] + part * (sorted[high] - sorted[low]))
}

/// Mean with its 95 % percentile bootstrap interval (Efron and Tibshirani, "An introduction to the bootstrap", 1993), from 4000
/// resamples. The items must be independent (pieces, not frames); with fewer than about ten the interval is too narrow.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::CounterRng, statistics::bootstrap_mean};
/// let interval = bootstrap_mean(&[0.91, 0.95, 0.93, 0.97, 0.92], CounterRng::new(0))?;
/// assert!(interval.low < 0.936 && 0.936 < interval.high && interval.excludes_zero());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no values; [`Error::NotFinite`].
pub fn bootstrap_mean(values: &[f64], rng: CounterRng) -> Result<Interval> {
    let mean = mean(values)?;
    let rng = rng.stage("bootstrap");
    let resample = |round: u64| {
        let mut draws = rng.at(round);
        (0..values.len()).map(|_| values[draws.below(values.len())]).sum::<f64>() / values.len() as f64
    };
    let means: Vec<f64> = (0..RESAMPLES).map(resample).collect();
    Ok(Interval { mean, low: quantile(&means, 0.025)?, high: quantile(&means, 0.975)? })
}

/// Any statistic of items with its 95 % percentile bootstrap interval: it is asked for the value of all items, then of so many resamples (at
/// least 100), each a list of as many indices below `items`, drawn with replacement. Where the arms of an experiment share their
/// prompts, a difference of two statistics of the same indices keeps the pairing.
///
/// The interval is as biased as the statistic is on repeated items: a Fréchet distance of a resample is greater than that of all items, so
/// take intervals of differences of distances rather than of distances.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::CounterRng, statistics::{bootstrap, quantile}};
/// let secs = [0.4, 0.5, 0.7, 0.6, 0.5, 9.0];
/// let pick = |items: &[usize]| items.iter().map(|item| secs[*item]).collect::<Vec<f64>>();
/// let median = bootstrap(secs.len(), 1000, CounterRng::new(0), |items| quantile(&pick(items), 0.5))?;
/// assert!((median.mean - 0.55).abs() < 1e-12 && median.low >= 0.4);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no items, or fewer than 100 resamples; [`Error::NotFinite`] for a value; the statistic's own.
pub fn bootstrap(
    items: usize,
    resamples: usize,
    rng: CounterRng,
    mut statistic: impl FnMut(&[usize]) -> Result<f64>,
) -> Result<Interval> {
    check::at_least("items", items, 1)?;
    check::at_least("resamples", resamples, MIN_RESAMPLES)?;
    let all: Vec<usize> = (0..items).collect();
    let value = statistic(&all)?;
    check::finite("statistic", [value])?;
    let rng = rng.stage("bootstrap");
    let mut values = Vec::new();
    for round in 0..resamples {
        let mut draws = rng.at(round as u64);
        let drawn: Vec<usize> = (0..items).map(|_| draws.below(items)).collect();
        values.push(statistic(&drawn)?);
    }
    Ok(Interval { mean: value, low: quantile(&values, 0.025)?, high: quantile(&values, 0.975)? })
}

/// The mean of `a - b`, item by item, with its 95 % bootstrap interval.
///
/// # Errors
/// [`Error::TooFew`] for no values; [`Error::LengthMismatch`]; [`Error::NotFinite`].
pub fn paired_difference(a: &[f64], b: &[f64], rng: CounterRng) -> Result<Interval> {
    bootstrap_mean(&differences(a, b)?, rng)
}

/// Two-sided p-value of a mean of `a - b` as far from 0 as found, if each pair could as well be swapped (Fisher's randomisation test,
/// 10 000 random sign patterns). At least 1 / 10 001.
///
/// # Errors
/// [`Error::TooFew`] for no values; [`Error::LengthMismatch`]; [`Error::NotFinite`].
pub fn paired_permutation_p(a: &[f64], b: &[f64], rng: CounterRng) -> Result<f64> {
    let differences = differences(a, b)?;
    let found: f64 = differences.iter().sum();
    let rng = rng.stage("paired permutation");
    let swapped = |round: u64| {
        let mut draws = rng.at(round);
        differences.iter().map(|value| if draws.bits() & 1 == 0 { *value } else { -value }).sum::<f64>()
    };
    Ok(p_value(found, (0..PERMUTATIONS).map(swapped), &differences))
}

/// Two-sided p-value of a difference of the means of two independent samples as great as found, if their items could as well be
/// exchanged (10 000 random exchanges). At least 1 / 10 001.
///
/// # Errors
/// [`Error::TooFew`] for an empty sample; [`Error::NotFinite`].
pub fn permutation_p(a: &[f64], b: &[f64], rng: CounterRng) -> Result<f64> {
    let found = mean(a)? - mean(b)?;
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    let total: f64 = all.iter().sum();
    let rng = rng.stage("permutation");
    let exchanged = |round: u64| {
        let order = rng.permutation(round, all.len());
        let first: f64 = order[..a.len()].iter().map(|item| all[*item]).sum();
        first / a.len() as f64 - (total - first) / b.len() as f64
    };
    Ok(p_value(found, (0..PERMUTATIONS).map(exchanged), &all))
}

/// Counts the arrangement that was found too, so that no p-value is 0 (Phipson and Smyth, 2010).
fn p_value(found: f64, arranged: impl Iterator<Item = f64>, values: &[f64]) -> f64 {
    // Sums in another order are equal to rounding only.
    let slack = 1e-12 * values.iter().map(|value| value.abs()).sum::<f64>();
    let as_far = arranged.filter(|value| value.abs() >= found.abs() - slack).count();
    (as_far + 1) as f64 / (PERMUTATIONS + 1) as f64
}

/// Pearson's correlation, -1..=1; `None` where one of the two does not vary.
///
/// # Errors
/// [`Error::TooFew`] for fewer than two values; [`Error::LengthMismatch`]; [`Error::NotFinite`].
pub fn correlation(a: &[f64], b: &[f64]) -> Result<Option<f64>> {
    check::at_least("values", a.len(), 2)?;
    check::same_len("second values", b.len(), a.len())?;
    let (mean_a, mean_b) = (mean(a)?, mean(b)?);
    let moment = |x: &[f64], center_x: f64, y: &[f64], center_y: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - center_x) * (y - center_y)).sum()
    };
    let (aa, bb) = (moment(a, mean_a, a, mean_a), moment(b, mean_b, b, mean_b));
    // Rounding of the mean leaves a constant curve with a variance of this order.
    let is_flat = |power: f64, center: f64| power <= a.len() as f64 * (1e-12 * center).powi(2);
    if is_flat(aa, mean_a) || is_flat(bb, mean_b) {
        return Ok(None);
    }
    Ok(Some((moment(a, mean_a, b, mean_b) / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0)))
}

fn differences(a: &[f64], b: &[f64]) -> Result<Vec<f64>> {
    check_values("first values", a)?;
    check::finite("second values", b.iter().copied())?;
    check::same_len("second values", b.len(), a.len())?;
    Ok(a.iter().zip(b).map(|(a, b)| a - b).collect())
}

fn check_values(what: &str, values: &[f64]) -> Result<()> {
    check::at_least(what, values.len(), 1)?;
    check::finite(what, values.iter().copied())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(seed: u64, count: usize, mean: f64) -> Vec<f64> {
        let mut draws = CounterRng::new(seed).at(0);
        (0..count).map(|_| mean + f64::from(draws.normal())).collect()
    }

    #[test]
    fn quantiles_are_linear_between_values() {
        let values = [3.0, 1.0, 2.0, 4.0];
        assert_eq!(quantile(&values, 0.0).unwrap(), 1.0);
        assert_eq!(quantile(&values, 1.0).unwrap(), 4.0);
        assert_eq!(quantile(&values, 0.5).unwrap(), 2.5);
        assert!((quantile(&values, 0.95).unwrap() - 3.85).abs() < 1e-12);
        assert_eq!(quantile(&[7.0], 0.3).unwrap(), 7.0);
        assert!(
            quantile(&[], 0.5).is_err()
                && quantile(&values, 1.1).is_err()
                && quantile(&values, f64::NAN).is_err()
        );
    }

    #[test]
    fn the_interval_of_many_normals_is_the_normal_one() {
        let interval = bootstrap_mean(&normal(1, 400, 0.0), CounterRng::new(2)).unwrap();
        // 2 x 1.96 / sqrt(400), within the errors of the sample's deviation (3.5 %) and of the percentiles (about 2 %).
        assert!((interval.high - interval.low - 0.196).abs() < 0.03, "{interval:?}");
        assert_eq!(interval, bootstrap_mean(&normal(1, 400, 0.0), CounterRng::new(2)).unwrap());
    }

    #[test]
    fn a_mean_is_a_statistic_like_any_other() {
        let values = normal(6, 30, 2.0);
        let rng = CounterRng::new(1);
        let of = |items: &[usize]| mean(&items.iter().map(|item| values[*item]).collect::<Vec<_>>());
        let (a, b) = (bootstrap(30, 4000, rng, of).unwrap(), bootstrap_mean(&values, rng).unwrap());
        // The same draws, summed in the same order.
        assert_eq!(a, b);
        assert!(bootstrap(0, 4000, rng, of).is_err() && bootstrap(30, 99, rng, of).is_err());
        assert!(matches!(bootstrap(30, 100, rng, |_| Ok(f64::NAN)), Err(Error::NotFinite { .. })));
        assert!(bootstrap(30, 100, rng, |_| mean(&[])).is_err());
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let covers = |seed: u64| {
            let interval = bootstrap_mean(&normal(seed, 40, 1.0), CounterRng::new(seed)).unwrap();
            (interval.low..=interval.high).contains(&1.0)
        };
        let share = (0..200).filter(|seed| covers(*seed)).count() as f64 / 200.0;
        // 95 % less the known undercoverage at 40 items (about 1 %), within 3.5 standard errors of 200 trials.
        assert!((0.88..=0.99).contains(&share), "{share}");
    }

    #[test]
    fn pairs_are_stronger_than_their_spread() {
        let base: Vec<f64> = normal(3, 30, 0.0).iter().map(|value| value * 10.0).collect();
        let better: Vec<f64> = base.iter().zip(normal(4, 30, 0.5)).map(|(a, b)| a + b).collect();
        let rng = CounterRng::new(5);
        assert!(paired_difference(&better, &base, rng).unwrap().excludes_zero());
        assert!(paired_permutation_p(&better, &base, rng).unwrap() < 0.05);
        assert!(permutation_p(&better, &base, rng).unwrap() > 0.5);
        assert_eq!(paired_permutation_p(&base, &base, rng).unwrap(), 1.0);
    }

    #[test]
    fn small_exact_permutation_tests() {
        // 2 of the 20 splits of six values into threes are as far apart as this one.
        let p = permutation_p(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], CounterRng::new(1)).unwrap();
        assert!((p - 0.1).abs() < 0.012, "{p}");
        // 2 of the 16 sign patterns.
        let p = paired_permutation_p(&[1.0, 1.0, 1.0, 1.0], &[0.0; 4], CounterRng::new(1)).unwrap();
        assert!((p - 0.125).abs() < 0.012, "{p}");
    }

    #[test]
    fn correlations() {
        let of = |b: &[f64]| correlation(&[1.0, 2.0, 3.0], b).unwrap().unwrap();
        assert!((of(&[2.0, 4.0, 6.0]) - 1.0).abs() < 1e-12);
        assert!((of(&[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert!(of(&[1.0, 0.0, 1.0]).abs() < 1e-12);
        assert_eq!(correlation(&[0.1; 3], &[1.0, 2.0, 3.0]).unwrap(), None);
        assert!(correlation(&[1.0], &[1.0]).is_err());
        assert!(correlation(&[1.0, 2.0], &[1.0]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn intervals_hold_their_mean_and_p_values_are_shares(values in prop::collection::vec(-1e6_f64..1e6, 1..12)) {
            let rng = CounterRng::new(1);
            let interval = bootstrap_mean(&values, rng).unwrap();
            prop_assert!(interval.low <= interval.high);
            let (least, most) = (quantile(&values, 0.0).unwrap(), quantile(&values, 1.0).unwrap());
            // The mean of equal values may round away from them.
            let slack = 1e-9 * (1.0 + most.abs().max(least.abs()));
            prop_assert!(interval.low >= least - slack && interval.high <= most + slack);
            let p = permutation_p(&values, &[0.0, 1.0], rng).unwrap();
            prop_assert!(p > 0.0 && p <= 1.0);
        }
    }
}

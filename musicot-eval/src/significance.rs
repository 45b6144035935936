//! Tests by rearrangement for curves, groups and many hypotheses at once: no distribution is assumed.
//!
//! Each p-value counts the arrangement that was found among the random ones (Phipson and Smyth, 2010), so that none is 0.

use musicot_core::CounterRng;
use ndarray::ArrayView2;
use serde::Serialize;

use crate::{Error, Result, check};

/// Random rearrangements.
const PERMUTATIONS: u64 = 10_000;

/// A figure beside what rearrangement makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Against {
    /// The figure.
    pub found: f64,
    /// Its mean over the rearrangements: the chance level.
    pub chance: f64,
    /// One-sided: the share of rearrangements, the found one included, that are at least as great.
    pub p: f64,
}

impl Against {
    /// Compares a figure with those of rearrangements; without any, chance is the figure itself and p is 1.
    pub(crate) fn of(found: f64, arranged: impl IntoIterator<Item = f64>) -> Self {
        let (mut sum, mut count, mut as_great) = (0.0, 0_usize, 0_usize);
        for value in arranged {
            sum += value;
            count += 1;
            // Sums in another order are equal to rounding only.
            as_great += usize::from(value >= found - 1e-12 * (1.0 + found.abs()));
        }
        let chance = if count == 0 { found } else { sum / count as f64 };
        Self { found, chance, p: (as_great + 1) as f64 / (count + 1) as f64 }
    }
}

/// One-sided p-value of a value among values of the null hypothesis: `(1 + those at least as great) / (1 + all)`.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// assert_eq!(musicot_eval::significance::empirical_p(5.0, &[1.0, 2.0, 6.0])?, 0.5);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for an empty null; [`Error::NotFinite`].
pub fn empirical_p(value: f64, null: &[f64]) -> Result<f64> {
    check::at_least("values of the null hypothesis", null.len(), 1)?;
    check::finite("value", [value])?;
    check::finite("values of the null hypothesis", null.iter().copied())?;
    let as_great = null.iter().filter(|other| **other >= value).count();
    Ok((as_great + 1) as f64 / (null.len() + 1) as f64)
}

/// The p-values adjusted by Benjamini and Hochberg ("Controlling the false discovery rate", 1995), in the order given: whatever is
/// reported with an adjusted value of at most q holds false discoveries at a rate of at most q.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// let adjusted = musicot_eval::significance::benjamini_hochberg(&[0.04, 0.01, 0.5])?;
/// assert!((adjusted[1] - 0.03).abs() < 1e-12 && (adjusted[0] - 0.06).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no values; [`Error::Range`] for one outside 0..=1.
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>> {
    check::at_least("p-values", p.len(), 1)?;
    if let Some(bad) = p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::range("p-values", format!("expected 0..=1, got {bad}")));
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 1.0;
    for (place, item) in order.into_iter().enumerate() {
        least = least.min(p[item] * p.len() as f64 / (p.len() - place) as f64);
        adjusted[item] = least;
    }
    Ok(adjusted)
}

/// Whether curves follow quantities over time, piece by piece.
///
/// Each pair of `curves` and `quantities` belongs to one piece and is centred on its own means, so that only the course within
/// pieces counts; found is Pearson's correlation over all of them, -1..=1. For chance each quantity is shifted
/// circularly by a random lag of its own (10 000 rounds), which keeps the autocorrelation that makes smooth curves seem
/// to agree (time-shifted surrogates: Lancaster et al., "Surrogate data for hypothesis testing of physical systems", 2018). `None` where one of the two never varies within a piece.
///
/// The number of distinct arrangements is the product of the lengths: a single piece of three windows cannot reach a p below 1/3.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{core::CounterRng, significance::shifted_correlation};
/// let drums: Vec<f64> = (0..40).map(|t| f64::from(t % 7) + f64::from(t * t % 11)).collect();
/// let curve: Vec<f64> = drums.iter().map(|level| 2.0 * level + 1.0).collect();
/// let test = shifted_correlation(&[curve], &[drums], CounterRng::new(0))?.unwrap();
/// assert!(test.found > 0.999 && test.p < 0.05);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no piece, or a piece without values; [`Error::LengthMismatch`]; [`Error::NotFinite`].
pub fn shifted_correlation<V: AsRef<[f64]>>(
    curves: &[V],
    quantities: &[V],
    rng: CounterRng,
) -> Result<Option<Against>> {
    check::at_least("pieces", curves.len(), 1)?;
    check::same_len("quantities: pieces", quantities.len(), curves.len())?;
    let (mut power_a, mut power_b) = (0.0, 0.0);
    let mut pairs = Vec::with_capacity(curves.len());
    for (curve, quantity) in curves.iter().zip(quantities) {
        check::same_len("quantity: values", quantity.as_ref().len(), curve.as_ref().len())?;
        let (a, b) = (centred("curve", curve.as_ref())?, centred("quantity", quantity.as_ref())?);
        power_a += a.iter().map(|value| value * value).sum::<f64>();
        power_b += b.iter().map(|value| value * value).sum::<f64>();
        pairs.push(CrossProducts::of(&a, &b));
    }
    let power = power_a.sqrt() * power_b.sqrt();
    if power == 0.0 {
        return Ok(None);
    }
    let rng = rng.stage("circular shifts");
    let shifted = |round: u64| {
        let mut draws = rng.at(round);
        pairs.iter().map(|pair| pair.0[draws.below(pair.0.len())]).sum::<f64>() / power
    };
    let found: f64 = pairs.iter().map(|pair| pair.0[0]).sum::<f64>() / power;
    Ok(Some(Against::of(found.clamp(-1.0, 1.0), (0..PERMUTATIONS).map(shifted))))
}

/// The sum of products of two curves, at every circular shift.
struct CrossProducts(Vec<f64>);

impl CrossProducts {
    fn of(a: &[f64], b: &[f64]) -> Self {
        let at = |shift: usize| a.iter().zip(b.iter().cycle().skip(shift)).map(|(a, b)| a * b).sum();
        Self((0..a.len()).map(at).collect())
    }
}

/// Less the mean; exactly 0 where rounding is all that varies.
fn centred(what: &str, values: &[f64]) -> Result<Vec<f64>> {
    check::at_least(&format!("{what}: values"), values.len(), 1)?;
    check::finite(what, values.iter().copied())?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let rounding = 1e-12 * values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    Ok(values.iter().map(|value| value - mean).map(|v| if v.abs() <= rounding { 0.0 } else { v }).collect())
}

/// Whether each item belongs to its own partner: found is the mean of the diagonal of the scores `[items, items]` (item i with partner
/// i, say a generated piece with its reference), chance the mean off the diagonal, p from 10 000 random assignments of
/// partners.
///
/// # Errors
/// [`Error::TooFew`] for fewer than two items; [`Error::LengthMismatch`] for scores that are not square; [`Error::NotFinite`].
pub fn matched_pairs(scores: ArrayView2<'_, f64>, rng: CounterRng) -> Result<Against> {
    let items = square(scores)?;
    let mean = |partner: &dyn Fn(usize) -> usize| {
        (0..items).map(|item| scores[[item, partner(item)]]).sum::<f64>() / items as f64
    };
    let rng = rng.stage("matched pairs");
    let assigned = |round: u64| {
        let order = rng.permutation(round, items);
        mean(&|item| order[item])
    };
    let found = mean(&|item| item);
    let others = (scores.sum() - found * items as f64) / (items * (items - 1)) as f64;
    Ok(Against { chance: others, ..Against::of(found, (0..PERMUTATIONS).map(assigned)) })
}

/// Whether items of one group are more alike than items of different groups (seeds of one prompt, say): found is the mean of the
/// scores `[items, items]` of pairs within a group less the mean of pairs across groups; p from 10 000 random
/// rearrangements of the labels. The diagonal is left out; a matrix that is not symmetric is read in both directions.
///
/// # Errors
/// [`Error::TooFew`] for fewer than two items, no pair within a group or none across; [`Error::LengthMismatch`];
/// [`Error::NotFinite`].
pub fn group_contrast(scores: ArrayView2<'_, f64>, groups: &[usize], rng: CounterRng) -> Result<Against> {
    let items = square(scores)?;
    check::same_len("groups", groups.len(), items)?;
    let pairs = || (0..items).flat_map(|i| (0..items).map(move |j| (i, j))).filter(|(i, j)| i != j);
    let within: Vec<(usize, usize)> = pairs().filter(|(i, j)| groups[*i] == groups[*j]).collect();
    let across = items * (items - 1) - within.len();
    check::at_least("pairs within a group", within.len(), 1)?;
    check::at_least("pairs across groups", across, 1)?;
    let total: f64 = pairs().map(|pair| scores[pair]).sum();
    let contrast = |order: &[usize]| {
        let own: f64 = within.iter().map(|(i, j)| scores[[order[*i], order[*j]]]).sum();
        own / within.len() as f64 - (total - own) / across as f64
    };
    let rng = rng.stage("group contrast");
    let found = contrast(&(0..items).collect::<Vec<_>>());
    Ok(Against::of(found, (0..PERMUTATIONS).map(|round| contrast(&rng.permutation(round, items)))))
}

fn square(scores: ArrayView2<'_, f64>) -> Result<usize> {
    check::at_least("scores: items", scores.nrows(), 2)?;
    check::same_len("scores: columns", scores.ncols(), scores.nrows())?;
    check::finite("scores", scores.iter().copied())?;
    Ok(scores.nrows())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    /// A slow walk back to its mean, as loudness over time is.
    fn smooth(seed: u64, count: usize) -> Vec<f64> {
        let mut draws = CounterRng::new(seed).at(0);
        let mut value = 0.0;
        (0..count)
            .map(|_| {
                value = 0.9 * value + f64::from(draws.normal());
                value
            })
            .collect()
    }

    #[test]
    fn smooth_curves_that_have_nothing_in_common_are_seldom_significant() {
        let is_hit = |seed: u64| {
            let test =
                shifted_correlation(&[smooth(seed, 60)], &[smooth(seed + 5000, 60)], CounterRng::new(seed));
            test.unwrap().unwrap().p <= 0.05
        };
        let share = (0..200).filter(|seed| is_hit(*seed)).count() as f64 / 200.0;
        // 5 %, and 3.5 standard errors of 200 trials. Permuting single values instead would give about 25 %.
        assert!(share <= 0.05 + 0.054, "{share}");
    }

    #[test]
    fn curves_that_follow_are_found_over_several_short_pieces() {
        let quantities: Vec<Vec<f64>> = (0..20).map(|piece| smooth(piece, 5)).collect();
        let curves: Vec<Vec<f64>> = quantities
            .iter()
            .enumerate()
            .map(|(i, q)| {
                q.iter().zip(smooth(900 + i as u64, 5)).map(|(q, n)| 100.0 * i as f64 + q + 0.5 * n).collect()
            })
            .collect();
        let test = shifted_correlation(&curves, &quantities, CounterRng::new(1)).unwrap().unwrap();
        assert!(test.found > 0.5 && test.chance.abs() < 0.1 && test.p < 0.01, "{test:?}");
        let falling: Vec<Vec<f64>> = curves.iter().map(|c| c.iter().map(|v| -v).collect()).collect();
        assert!(shifted_correlation(&falling, &quantities, CounterRng::new(1)).unwrap().unwrap().p > 0.99);
        let flat = vec![vec![0.1 + 0.2; 5]; 20];
        assert!(shifted_correlation(&flat, &quantities, CounterRng::new(1)).unwrap().is_none());
        assert!(shifted_correlation(&curves[1..], &quantities, CounterRng::new(1)).is_err());
        assert!(shifted_correlation::<Vec<f64>>(&[], &[], CounterRng::new(1)).is_err());
    }

    #[test]
    fn a_piece_of_three_windows_cannot_be_significant() {
        let test =
            shifted_correlation(&[[0.0, 1.0, 5.0]], &[[0.0, 1.0, 5.0]], CounterRng::new(3)).unwrap().unwrap();
        assert!((test.found - 1.0).abs() < 1e-12 && (test.p - 1.0 / 3.0).abs() < 0.02, "{test:?}");
    }

    #[test]
    fn partners_and_groups() {
        let own =
            Array2::from_shape_fn((8, 8), |(i, j)| if i == j { 1.0 } else { 0.1 * ((i * j) % 3) as f64 });
        let test = matched_pairs(own.view(), CounterRng::new(0)).unwrap();
        assert!(test.found == 1.0 && test.chance < 0.2 && test.p < 0.001, "{test:?}");
        let turned = Array2::from_shape_fn((8, 8), |(i, j)| own[[i, (j + 1) % 8]]);
        assert!(matched_pairs(turned.view(), CounterRng::new(0)).unwrap().p > 0.5);
        let groups = [0, 0, 0, 1, 1, 1, 2, 2];
        let alike = Array2::from_shape_fn((8, 8), |(i, j)| f64::from(groups[i] == groups[j]));
        let test = group_contrast(alike.view(), &groups, CounterRng::new(0)).unwrap();
        assert!(test.found == 1.0 && test.chance.abs() < 0.05 && test.p < 0.02, "{test:?}");
        assert!(group_contrast(alike.view(), &[0; 8], CounterRng::new(0)).is_err());
        assert!(group_contrast(alike.view(), &[0, 1, 2, 3, 4, 5, 6, 7], CounterRng::new(0)).is_err());
        assert!(matches!(
            group_contrast(alike.view(), &[0; 7], CounterRng::new(0)),
            Err(Error::LengthMismatch { .. })
        ));
        assert!(matched_pairs(array![[1.0, f64::NAN], [0.0, 1.0]].view(), CounterRng::new(0)).is_err());
        assert!(matched_pairs(Array2::zeros((2, 3)).view(), CounterRng::new(0)).is_err());
    }

    #[test]
    fn p_values_among_a_null() {
        assert_eq!(empirical_p(0.0, &[1.0; 9]).unwrap(), 1.0);
        assert_eq!(empirical_p(2.0, &[1.0; 9]).unwrap(), 0.1);
        assert!(empirical_p(2.0, &[]).is_err() && empirical_p(f64::NAN, &[1.0]).is_err());
    }

    proptest! {
        #[test]
        fn adjusted_values_keep_their_order(p in prop::collection::vec(0.0_f64..=1.0, 1..20)) {
            let adjusted = benjamini_hochberg(&p).unwrap();
            for (i, a) in adjusted.iter().enumerate() {
                prop_assert!(*a >= p[i] - 1e-15 && *a <= 1.0);
                for (j, b) in adjusted.iter().enumerate() {
                    prop_assert!(p[i] > p[j] || a <= b);
                }
            }
            // The definition: the greatest p is unchanged.
            let greatest = p.iter().copied().fold(0.0, f64::max);
            prop_assert!(adjusted.iter().any(|a| (a - greatest).abs() < 1e-12));
        }
    }
}

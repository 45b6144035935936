//! How much of a quantity is decided by the group that an item belongs to: seeds of a prompt, takes of a song.

use crate::{Result, check};

/// Intraclass correlation ICC(1) of groups of equal size (Shrout and Fleiss, "Intraclass correlations: uses in assessing rater
/// reliability", 1979; one-way, single items): `(B - W) / (B + (k - 1) W)` of the mean squares between and within groups of k. 1 where items
/// of a group are equal and groups are not, 0 on average where groups decide nothing; at least `-1 / (k - 1)`. `None` where nothing varies.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::reliability::intraclass;
/// assert_eq!(intraclass(&[[90.0, 90.0], [120.0, 120.0]])?, Some(1.0)); // tempi of two seeds of two prompts
/// assert_eq!(intraclass(&[[90.0, 120.0], [120.0, 90.0]])?, Some(-1.0));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`crate::Error::TooFew`] for fewer than two groups, or two items of a group; [`crate::Error::LengthMismatch`] for groups of other sizes;
/// [`crate::Error::NotFinite`].
pub fn intraclass<V: AsRef<[f64]>>(groups: &[V]) -> Result<Option<f64>> {
    check::at_least("groups", groups.len(), 2)?;
    let size = groups[0].as_ref().len();
    check::at_least("items of a group", size, 2)?;
    for group in groups {
        check::same_len("items of a group", group.as_ref().len(), size)?;
        check::finite("items", group.as_ref().iter().copied())?;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means: Vec<f64> = groups.iter().map(|group| mean(group.as_ref())).collect();
    let overall = mean(&means);
    let between: f64 = means.iter().map(|mean| (mean - overall).powi(2)).sum();
    let between = size as f64 * between / (groups.len() - 1) as f64;
    let squares =
        |(group, mean): (&V, &f64)| group.as_ref().iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let within: f64 = groups.iter().zip(&means).map(squares).sum();
    let within = within / (groups.len() * (size - 1)) as f64;
    let total = between + (size - 1) as f64 * within;
    Ok((total > 1e-24 * (1.0 + overall * overall)).then(|| (between - within) / total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Error;

    #[test]
    fn the_example_of_shrout_and_fleiss() {
        // Four judges of six targets; ICC(1,1) is 0.17 in their table 4.
        let ratings = [
            [9.0, 2.0, 5.0, 8.0],
            [6.0, 1.0, 3.0, 2.0],
            [8.0, 4.0, 6.0, 8.0],
            [7.0, 1.0, 2.0, 6.0],
            [10.0, 5.0, 6.0, 9.0],
            [6.0, 2.0, 4.0, 7.0],
        ];
        let found = intraclass(&ratings).unwrap().unwrap();
        assert!((found - 0.166).abs() < 1e-3, "{found}");
    }

    #[test]
    fn what_cannot_be_told_is_refused_or_none() {
        assert_eq!(intraclass(&[[3.0, 3.0], [3.0, 3.0]]).unwrap(), None);
        assert!(matches!(intraclass(&[[1.0, 2.0]]), Err(Error::TooFew { .. })));
        assert!(matches!(intraclass(&[vec![1.0], vec![2.0]]), Err(Error::TooFew { .. })));
        assert!(matches!(intraclass(&[vec![1.0, 2.0], vec![2.0]]), Err(Error::LengthMismatch { .. })));
        assert!(matches!(intraclass(&[[1.0, f64::NAN], [1.0, 2.0]]), Err(Error::NotFinite { .. })));
    }

    proptest! {
        #[test]
        fn shift_and_scale_do_not_count(
            values in prop::collection::vec(-5.0_f64..5.0, 12), scale in 0.1_f64..10.0, shift in -20.0_f64..20.0,
        ) {
            let groups: Vec<&[f64]> = values.chunks(3).collect();
            let moved: Vec<f64> = values.iter().map(|value| scale * value + shift).collect();
            let moved: Vec<&[f64]> = moved.chunks(3).collect();
            let (a, b) = (intraclass(&groups).unwrap(), intraclass(&moved).unwrap());
            prop_assume!(a.is_some() && b.is_some());
            let (a, b) = (a.unwrap(), b.unwrap());
            prop_assert!((a - b).abs() < 1e-6 && (-0.5 - 1e-9..=1.0 + 1e-9).contains(&a), "{a} {b}");
        }
    }
}

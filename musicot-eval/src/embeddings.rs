//! Measures in a joint embedding space of audio and text.
//!
//! Vectors are rows `[items, dim]` of any length; only their directions count.

use ndarray::ArrayView2;

use crate::vectors::{cosines, paired_cosines, unit_rows};
use crate::{Error, Result, check};

/// Mean cosine of each recording's embedding `[pairs, dim]` with that of its own text `[pairs, dim]`, -1..=1: the "CLAP score" of
/// the text-to-audio literature (for example Huang et al., "Make-An-Audio", 2023).
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// let (audio, text) = (ndarray::array![[1.0, 0.0], [0.0, 2.0]], ndarray::array![[3.0, 0.0], [1.0, 0.0]]);
/// assert_eq!(musicot_eval::embeddings::clap_score(audio.view(), text.view())?, 0.5);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no rows; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::ZeroVector`].
pub fn clap_score(audio: ArrayView2<'_, f32>, text: ArrayView2<'_, f32>) -> Result<f64> {
    let cosines = paired_cosines("text", &unit_rows("audio", audio)?, &unit_rows("text", text)?)?;
    Ok(cosines.sum() / cosines.len() as f64)
}

/// Rank, from 1, of each item's own label `truth[item]` among its scores `[items, labels]`, greatest first; ties count against it.
///
/// ```
/// let scores = ndarray::array![[0.9, 0.1, 0.5], [0.2, 0.2, 0.1]];
/// assert_eq!(musicot_eval::embeddings::ranks(scores.view(), &[2, 0])?, [2, 2]);
/// # Ok::<(), musicot_eval::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooFew`] for no items; [`Error::LengthMismatch`] between items and truth; [`Error::Range`] for a label
/// outside the scores; [`Error::NotFinite`].
pub fn ranks(scores: ArrayView2<'_, f64>, truth: &[usize]) -> Result<Vec<usize>> {
    check::at_least("scored items", scores.nrows(), 1)?;
    check::same_len("true labels", truth.len(), scores.nrows())?;
    check::finite("scores", scores.iter().copied())?;
    if let Some(label) = truth.iter().find(|label| **label >= scores.ncols()) {
        return Err(Error::range(
            "true label",
            format!("expected one of 0..{}, got {label}", scores.ncols()),
        ));
    }
    Ok(scores.rows().into_iter().zip(truth).map(|(row, own)| rank(row.iter(), *own)).collect())
}

/// Share of items whose own label `truth[item]` has strictly the greatest of their scores `[items, labels]`, 0..=1. A tie with
/// another label is a failure, so that equal scores everywhere earn nothing.
///
/// # Errors
/// Those of [`ranks`].
pub fn top1_accuracy(scores: ArrayView2<'_, f64>, truth: &[usize]) -> Result<f64> {
    let ranks = ranks(scores, truth)?;
    Ok(ranks.iter().filter(|rank| **rank == 1).count() as f64 / truth.len() as f64)
}

/// Probability that an item that belongs has a greater score than one that does not, ties counting half: the area under the ROC curve,
/// 0..=1. Chance is 0.5.
///
/// ```
/// let found = musicot_eval::embeddings::auc(&[0.9, 0.4, 0.5, 0.1], &[true, true, false, false])?;
/// assert_eq!(found, 0.75);
/// # Ok::<(), musicot_eval::Error>(())
/// ```
///
/// # Errors
/// [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::TooFew`] where no item belongs, or all do.
pub fn auc(scores: &[f64], belongs: &[bool]) -> Result<f64> {
    check::same_len("which items belong", belongs.len(), scores.len())?;
    check::finite("scores", scores.iter().copied())?;
    let side = |which: bool| scores.iter().zip(belongs).filter(move |(_, own)| **own == which);
    let (inside, outside) = (side(true).count(), side(false).count());
    check::at_least("items that belong", inside, 1)?;
    check::at_least("items that do not belong", outside, 1)?;
    let won = |score: f64| -> f64 {
        let against = |other: f64| 0.5 * (f64::from(score > other) + f64::from(score >= other));
        side(false).map(|(other, _)| against(*other)).sum()
    };
    Ok(side(true).map(|(score, _)| won(*score)).sum::<f64>() / (inside * outside) as f64)
}

/// Cosines of every row `[items, dim]` with every label `[labels, dim]`, as [`top1_accuracy`] takes them: `[items, labels]`.
///
/// # Errors
/// [`Error::TooFew`] for no rows; [`Error::LengthMismatch`] between the dimensions; [`Error::NotFinite`]; [`Error::ZeroVector`].
pub fn cosine_scores(
    items: ArrayView2<'_, f32>,
    labels: ArrayView2<'_, f32>,
) -> Result<ndarray::Array2<f64>> {
    cosines("labels", &unit_rows("items", items)?, &unit_rows("labels", labels)?)
}

/// R@k: the share of queries `[pairs, dim]` whose own item, the row of the same index in `[pairs, dim]`, is among the k nearest by
/// cosine, 0..=1. Ties count against the query. Chance is k / pairs.
///
/// # Errors
/// [`Error::TooFew`] for no rows; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::ZeroVector`]; [`Error::Range`] for k
/// outside `1..=pairs`.
pub fn recall_at(k: usize, queries: ArrayView2<'_, f32>, items: ArrayView2<'_, f32>) -> Result<f64> {
    check::same_len("items: rows", items.nrows(), queries.nrows())?;
    let cosines = cosine_scores(queries, items)?;
    if !(1..=cosines.nrows()).contains(&k) {
        return Err(Error::range("k", format!("expected 1..={}, got {k}", cosines.nrows())));
    }
    let own: Vec<usize> = (0..cosines.nrows()).collect();
    let hits = ranks(cosines.view(), &own)?.into_iter().filter(|rank| *rank <= k).count();
    Ok(hits as f64 / own.len() as f64)
}

/// Rank, from 1, of the score at `own` among all, greatest first; ties count against it.
pub(crate) fn rank<'a>(scores: impl Iterator<Item = &'a f64> + Clone, own: usize) -> usize {
    let Some(score) = scores.clone().nth(own) else { return usize::MAX };
    scores.filter(|other| *other >= score).count()
}

/// Mean cosine of all pairs of different rows `[items, dim]`, -1..=1: near 1 in a collapsed space, where all else means nothing.
///
/// # Errors
/// [`Error::TooFew`] for fewer than two rows; [`Error::NotFinite`]; [`Error::ZeroVector`].
pub fn mean_off_diagonal(items: ArrayView2<'_, f32>) -> Result<f64> {
    check::at_least("items: rows", items.nrows(), 2)?;
    let units = unit_rows("items", items)?;
    // The squared length of the sum of unit vectors is the sum of all their cosines, each vector's own included.
    let sum = units.sum_axis(ndarray::Axis(0));
    let count = units.nrows() as f64;
    Ok(((sum.dot(&sum) - count) / (count * (count - 1.0))).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_of_known_directions() {
        let a = array![[1.0_f32, 0.0], [0.0, 1.0], [1.0, 1.0]];
        assert!((clap_score(a.view(), a.view()).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(clap_score(a.view(), (-&a).view()).unwrap(), -1.0);
        // Cosines 0, 1/sqrt 2, 1/sqrt 2.
        assert!((mean_off_diagonal(a.view()).unwrap() - 2.0 * 0.5_f64.sqrt() / 3.0).abs() < 1e-12);
        assert_eq!(recall_at(1, a.view(), a.view()).unwrap(), 1.0);
        let turned = array![[0.0_f32, 1.0], [1.0, 0.0], [1.0, 1.0]];
        assert!((recall_at(1, a.view(), turned.view()).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(recall_at(3, a.view(), turned.view()).unwrap(), 1.0);
    }

    #[test]
    fn a_collapsed_space_scores_nothing() {
        let same = Array2::<f32>::ones((5, 3));
        assert_eq!(recall_at(1, same.view(), same.view()).unwrap(), 0.0);
        assert_eq!(mean_off_diagonal(same.view()).unwrap(), 1.0);
        assert_eq!(top1_accuracy(Array2::zeros((4, 2)).view(), &[0, 1, 0, 1]).unwrap(), 0.0);
    }

    #[test]
    fn accuracy_counts_the_greatest() {
        let scores = array![[0.9, 0.1], [0.2, 0.3], [0.5, 0.4]];
        assert!((top1_accuracy(scores.view(), &[0, 1, 1]).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert!(matches!(top1_accuracy(scores.view(), &[0, 1]), Err(Error::LengthMismatch { .. })));
        assert!(matches!(top1_accuracy(scores.view(), &[0, 1, 2]), Err(Error::Range { .. })));
    }

    #[test]
    fn areas_of_known_orders() {
        assert_eq!(auc(&[3.0, 2.0, 1.0], &[true, false, false]).unwrap(), 1.0);
        assert_eq!(auc(&[1.0, 2.0, 3.0], &[true, false, false]).unwrap(), 0.0);
        assert_eq!(auc(&[1.0; 4], &[true, false, true, false]).unwrap(), 0.5);
        assert!(matches!(auc(&[1.0, 2.0], &[true, true]), Err(Error::TooFew { .. })));
        assert!(matches!(auc(&[1.0, 2.0], &[false, false]), Err(Error::TooFew { .. })));
        assert!(matches!(auc(&[1.0], &[true, false]), Err(Error::LengthMismatch { .. })));
        assert!(matches!(auc(&[f64::NAN, 1.0], &[true, false]), Err(Error::NotFinite { .. })));
    }

    #[test]
    fn unusable_vectors_are_named() {
        let good = array![[1.0_f32, 2.0]];
        assert!(matches!(
            clap_score(good.view(), array![[0.0, 0.0]].view()),
            Err(Error::ZeroVector { row: 0, .. })
        ));
        assert!(matches!(
            clap_score(good.view(), array![[f32::NAN, 0.0]].view()),
            Err(Error::NotFinite { .. })
        ));
        assert!(matches!(clap_score(good.view(), array![[1.0]].view()), Err(Error::LengthMismatch { .. })));
        assert!(matches!(clap_score(Array2::zeros((0, 2)).view(), good.view()), Err(Error::TooFew { .. })));
        assert!(matches!(mean_off_diagonal(good.view()), Err(Error::TooFew { needed: 2, .. })));
        assert!(matches!(recall_at(2, good.view(), good.view()), Err(Error::Range { .. })));
        assert!(recall_at(1, good.view(), array![[1.0, 2.0], [2.0, 1.0]].view()).is_err());
    }

    proptest! {
        #[test]
        fn values_are_within_their_ranges(
            a in prop::collection::vec(-1e3_f32..1e3, 24), b in prop::collection::vec(-1e3_f32..1e3, 24), k in 1_usize..7,
        ) {
            let (a, b) = (Array2::from_shape_vec((6, 4), a).unwrap(), Array2::from_shape_vec((6, 4), b).unwrap());
            prop_assert!((-1.0..=1.0).contains(&clap_score(a.view(), b.view()).unwrap()));
            prop_assert!((0.0..=1.0).contains(&recall_at(k, a.view(), b.view()).unwrap()));
            prop_assert!((-1.0..=1.0).contains(&mean_off_diagonal(a.view()).unwrap()));
            prop_assert_eq!(recall_at(6, a.view(), b.view()).unwrap(), 1.0);
        }
    }
}

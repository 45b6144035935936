//! What a plan says over time, how far audio obeyed it, and how well plan embeddings survive quantisation.
//!
//! A plan is one embedding per window (10 s in MusiCoT, arXiv 2503.19611), in a joint space with text: the cosine of each
//! window with a phrase is a curve over time, which the paper reads as the plan's content ("analyzability").

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView3, Axis};
use serde::Serialize;

use crate::embeddings::rank;
use crate::statistics::correlation;
use crate::vectors::{cosines, paired_cosines, unit_rows};
use crate::{Error, Result, check, vectors};

/// Cosine of every phrase with every window.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanCurves {
    phrases: Vec<String>,
    values: Array2<f64>,
}

impl PlanCurves {
    /// Compares the embeddings of phrases `[phrases, dim]` with those of windows `[windows, dim]`, of a plan or of audio.
    ///
    /// ```
    /// # fn main() -> musicot_eval::Result<()> {
    /// use musicot_eval::plan::PlanCurves;
    /// let (text, windows) = (ndarray::array![[1.0, 0.0]], ndarray::array![[2.0, 0.0], [0.0, 1.0]]);
    /// let curves = PlanCurves::new(&["drums"], text.view(), windows.view())?;
    /// assert_eq!(curves.curve("drums").unwrap().to_vec(), [1.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::TooFew`] for no phrase or window; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::ZeroVector`].
    pub fn new(phrases: &[&str], text: ArrayView2<'_, f32>, windows: ArrayView2<'_, f32>) -> Result<Self> {
        check::same_len("text: rows", text.nrows(), phrases.len())?;
        let values = cosines("windows", &unit_rows("text", text)?, &unit_rows("windows", windows)?)?;
        Ok(Self { phrases: phrases.iter().map(|phrase| (*phrase).to_owned()).collect(), values })
    }

    /// The phrases, in the order of the rows.
    pub fn phrases(&self) -> &[String] {
        &self.phrases
    }

    /// Cosines `[phrases, windows]`, -1..=1.
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// Cosines `[windows]` of a phrase; `None` for a phrase that was not asked.
    pub fn curve(&self, phrase: &str) -> Option<ArrayView1<'_, f64>> {
        let row = self.phrases.iter().position(|known| known == phrase)?;
        Some(self.values.row(row))
    }

    /// Per phrase, Pearson's correlation over the windows with the curve of the same phrase in `other` (the plan's with the audio's,
    /// say); `None` where a curve does not vary.
    ///
    /// # Errors
    /// [`Error::Range`] for other phrases; [`Error::LengthMismatch`] for other windows; [`Error::TooFew`] for fewer than two windows.
    pub fn correlations(&self, other: &Self) -> Result<Vec<Option<f64>>> {
        if self.phrases != other.phrases {
            let reason = format!(
                "expected the same in the same order, got {:?} and {:?}",
                self.phrases, other.phrases
            );
            return Err(Error::range("phrases", reason));
        }
        let pairs = self.values.rows().into_iter().zip(other.values.rows());
        pairs.map(|(a, b)| correlation(&a.to_vec(), &b.to_vec())).collect()
    }
}

/// How far audio obeyed a plan, window by window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Obedience {
    /// Cosine of each window of the audio with its window of the plan, -1..=1.
    pub per_window: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Mean cosine of the audio's windows with the plan's other windows: what shuffled windows would score. `None` for one window.
    pub shuffled: Option<f64>,
    /// Per window of the audio, the rank from 1 of its own window among all windows of the plan; ties count against it.
    pub ranks: Vec<usize>,
}

impl Obedience {
    /// Compares a plan `[windows, dim]` with the embeddings of the audio made from it `[windows, dim]`.
    ///
    /// # Errors
    /// [`Error::TooFew`] for no window; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::ZeroVector`].
    pub fn of(plan: ArrayView2<'_, f32>, audio: ArrayView2<'_, f32>) -> Result<Self> {
        check::same_len("audio: windows", audio.nrows(), plan.nrows())?;
        let all = cosines("plan", &unit_rows("audio", audio)?, &unit_rows("plan", plan)?)?;
        let per_window = all.diag().to_vec();
        let windows = per_window.len() as f64;
        let own: f64 = per_window.iter().sum();
        let shuffled = (per_window.len() > 1).then(|| (all.sum() - own) / (windows * (windows - 1.0)));
        let ranks = (0..per_window.len()).map(|window| rank(all.row(window).iter(), window)).collect();
        Ok(Self { mean: own / windows, per_window, shuffled, ranks })
    }
}

/// Rank, from 1, of a recording's own plan among several, by the mean cosine of its windows `[windows, dim]` with theirs; ties count
/// against it. A plan of another length is compared over the windows that both have.
///
/// # Errors
/// [`Error::Range`] for an index outside the plans; the errors of [`Obedience::of`].
pub fn plan_rank(audio: ArrayView2<'_, f32>, plans: &[ArrayView2<'_, f32>], own: usize) -> Result<usize> {
    if own >= plans.len() {
        return Err(Error::range("own plan", format!("expected one of 0..{}, got {own}", plans.len())));
    }
    let audio = unit_rows("audio", audio)?;
    let score = |plan: &ArrayView2<'_, f32>| {
        let plan = unit_rows("plan", *plan)?;
        let windows = audio.nrows().min(plan.nrows());
        let both = |rows: &Array2<f64>| rows.slice(ndarray::s![..windows, ..]).to_owned();
        Ok(paired_cosines("plan", &both(&audio), &both(&plan))?.sum() / windows as f64)
    };
    let scores = plans.iter().map(score).collect::<Result<Vec<f64>>>()?;
    Ok(rank(scores.iter(), own))
}

/// Share of decoded vectors `[items, dim]` that are strictly nearer, by cosine, to their own original (the row of the same index in
/// `[items, dim]`) than to any other, 0..=1. Chance is one in the number of items, which belongs beside the figure.
///
/// # Errors
/// [`Error::TooFew`] for no rows; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::ZeroVector`].
pub fn nearest_own_rate(originals: ArrayView2<'_, f32>, decoded: ArrayView2<'_, f32>) -> Result<f64> {
    crate::embeddings::recall_at(1, decoded, originals)
}

/// Mean cosine of vectors `[items, dim]` with what each number of levels decodes to `[levels, items, dim]`.
///
/// # Errors
/// [`Error::TooFew`] for no rows or levels; [`Error::LengthMismatch`]; [`Error::NotFinite`]; [`Error::ZeroVector`].
pub fn cosine_per_level(originals: ArrayView2<'_, f32>, decoded: ArrayView3<'_, f32>) -> Result<Vec<f64>> {
    check::at_least("decoded: levels", decoded.len_of(Axis(0)), 1)?;
    decoded.outer_iter().map(|level| crate::embeddings::clap_score(level, originals)).collect()
}

/// Mean squared error, per component, of vectors `[items, dim]` against what each number of levels decodes to `[levels, items, dim]`.
///
/// # Errors
/// [`Error::TooFew`] for no rows or levels; [`Error::LengthMismatch`]; [`Error::NotFinite`].
pub fn mse_per_level(originals: ArrayView2<'_, f32>, decoded: ArrayView3<'_, f32>) -> Result<Vec<f64>> {
    check::at_least("decoded: levels", decoded.len_of(Axis(0)), 1)?;
    let originals = vectors::checked("originals", originals, 1)?;
    let error = |level: ArrayView2<'_, f32>| {
        let level = vectors::checked("decoded", level, 1)?;
        check::same_len("decoded: rows", level.nrows(), originals.nrows())?;
        check::same_len("decoded: columns", level.ncols(), originals.ncols())?;
        Ok((level - &originals).mapv(|difference| difference * difference).sum() / originals.len() as f64)
    };
    decoded.outer_iter().map(error).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn curves_and_their_correlations() {
        let text = array![[1.0_f32, 0.0], [0.0, 1.0]];
        let plan = array![[1.0_f32, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let phrases = ["piano", "drums"];
        let curves = PlanCurves::new(&phrases, text.view(), plan.view()).unwrap();
        assert_eq!(curves.values().dim(), (2, 3));
        assert!((curves.values()[[0, 1]] - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(curves.curve("flute"), None);
        let with_itself = curves.correlations(&curves).unwrap();
        assert!(with_itself.iter().all(|r| (r.unwrap() - 1.0).abs() < 1e-12), "{with_itself:?}");
        let backwards = PlanCurves::new(&phrases, text.view(), plan.slice(ndarray::s![..;-1, ..])).unwrap();
        assert!(curves.correlations(&backwards).unwrap()[0].unwrap() < -0.8);
        let flat = PlanCurves::new(&phrases, text.view(), array![[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]].view())
            .unwrap();
        assert_eq!(curves.correlations(&flat).unwrap(), [None, None]);
        let other = PlanCurves::new(&["a", "b"], text.view(), plan.view()).unwrap();
        assert!(matches!(curves.correlations(&other), Err(Error::Range { .. })));
        assert!(PlanCurves::new(&["one"], text.view(), plan.view()).is_err());
    }

    #[test]
    fn obedient_audio_ranks_its_windows_first() {
        let plan = array![[1.0_f32, 0.0], [0.0, 1.0]];
        let obedience = Obedience::of(plan.view(), plan.view()).unwrap();
        assert_eq!((obedience.mean, obedience.shuffled, &obedience.ranks[..]), (1.0, Some(0.0), &[1, 1][..]));
        let swapped = Obedience::of(plan.view(), array![[0.0, 1.0], [1.0, 0.0]].view()).unwrap();
        assert_eq!((swapped.mean, swapped.shuffled, &swapped.ranks[..]), (0.0, Some(1.0), &[2, 2][..]));
        assert_eq!(Obedience::of(array![[1.0]].view(), array![[2.0]].view()).unwrap().shuffled, None);
        assert!(Obedience::of(plan.view(), array![[1.0, 0.0]].view()).is_err());
    }

    #[test]
    fn plans_are_ranked_by_the_windows_they_share() {
        let audio = array![[1.0_f32, 0.0], [0.0, 1.0]];
        let (own, long) =
            (array![[1.0_f32, 0.1], [0.1, 1.0]], array![[0.0_f32, 1.0], [1.0, 0.0], [1.0, 0.0]]);
        let plans = [long.view(), own.view()];
        assert_eq!(plan_rank(audio.view(), &plans, 1).unwrap(), 1);
        assert_eq!(plan_rank(audio.view(), &plans, 0).unwrap(), 2);
        // The same plan twice: a tie.
        assert_eq!(plan_rank(audio.view(), &[own.view(), own.view()], 0).unwrap(), 2);
        assert!(matches!(plan_rank(audio.view(), &plans, 2), Err(Error::Range { .. })));
    }

    #[test]
    fn decoded_vectors_find_their_originals() {
        let originals = array![[1.0_f32, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let decoded = array![[0.9_f32, 0.1], [0.9, 0.2], [-1.0, 0.0]];
        assert!((nearest_own_rate(originals.view(), decoded.view()).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        let levels = Array3::from_shape_fn((2, 3, 2), |(level, item, column)| {
            if level == 1 { originals[[item, column]] } else { decoded[[item, column]] }
        });
        let cosines = cosine_per_level(originals.view(), levels.view()).unwrap();
        assert!(cosines[0] < 0.8 && (cosines[1] - 1.0).abs() < 1e-12, "{cosines:?}");
        assert!(cosine_per_level(originals.view(), Array3::zeros((0, 3, 2)).view()).is_err());
        // Squares of 0.1, 0.1, 0.9 and 0.8 over six components.
        let errors = mse_per_level(originals.view(), levels.view()).unwrap();
        assert!((errors[0] - 1.47 / 6.0).abs() < 1e-6 && errors[1] == 0.0, "{errors:?}");
        assert!(mse_per_level(originals.view(), Array3::zeros((1, 2, 2)).view()).is_err());
        assert!(mse_per_level(originals.view(), Array3::zeros((0, 3, 2)).view()).is_err());
    }

    proptest! {
        #[test]
        fn values_are_within_their_ranges(
            plan in prop::collection::vec(-9.0_f32..9.0, 12), audio in prop::collection::vec(-9.0_f32..9.0, 12),
        ) {
            let (plan, audio) =
                (Array2::from_shape_vec((4, 3), plan).unwrap(), Array2::from_shape_vec((4, 3), audio).unwrap());
            let obedience = Obedience::of(plan.view(), audio.view()).unwrap();
            prop_assert!(obedience.per_window.iter().all(|cosine| (-1.0..=1.0).contains(cosine)));
            prop_assert!(obedience.ranks.iter().all(|rank| (1..=4).contains(rank)));
            prop_assert!((1..=2).contains(&plan_rank(audio.view(), &[plan.view(), audio.view()], 0).unwrap()));
        }
    }
}

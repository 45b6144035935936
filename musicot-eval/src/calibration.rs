//! Curves of a plan or recording against phrases, made comparable between phrases, and tested against what sounded.
//!
//! The cosine of an embedding with a phrase has an offset and a spread that belong to the phrase and not to the music: "drums" may
//! lie nearer to everything than "harp" does. So each phrase is centred and scaled by the cosines that it has with a null set of
//! embeddings (of many pieces, or of the plans of empty prompts). MusiCoT (arXiv 2503.19611) shows the bare cosines.

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use musicot_core::CounterRng;

use crate::plan::PlanCurves;
use crate::significance::{Against, benjamini_hochberg, shifted_correlation};
use crate::{Error, Result, check};

/// Below this standard deviation of cosines a phrase does not tell the null set's embeddings apart.
const MIN_DEVIATION: f64 = 1e-9;

/// Mean and standard deviation of each phrase's cosines over a null set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorNull {
    anchors: Vec<Anchor>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    phrase: String,
    mean: f64,
    deviation: f64,
}

impl AnchorNull {
    /// Measures phrases `[phrases, dim]` on the embeddings of a null set `[windows, dim]`, which should hold many pieces and lack
    /// those that will be judged; the deviation is the unbiased one (divided by windows - 1).
    ///
    /// ```
    /// # fn main() -> musicot_eval::Result<()> {
    /// use musicot_eval::{calibration::AnchorNull, plan::PlanCurves};
    /// let text = ndarray::array![[1.0, 0.0]];
    /// let null = ndarray::array![[1.0, 0.0], [0.0, 1.0]]; // cosines 1 and 0
    /// let curves = PlanCurves::new(&["drums"], text.view(), ndarray::array![[2.0, 0.0]].view())?;
    /// let calibrated = AnchorNull::fit(&["drums"], text.view(), null.view())?.calibrate(&curves)?;
    /// assert!((calibrated.curve("drums").unwrap()[0] - 0.5_f64.sqrt()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::TooFew`] for no phrase, or fewer than two windows; [`Error::LengthMismatch`]; [`Error::NotFinite`];
    /// [`Error::ZeroVector`]; [`Error::Range`] for a phrase with one cosine with all of the null set.
    pub fn fit(phrases: &[&str], text: ArrayView2<'_, f32>, null: ArrayView2<'_, f32>) -> Result<Self> {
        check::at_least("null set: windows", null.nrows(), 2)?;
        let curves = PlanCurves::new(phrases, text, null)?;
        let anchor = |(phrase, cosines): (&String, ArrayView1<'_, f64>)| {
            let mean = cosines.sum() / cosines.len() as f64;
            let squares: f64 = cosines.iter().map(|cosine| (cosine - mean).powi(2)).sum();
            let deviation = (squares / (cosines.len() - 1) as f64).sqrt();
            if deviation < MIN_DEVIATION {
                let reason = format!("{phrase:?} has the same cosine with all of its embeddings");
                return Err(Error::range("null set", reason));
            }
            Ok(Anchor { phrase: phrase.clone(), mean, deviation })
        };
        let pairs = curves.phrases().iter().zip(curves.values().rows());
        Ok(Self { anchors: pairs.map(anchor).collect::<Result<_>>()? })
    }

    /// Per window, how many standard deviations of the null set a phrase is above its mean there.
    ///
    /// # Errors
    /// [`Error::Range`] for a phrase that was not measured.
    pub fn calibrate(&self, curves: &PlanCurves) -> Result<CalibratedCurves> {
        let mut values = curves.values().clone();
        for (phrase, mut row) in curves.phrases().iter().zip(values.rows_mut()) {
            let Some(anchor) = self.anchors.iter().find(|anchor| anchor.phrase == *phrase) else {
                return Err(Error::range(
                    "phrase",
                    format!("expected one of the null set's, got {phrase:?}"),
                ));
            };
            row.mapv_inplace(|cosine| (cosine - anchor.mean) / anchor.deviation);
        }
        Ok(CalibratedCurves { phrases: curves.phrases().to_vec(), values })
    }
}

/// Curves in standard deviations of a null set: 0 is what any music has, 2 is more than about 98 % of it has.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibratedCurves {
    phrases: Vec<String>,
    values: Array2<f64>,
}

impl CalibratedCurves {
    /// The phrases, in the order of the rows.
    pub fn phrases(&self) -> &[String] {
        &self.phrases
    }

    /// Values `[phrases, windows]`.
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// Values `[windows]` of a phrase; `None` for a phrase that was not asked.
    pub fn curve(&self, phrase: &str) -> Option<ArrayView1<'_, f64>> {
        let row = self.phrases.iter().position(|known| known == phrase)?;
        Some(self.values.row(row))
    }
}

/// A phrase and what was measured of the same thing, piece by piece.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorCurves {
    /// The phrase.
    pub phrase: String,
    /// Per piece, the curve of the phrase `[windows]`.
    pub curves: Vec<Vec<f64>>,
    /// Per piece, the quantity in the same windows, such as the level of the instrument in decibels.
    pub quantities: Vec<Vec<f64>>,
}

/// Whether a phrase's curve follows the quantity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnchorTest {
    /// The phrase.
    pub phrase: String,
    /// Correlation within pieces against circular shifts, see [`shifted_correlation`].
    pub correlation: Against,
    /// Its p-value, adjusted for the number of phrases by [`benjamini_hochberg`].
    pub adjusted_p: f64,
}

/// Tests all phrases; those whose curve or quantity never varies within a piece are left out of result and adjustment. The order is kept.
///
/// # Errors
/// [`Error::TooFew`] for no phrase that varies, or no piece; [`Error::LengthMismatch`]; [`Error::NotFinite`].
pub fn test_anchors(anchors: &[AnchorCurves], rng: CounterRng) -> Result<Vec<AnchorTest>> {
    let mut tests = Vec::new();
    for (index, anchor) in anchors.iter().enumerate() {
        let correlation = shifted_correlation(&anchor.curves, &anchor.quantities, rng.item(index as u64))?;
        if let Some(correlation) = correlation {
            tests.push(AnchorTest { phrase: anchor.phrase.clone(), correlation, adjusted_p: correlation.p });
        }
    }
    check::at_least("phrases that vary", tests.len(), 1)?;
    let p: Vec<f64> = tests.iter().map(|test| test.correlation.p).collect();
    for (test, adjusted) in tests.iter_mut().zip(benjamini_hochberg(&p)?) {
        test.adjusted_p = adjusted;
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_phrase_near_to_everything_is_put_in_its_place() {
        // All music leans to the first axis; only the third window is special in it.
        let text = array![[1.0_f32, 0.0, 0.0], [0.0, 1.0, 0.0]];
        let null = array![[5.0_f32, 0.0, 1.0], [5.0, 1.0, 0.5], [5.0, -1.0, -1.0], [5.0, 0.5, -0.5]];
        let windows = array![[5.0_f32, 0.5, 0.8], [5.0, 3.0, 0.0]];
        let phrases = ["music", "drums"];
        let curves = PlanCurves::new(&phrases, text.view(), windows.view()).unwrap();
        let null = AnchorNull::fit(&phrases, text.view(), null.view()).unwrap();
        let calibrated = null.calibrate(&curves).unwrap();
        assert!(curves.values()[[0, 1]] > curves.values()[[1, 1]]);
        assert!(calibrated.values()[[0, 1]] < calibrated.values()[[1, 1]]);
        assert!(calibrated.curve("drums").unwrap()[1] > 2.0 && calibrated.curve("flute").is_none());
        let json = serde_json::to_string(&null).unwrap();
        assert_eq!(serde_json::from_str::<AnchorNull>(&json).unwrap(), null);
        let other = PlanCurves::new(&["flute"], text.slice(ndarray::s![..1, ..]), windows.view()).unwrap();
        assert!(matches!(null.calibrate(&other), Err(Error::Range { .. })));
    }

    #[test]
    fn a_null_set_must_vary() {
        let text = array![[1.0_f32, 0.0]];
        let fit = |null: Array2<f32>| AnchorNull::fit(&["a"], text.view(), null.view());
        assert!(matches!(fit(array![[1.0, 1.0], [2.0, 2.0]]), Err(Error::Range { .. })));
        assert!(matches!(fit(array![[1.0, 1.0]]), Err(Error::TooFew { .. })));
        assert!(matches!(fit(array![[0.0, 0.0], [1.0, 0.0]]), Err(Error::ZeroVector { .. })));
    }

    #[test]
    fn phrases_that_follow_are_told_from_those_that_do_not() {
        let course = |seed: u64| -> Vec<Vec<f64>> {
            (0..12)
                .map(|piece| {
                    let mut draws = CounterRng::new(seed).at(piece);
                    (0..6).map(|_| f64::from(draws.normal())).collect()
                })
                .collect()
        };
        let anchor =
            |phrase: &str, curves, quantities| AnchorCurves { phrase: phrase.to_owned(), curves, quantities };
        let anchors = [
            anchor("drums", course(1), course(1)),
            anchor("vocals", course(2), vec![vec![0.0; 6]; 12]),
            anchor("bass", course(3), course(4)),
        ];
        let tests = test_anchors(&anchors, CounterRng::new(0)).unwrap();
        assert_eq!(tests.iter().map(|test| test.phrase.as_str()).collect::<Vec<_>>(), ["drums", "bass"]);
        assert!(tests[0].adjusted_p < 0.001 && tests[1].adjusted_p > 0.05, "{tests:?}");
        assert!(test_anchors(&anchors[1..2], CounterRng::new(0)).is_err());
    }

    proptest! {
        #[test]
        fn the_null_set_itself_has_mean_0_and_deviation_1(values in prop::collection::vec(-9.0_f32..9.0, 18)) {
            let null = Array2::from_shape_vec((6, 3), values).unwrap();
            let text = array![[1.0_f32, 0.3, -0.2]];
            let curves = PlanCurves::new(&["a"], text.view(), null.view());
            let fitted = AnchorNull::fit(&["a"], text.view(), null.view());
            prop_assume!(curves.is_ok() && fitted.is_ok());
            let calibrated = fitted.unwrap().calibrate(&curves.unwrap()).unwrap();
            let row = calibrated.values().row(0).to_owned();
            prop_assert!(row.sum().abs() < 1e-9);
            prop_assert!((row.dot(&row) / 5.0 - 1.0).abs() < 1e-6);
        }
    }
}

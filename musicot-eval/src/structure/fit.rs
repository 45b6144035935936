//! Whether a recording has the sections that were asked for.

use serde::{Deserialize, Serialize};

use super::SelfSimilarity;
use crate::significance::Against;
use crate::{Error, Result, check};

/// A stretch of a plan: an intro, a verse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Sections of one label should be alike.
    pub label: String,
    /// When it begins, in seconds.
    pub start_secs: f64,
    /// When it ends.
    pub end_secs: f64,
}

/// How well a recording fits a plan of sections.
///
/// Each figure is a difference of mean similarities, above 0 where the plan is followed. Chance is its mean over all circular
/// shifts of the plan along the recording (at which sections still are stretches of the same lengths), and p the share of shifts, the
/// true one included, that fit as well: at least one in the number of stretches.
///
/// The beginning and the end of music are unlike its middle, which a shifted plan does not know: on 100 rendered pieces, the plan of
/// another piece, stretched to fit, had p <= 0.05 in 0.14 of the cases (its own in 0.71). To show that a plan of its own was
/// followed, compare with the plans of others, by [`crate::significance::matched_pairs`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SectionFit {
    /// Pairs of stretches of sections of one label, less pairs of other labels.
    pub labels: Against,
    /// Pairs of two sections of one label (a repetition), less pairs of other labels. Neighbouring stretches, which are alike in any music,
    /// count in [`Self::labels`] but not here. `None` where no label comes twice.
    pub repeats: Option<Against>,
}

impl SelfSimilarity {
    /// Compares with a plan; a stretch belongs to the section that its middle lies in, and to none between sections.
    ///
    /// # Errors
    /// [`Error::TooFew`] for fewer than two labels among the stretches; [`Error::NotFinite`]; [`Error::Range`] for a section that ends before
    /// it begins, or begins before the one before it ends.
    pub fn fit(&self, sections: &[Section]) -> Result<SectionFit> {
        check_sections(sections)?;
        let plan = Plan::of(sections, &self.bounds_secs);
        check::at_least("labels of sections", plan.labels(), 2)?;
        let contrasts: Vec<Contrast> =
            (0..self.values.nrows()).map(|shift| plan.contrast(self, shift)).collect();
        let against = |of: &dyn Fn(&Contrast) -> Option<f64>| {
            let found = of(contrasts.first()?)?;
            Some(Against::of(found, contrasts[1..].iter().filter_map(of)))
        };
        let labels = against(&|contrast| contrast.labels);
        Ok(SectionFit {
            // Unshifted, each of two labels has a stretch; alone in its section it still has no pair.
            labels: labels.ok_or(Error::TooFew {
                what: "pairs of stretches of one label".to_owned(),
                needed: 1,
                actual: 0,
            })?,
            repeats: against(&|contrast| contrast.repeats),
        })
    }
}

fn check_sections(sections: &[Section]) -> Result<()> {
    check::finite("sections", sections.iter().flat_map(|section| [section.start_secs, section.end_secs]))?;
    let mut end = f64::NEG_INFINITY;
    for section in sections {
        // A rounding of a microsecond is no overlap.
        if section.start_secs < end - 1e-6 || section.end_secs < section.start_secs {
            let (label, start) = (&section.label, section.start_secs);
            let reason =
                format!("expected rising times, got {label:?} from {start} s to {} s", section.end_secs);
            return Err(Error::range("sections", reason));
        }
        end = section.end_secs;
    }
    Ok(())
}

/// Per stretch, the index of its section and of the first section of the same label.
struct Plan(Vec<Option<(usize, usize)>>);

struct Contrast {
    labels: Option<f64>,
    repeats: Option<f64>,
}

impl Plan {
    fn of(sections: &[Section], bounds_secs: &[f64]) -> Self {
        let of_stretch = |pair: &[f64]| {
            let middle = (pair[0] + pair[1]) / 2.0;
            let index = sections.iter().position(|s| s.start_secs <= middle && middle < s.end_secs)?;
            let label = sections.iter().position(|section| section.label == sections[index].label)?;
            Some((index, label))
        };
        Self(bounds_secs.windows(2).map(of_stretch).collect())
    }

    fn labels(&self) -> usize {
        let mut labels: Vec<usize> = self.0.iter().flatten().map(|(_, label)| *label).collect();
        labels.sort_unstable();
        labels.dedup();
        labels.len()
    }

    fn contrast(&self, similarity: &SelfSimilarity, shift: usize) -> Contrast {
        // Sums and counts of pairs within a section, of a label in two sections, and of two labels.
        let (mut sums, mut counts) = ([0.0; 3], [0_usize; 3]);
        let stretches = self.0.len();
        let at = |stretch: usize| self.0[(stretch + shift) % stretches];
        for i in 0..stretches {
            for j in i + 1..stretches {
                let (Some((section, label)), Some((other_section, other_label))) = (at(i), at(j)) else {
                    continue;
                };
                let kind = match (section == other_section, label == other_label) {
                    (true, _) => 0,
                    (false, true) => 1,
                    (false, false) => 2,
                };
                sums[kind] += similarity.values[[i, j]];
                counts[kind] += 1;
            }
        }
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let other = mean(sums[2], counts[2]);
        let less_other = |sum, count| Some(mean(sum, count)? - other?);
        Contrast {
            labels: less_other(sums[0] + sums[1], counts[0] + counts[1]),
            repeats: less_other(sums[1], counts[1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    fn section(label: &str, start_secs: f64, end_secs: f64) -> Section {
        Section { label: label.to_owned(), start_secs, end_secs }
    }

    fn similarity(labels: &str) -> SelfSimilarity {
        let labels: Vec<char> = labels.chars().collect();
        let values = Array2::from_shape_fn((labels.len(), labels.len()), |(i, j)| {
            if labels[i] == labels[j] { 0.9 } else { 0.3 }
        });
        SelfSimilarity { values, bounds_secs: (0..=labels.len()).map(|i| i as f64).collect() }
    }

    fn plan() -> Vec<Section> {
        vec![
            section("verse", 0.0, 4.0),
            section("chorus", 4.0, 9.0),
            section("verse", 9.0, 12.0),
            section("outro", 12.0, 14.0),
        ]
    }

    #[test]
    fn a_plan_that_is_followed_fits_better_than_its_shifts() {
        let fit = similarity("VVVVCCCCCVVVOO").fit(&plan()).unwrap();
        assert!((fit.labels.found - 0.6).abs() < 1e-12 && fit.labels.p == 1.0 / 14.0, "{fit:?}");
        let repeats = fit.repeats.unwrap();
        assert!(
            (repeats.found - 0.6).abs() < 1e-12 && repeats.p == 1.0 / 14.0 && repeats.chance < 0.3,
            "{fit:?}"
        );
        // Sections change but nothing returns: neighbours are alike, repetitions are not.
        let fit = similarity("AAAABBBBBCCCDD").fit(&plan()).unwrap();
        assert!(fit.labels.found > 0.3 && fit.repeats.unwrap().found.abs() < 1e-12, "{fit:?}");
        let flat = similarity("AAAAAAAAAAAAAA").fit(&plan()).unwrap();
        assert!(flat.labels.found.abs() < 1e-12 && flat.labels.p == 1.0, "{flat:?}");
    }

    #[test]
    fn plans_that_cannot_be_judged_are_named() {
        let similarity = similarity("VVVVCCCC");
        assert!(matches!(similarity.fit(&[section("a", 0.0, 8.0)]), Err(Error::TooFew { needed: 2, .. })));
        assert!(matches!(similarity.fit(&[]), Err(Error::TooFew { .. })));
        assert!(matches!(
            similarity.fit(&[section("a", 4.0, 8.0), section("b", 0.0, 4.0)]),
            Err(Error::Range { .. })
        ));
        assert!(matches!(similarity.fit(&[section("a", 4.0, 1.0)]), Err(Error::Range { .. })));
        assert!(matches!(similarity.fit(&[section("a", f64::NAN, 1.0)]), Err(Error::NotFinite { .. })));
        let lone = [section("a", 0.0, 1.0), section("b", 1.0, 2.0)];
        assert!(matches!(similarity.fit(&lone), Err(Error::TooFew { .. })));
        let once = [section("a", 0.0, 4.0), section("b", 4.0, 8.0)];
        assert!(similarity.fit(&once).unwrap().repeats.is_none());
    }

    proptest! {
        #[test]
        fn figures_are_finite(cells in prop::collection::vec(0.0_f64..1.0, 81), cut in 1.0_f64..8.0) {
            let raw = Array2::from_shape_vec((9, 9), cells).unwrap();
            let similarity = SelfSimilarity { values: (&raw + &raw.t()) / 2.0, bounds_secs: (0..=9).map(f64::from).collect() };
            let fit = similarity.fit(&[section("a", 0.0, cut), section("b", cut, 9.0)]).unwrap();
            prop_assert!(fit.labels.found.abs() <= 1.0 && fit.labels.chance.abs() <= 1.0);
            prop_assert!(fit.labels.p > 0.0 && fit.labels.p <= 1.0);
        }
    }
}

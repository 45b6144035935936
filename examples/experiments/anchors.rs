//! Phrases that thoughts are asked about, and how their curves go with the levels of instruments.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot_eval::calibration::{AnchorCurves, AnchorNull, CalibratedCurves};
use musicot_eval::plan::PlanCurves;
use musicot_eval::statistics::{Interval, bootstrap};
use ndarray::{Array2, Axis};

use crate::common::Outcome;
use crate::corpus::{family_phrase, rows};
use crate::rng;

/// Resamples of the intervals of correlations.
const RESAMPLES: usize = 1000;

/// What is asked of thoughts: a phrase per family, calibrated.
pub struct Anchors {
    pub families: Vec<String>,
    phrases: Vec<String>,
    text: Array2<f32>,
    null: AnchorNull,
}

impl Anchors {
    pub fn of(clap: &Clap, families: Vec<String>, null: &Array2<f32>) -> Outcome<Self> {
        let phrases: Vec<String> = families.iter().map(|family| family_phrase(family)).collect();
        let words: Vec<&str> = phrases.iter().map(String::as_str).collect();
        let text = rows(&clap.embed_text(&words)?)?;
        let null = AnchorNull::fit(&words, text.view(), null.view())?;
        Ok(Self { families, phrases, text, null })
    }

    fn curves(&self, thoughts: &Array2<f32>) -> Outcome<CalibratedCurves> {
        let words: Vec<&str> = self.phrases.iter().map(String::as_str).collect();
        Ok(self.null.calibrate(&PlanCurves::new(&words, self.text.view(), thoughts.view())?)?)
    }
}

/// Per piece: thoughts as curves, and levels of the families in the same windows.
pub struct Pairs {
    pub curves: Vec<CalibratedCurves>,
    /// `[families][pieces][windows]`
    pub levels: Vec<Vec<Vec<f64>>>,
}

impl Pairs {
    /// Adds a piece over the windows that both sides have.
    pub fn push(
        &mut self,
        anchors: &Anchors,
        thoughts: &Array2<f32>,
        levels: impl Fn(usize) -> Outcome<Vec<f64>>,
    ) -> Outcome {
        let all = (0..anchors.families.len()).map(levels).collect::<Outcome<Vec<_>>>()?;
        let windows = all.iter().map(Vec::len).fold(thoughts.nrows(), usize::min);
        let head: Vec<usize> = (0..windows).collect();
        self.curves.push(anchors.curves(&thoughts.select(Axis(0), &head))?);
        for (own, mut levels) in self.levels.iter_mut().zip(all) {
            levels.truncate(windows);
            own.push(levels);
        }
        Ok(())
    }

    pub fn curve(&self, piece: usize, family: usize) -> Vec<f64> {
        self.curves[piece].values().row(family).to_vec()
    }

    /// Correlation within pieces, and over all windows whatever the piece, with intervals over pieces.
    pub fn correlations(&self, family: usize) -> Outcome<[Interval; 2]> {
        let pieces: Vec<Moments> = (0..self.curves.len())
            .map(|piece| Moments::of(&self.curve(piece, family), &self.levels[family][piece]))
            .collect();
        let over = |sum: fn(&[&Moments]) -> f64| {
            bootstrap(pieces.len(), RESAMPLES, rng(), |items| {
                Ok(sum(&items.iter().map(|item| &pieces[*item]).collect::<Vec<_>>()))
            })
        };
        Ok([over(Moments::within)?, over(Moments::overall)?])
    }

    pub fn anchor(&self, anchors: &Anchors, family: usize) -> AnchorCurves {
        AnchorCurves {
            phrase: anchors.families[family].clone(),
            curves: (0..self.curves.len()).map(|piece| self.curve(piece, family)).collect(),
            quantities: self.levels[family].clone(),
        }
    }
}

/// Sums over the windows of a piece: of two curves, their squares and their product.
#[derive(Default)]
struct Moments {
    windows: f64,
    sums: [f64; 2],
    squares: [f64; 2],
    product: f64,
}

impl Moments {
    fn of(a: &[f64], b: &[f64]) -> Self {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        Self {
            windows: a.len() as f64,
            sums: [a.iter().sum(), b.iter().sum()],
            squares: [dot(a, a), dot(b, b)],
            product: dot(a, b),
        }
    }

    /// Less the means: powers of both, and their product.
    fn centred(&self) -> [f64; 3] {
        let [a, b] = self.sums;
        let windows = self.windows.max(1.0);
        [self.squares[0] - a * a / windows, self.squares[1] - b * b / windows, self.product - a * b / windows]
    }

    /// Pearson's correlation of curves that are centred in each piece; 0 where nothing varies.
    fn within(pieces: &[&Self]) -> f64 {
        let sum = pieces
            .iter()
            .map(|piece| piece.centred())
            .fold([0.0; 3], |[a, b, c], [x, y, z]| [a + x, b + y, c + z]);
        correlation(sum)
    }

    /// The same over all windows.
    fn overall(pieces: &[&Self]) -> f64 {
        let mut all = Self::default();
        for piece in pieces {
            all.windows += piece.windows;
            all.product += piece.product;
            for side in 0..2 {
                all.sums[side] += piece.sums[side];
                all.squares[side] += piece.squares[side];
            }
        }
        correlation(all.centred())
    }
}

fn correlation([a, b, product]: [f64; 3]) -> f64 {
    let power = a.max(0.0).sqrt() * b.max(0.0).sqrt();
    if power > 1e-12 { (product / power).clamp(-1.0, 1.0) } else { 0.0 }
}

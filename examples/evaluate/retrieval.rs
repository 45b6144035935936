//! Whole pieces and their captions: which belong together.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::tch::Tensor;
use musicot_eval::embeddings::{cosine_scores, mean_off_diagonal, ranks};
use ndarray::{Array2, ArrayView2};

use crate::Context;
use crate::common::Outcome;
use crate::corpus::{caption, rows, spread, unit, windows};
use crate::figure::Figure;
use crate::report::Measured;
use crate::wordings;

/// Pieces among which a caption looks for its own.
const GALLERY: usize = 200;

/// Least share of captions whose piece is among the ten nearest.
const TARGET: f64 = 0.5;

pub fn figures(context: &Context, clap: &Clap) -> Outcome<Measured> {
    let records = spread(context.heldout.records(), context.options.pieces);
    if records.len() < 2 {
        return Err("need at least two pieces".into());
    }
    let captions = records.iter().map(|record| caption(record)).collect::<Outcome<Vec<_>>>()?;
    let texts = rows(&clap.embed_text(&captions)?)?;
    let pieces = windows(context, clap, 1.0)?;
    let firsts: Vec<Tensor> = pieces.iter().map(|piece| piece.f_narrow(0, 0, 1)).collect::<Result<_, _>>()?;
    let firsts = rows(&Tensor::f_cat(&firsts, 0)?)?;
    let means = means(&pieces)?;
    let name = "mean cosine between first windows of different pieces (1 is collapsed)";
    let mut found = Measured::from(vec![Figure::of(name, mean_off_diagonal(firsts.view())?)]);
    let chosen: Vec<usize> =
        spread(&(0..records.len()).collect::<Vec<_>>(), Some(GALLERY)).into_iter().copied().collect();
    let of = |vectors: &Array2<f32>| vectors.select(ndarray::Axis(0), &chosen);
    let (asked, clips) = (of(&texts), of(&firsts));
    let [first, ten] = recalls("a caption finds its piece's first window", asked.view(), clips.view())?;
    // The target speaks of this many: among fewer it is too easy.
    let ten = if chosen.len() == GALLERY { ten.at_least(TARGET) } else { ten };
    found.figures.extend([ten, first]);
    found.figures.extend(recalls("a whole piece finds its caption", of(&means).view(), asked.view())?);
    found.add("unseen wordings", wordings::figures(context, clap, &records, &means));
    Ok(found)
}

/// Mean embeddings `[pieces, dim]` of unit length.
fn means(pieces: &[Tensor]) -> Outcome<Array2<f32>> {
    let means: Vec<Tensor> =
        pieces.iter().map(|piece| piece.f_mean_dim([0].as_slice(), true, None)).collect::<Result<_, _>>()?;
    rows(&unit(&Tensor::f_cat(&means, 0)?)?)
}

/// R@1 and R@10 of queries whose own item has the same index.
fn recalls(name: &str, queries: ArrayView2<'_, f32>, items: ArrayView2<'_, f32>) -> Outcome<[Figure; 2]> {
    let own: Vec<usize> = (0..queries.nrows()).collect();
    let ranks = ranks(cosine_scores(queries, items)?.view(), &own)?;
    let recall = |most: usize| {
        let hits: Vec<f64> = ranks.iter().map(|rank| f64::from(*rank <= most)).collect();
        let chance = most as f64 / own.len() as f64;
        Figure::mean_of(format!("{name}, R@{most} of {} (chance {chance:.3})", own.len()), &hits)
    };
    Ok([recall(1)?, recall(10.min(own.len()))?])
}

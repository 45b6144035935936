//! Thoughts after quantisation.

use musicot::core::tch::Tensor;
use musicot::rvq::{VectorQuantizer, evaluate};

use crate::Context;
use crate::common::Outcome;
use crate::corpus::windows;
use crate::figure::Figure;

/// Held-out windows that compete for each decoded one.
const GALLERY: usize = 500;

pub fn figures(context: &Context) -> Outcome<Vec<Figure>> {
    let (clap, rvq) = (context.stages.clap()?, context.stages.rvq()?);
    // Half windows overlap, so that neighbours are alike: that makes finding the own original harder, not easier.
    let vectors = Tensor::f_cat(&windows(context, &clap, 0.5)?, 0)?;
    let found = vectors.size()[0] as usize;
    let count = found.min(GALLERY);
    let chosen: Vec<i64> = (0..count).map(|index| (index * found / count) as i64).collect();
    let vectors = vectors.f_index_select(0, &Tensor::f_from_slice(&chosen)?)?;
    let measured = evaluate(&rvq, &vectors, GALLERY)?;
    let levels = rvq.levels();
    let mut figures: Vec<Figure> = measured
        .cosine
        .iter()
        .enumerate()
        .map(|(level, cosine)| {
            let figure = Figure::of(format!("cosine after {} of {levels} levels", level + 1), *cosine);
            if level + 1 == levels { figure.at_least(0.95) } else { figure }
        })
        .collect();
    let name = format!("nearest to the own original of {count} windows (chance {:.4})", 1.0 / count as f64);
    figures.push(Figure::of(name, measured.nearest_own).at_least(0.9));
    let least = measured.perplexity.iter().copied().fold(f64::INFINITY, f64::min);
    figures.push(Figure::of(
        format!("codes in effective use at the poorest level, of {}", rvq.codebook_size()),
        least,
    ));
    Ok(figures)
}

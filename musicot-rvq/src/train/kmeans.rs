//! k-means, the start of a codebook.

use musicot_core::rng::Draws;
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{CounterRng, Result, tensor};

use crate::Metric;
use crate::search::{nearest, normalize};

/// How many vectors chose each codeword, `[size]`, and their sums, `[size, dim]`; f32.
pub(super) struct Totals {
    pub counts: Tensor,
    pub sums: Tensor,
}

impl Totals {
    /// Totals of vectors `[rows, dim]` that chose `codes` `[rows]` among `size` codewords.
    pub fn of(vectors: &Tensor, codes: &Tensor, size: i64) -> Result<Self> {
        let counts = codes.f_bincount(None::<Tensor>, size)?.f_to_kind(Kind::Float)?;
        let zeros = Tensor::f_zeros([size, vectors.size()[1]], (Kind::Float, vectors.device()))?;
        Ok(Self { counts, sums: zeros.f_index_add(0, codes, vectors)? })
    }
}

/// Codewords at the means of what chose them; those that nothing (or less than `floor`) chose stay where they are.
pub(super) fn means(
    codebook: &Tensor,
    weights: &Tensor,
    sums: &Tensor,
    floor: f64,
    metric: Metric,
) -> Result<Tensor> {
    let weights = weights.f_unsqueeze(1)?;
    let moved = match metric {
        Metric::Euclidean => sums.f_div(&weights)?,
        Metric::Cosine => normalize(sums)?,
    };
    Ok(moved.f_where_self(&weights.f_gt(floor)?, codebook)?)
}

/// k-means++ (Arthur and Vassilvitskii, 2007) and then `iterations` rounds of [`lloyd`]: a codebook `[size, dim]` for vectors
/// `[rows, dim]` (at least one row). With fewer distinct vectors than codewords some codewords are equal.
pub(super) fn kmeans(
    vectors: &Tensor,
    size: usize,
    iterations: usize,
    rng: CounterRng,
    metric: Metric,
) -> Result<Tensor> {
    lloyd(vectors, plus_plus(vectors, size, &mut rng.at(0))?, iterations, metric)
}

/// Lloyd's algorithm from a given codebook: after each round the total squared error is at most what it was before.
pub(super) fn lloyd(
    vectors: &Tensor,
    mut codebook: Tensor,
    iterations: usize,
    metric: Metric,
) -> Result<Tensor> {
    for _ in 0..iterations {
        let totals = Totals::of(vectors, &nearest(vectors, &codebook)?, codebook.size()[0])?;
        codebook = means(&codebook, &totals.counts, &totals.sums, 0.5, metric)?;
    }
    Ok(codebook)
}

/// Each codeword is a vector drawn with a probability proportional to its squared distance from the codewords before.
fn plus_plus(vectors: &Tensor, size: usize, draws: &mut Draws) -> Result<Tensor> {
    let rows = vectors.size()[0];
    let mut chosen = vec![draws.below(rows as usize) as i64];
    let mut distance = squared_distance(vectors, chosen[0])?;
    while chosen.len() < size {
        let next = weighted(&tensor::to_vec(&distance)?, draws) as i64;
        chosen.push(next);
        distance = distance.f_minimum(&squared_distance(vectors, next)?)?;
    }
    Ok(vectors.f_index_select(0, &Tensor::f_from_slice(&chosen)?.f_to_device(vectors.device())?)?)
}

fn squared_distance(vectors: &Tensor, row: i64) -> Result<Tensor> {
    let difference = vectors.f_sub(&vectors.f_narrow(0, row, 1)?)?;
    Ok(difference.f_square()?.f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?)
}

/// An index drawn in proportion to the weights, or evenly where all are 0.
fn weighted(weights: &[f32], draws: &mut Draws) -> usize {
    let uniform = draws.uniform_f64();
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    if total <= 0.0 {
        return (uniform * weights.len() as f64) as usize;
    }
    let mut sum = 0.0;
    let passed = weights.iter().position(|weight| {
        sum += f64::from(*weight);
        sum > uniform * total
    });
    passed.unwrap_or(weights.len() - 1)
}

//! From logits to tokens.

use musicot_core::tch::Tensor;
use musicot_core::{CounterRng, tensor};

use crate::{Error, Result, input};

/// Draws one token per row of logits `[batch, vocab]` from their softmax.
///
/// Row `i` uses the first uniform of `rngs[i].at(position)` and nothing else: a song's tokens do not depend on
/// the batch it is in. The draw inverts the cumulative distribution, summed in f64 on the host in the order of the
/// token ids, so that the same logits give the same token on every device. Masked tokens (-infinity) are never drawn.
///
/// # Errors
/// [`Error::NotFinite`] for NaN or +infinity, [`Error::NothingAllowed`] for a row without a possible token,
/// [`Error::Core`] for a wrong shape or count.
///
/// ```
/// use musicot_sampling::{draw, core::{CounterRng, tch::Tensor}};
/// let logits = Tensor::from_slice(&[f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY]).unsqueeze(0);
/// assert_eq!(draw(&logits, &[CounterRng::new(7)], 0)?, [1]);
/// # Ok::<(), musicot_sampling::Error>(())
/// ```
pub fn draw(logits: &Tensor, rngs: &[CounterRng], position: u64) -> Result<Vec<i64>> {
    let (batch, vocab) = input::logits_size(logits)?;
    input::expect_rows("rngs", rngs.len(), batch)?;
    let values = tensor::to_vec(logits)?;
    let rows = values.chunks_exact(vocab as usize).zip(rngs).enumerate();
    rows.map(|(row, (values, rng))| draw_row(row, values, rng.at(position).uniform_f64())).collect()
}

/// The likeliest token per row of logits `[batch, vocab]`; the lowest id among equals.
///
/// # Errors
/// See [`draw`].
///
/// ```
/// use musicot_sampling::{core::tch::Tensor, greedy};
/// let logits = Tensor::from_slice(&[0.5_f32, 2.0, 2.0]).unsqueeze(0);
/// assert_eq!(greedy(&logits)?, [1]);
/// # Ok::<(), musicot_sampling::Error>(())
/// ```
pub fn greedy(logits: &Tensor) -> Result<Vec<i64>> {
    let (_, vocab) = input::logits_size(logits)?;
    let values = tensor::to_vec(logits)?;
    let rows = values.chunks_exact(vocab as usize).enumerate();
    rows.map(|(row, values)| Ok(likeliest(row, values)? as i64)).collect()
}

/// The token where the cumulative distribution passes `uniform` (in `[0, 1)`).
fn draw_row(row: usize, logits: &[f32], uniform: f64) -> Result<i64> {
    let first = likeliest(row, logits)?;
    let highest = f64::from(logits[first]);
    // Once: the exponentials are most of what a draw costs.
    let weights: Vec<f64> = logits.iter().map(|value| (f64::from(*value) - highest).exp()).collect();
    let target = uniform * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    // Strictly above: a token of weight 0 leaves the sum as it is and cannot be the one that passes the target.
    let passed = weights.iter().position(|weight| {
        sum += weight;
        sum > target
    });
    Ok(passed.unwrap_or(first) as i64)
}

fn likeliest(row: usize, logits: &[f32]) -> Result<usize> {
    if let Some(token) = logits.iter().position(|value| value.is_nan() || *value == f32::INFINITY) {
        return Err(Error::NotFinite { row, token, value: logits[token] });
    }
    let mut best = 0;
    for (token, value) in logits.iter().enumerate() {
        if *value > logits[best] {
            best = token;
        }
    }
    if logits[best] == f32::NEG_INFINITY { Err(Error::NothingAllowed { row }) } else { Ok(best) }
}

//! Attention within square windows, with a bias learned per relative position.

use musicot_core::nn::Linear;
use musicot_core::tch::{Device, Tensor};
use musicot_core::{Error, Init, Result, Scope};

/// What is added to the score of two tokens that only the shift has brought into one window (not minus infinity, as published).
const APART: f32 = -100.0;

/// Starting spread of weights.
const SPREAD: Init = Init::Normal(0.02);

/// Attention over windows of `side * side` tokens.
#[derive(Debug)]
pub(super) struct WindowAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// `[(2 side - 1)^2, heads]`.
    bias_table: Tensor,
    /// Row of the table for each pair of tokens, flat.
    pairs: Tensor,
    /// `[windows, 1, tokens, tokens]`, for shifted windows.
    mask: Option<Tensor>,
    heads: i64,
}

/// Geometry of a [`WindowAttention`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// Rows and columns of the image in tokens.
    pub resolution: [i64; 2],
    /// The same, up to whole windows.
    pub padded: [i64; 2],
    /// Side of a window.
    pub side: i64,
    /// Rows and columns by which the image is rolled.
    pub shift: i64,
}

impl WindowAttention {
    pub(super) fn new(
        scope: &Scope,
        width: i64,
        heads: i64,
        qkv_bias: bool,
        geometry: Geometry,
    ) -> Result<Self> {
        let own = scope.sub("self");
        let linear = |name: &str| Linear::with_init(&own.sub(name), width, width, qkv_bias, SPREAD);
        let side = geometry.side;
        let bias_table =
            own.param("relative_position_bias_table", &[(2 * side - 1).pow(2), heads], SPREAD)?;
        let mask = || Ok::<_, Error>(shift_mask(geometry, scope.device())?.f_to_kind(bias_table.kind())?);
        let mask = (geometry.shift > 0).then(mask).transpose()?;
        Ok(Self {
            query: linear("query")?,
            key: linear("key")?,
            value: linear("value")?,
            output: Linear::with_init(&scope.sub("output").sub("dense"), width, width, true, SPREAD)?,
            bias_table,
            pairs: Tensor::f_from_slice(&relative_pairs(side))?.f_to_device(scope.device())?,
            mask,
            heads,
        })
    }

    /// `[batch * windows, tokens, width]` to the same; windows of an item stand together.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (count, tokens, width) = x.size3()?;
        let per_head = width / self.heads;
        let split = |linear: &Linear| -> Result<Tensor> {
            Ok(linear.forward(x)?.f_reshape([count, tokens, self.heads, per_head])?.f_transpose(1, 2)?)
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scores = query.f_matmul(&key.f_transpose(-1, -2)?)?.f_div_scalar((per_head as f64).sqrt())?;
        let weights = self.biased(&scores, tokens)?.f_softmax(-1, None)?;
        // Under mixed precision the bias makes f32 of the scores.
        let joined = weights
            .f_to_kind(value.kind())?
            .f_matmul(&value)?
            .f_transpose(1, 2)?
            .f_reshape([count, tokens, width])?;
        self.output.forward(&joined)
    }

    /// Scores `[batch * windows, heads, tokens, tokens]` plus bias and mask.
    fn biased(&self, scores: &Tensor, tokens: i64) -> Result<Tensor> {
        let bias = self.bias_table.f_index_select(0, &self.pairs)?.f_reshape([tokens, tokens, self.heads])?;
        let bias = bias.f_permute([2, 0, 1])?.f_unsqueeze(0)?;
        let Some(mask) = &self.mask else {
            return Ok(scores.f_add(&bias)?);
        };
        let windows = mask.size()[0];
        let added = bias.f_add(mask)?;
        let grouped = scores.f_reshape([-1, windows, self.heads, tokens, tokens])?.f_add(&added)?;
        Ok(grouped.f_reshape([-1, self.heads, tokens, tokens])?)
    }
}

/// For each pair of tokens (query by key) of a window, the row of the bias table: rows apart times `2 side - 1`, plus columns apart.
fn relative_pairs(side: i64) -> Vec<i64> {
    let tokens = side * side;
    let pair = |query: i64, key: i64| {
        let rows = query / side - key / side + side - 1;
        let columns = query % side - key % side + side - 1;
        rows * (2 * side - 1) + columns
    };
    (0..tokens).flat_map(|query| (0..tokens).map(move |key| pair(query, key))).collect()
}

/// `[windows, 1, tokens, tokens]`: 0 where both tokens were neighbours before the image was rolled.
fn shift_mask(geometry: Geometry, device: Device) -> Result<Tensor> {
    let Geometry { padded: [rows, columns], side, shift, .. } = geometry;
    // After rolling, the last window of an axis holds the image's end and, from `size - shift` on, its start.
    let region = |at: i64, size: i64| i64::from(at >= size - side) + i64::from(at >= size - shift);
    let tokens = side * side;
    let mut values = Vec::with_capacity((rows * columns * tokens) as usize);
    for window in 0..(rows / side) * (columns / side) {
        let (top, left) = (window / (columns / side) * side, window % (columns / side) * side);
        let of = |token: i64| 3 * region(top + token / side, rows) + region(left + token % side, columns);
        for query in 0..tokens {
            values.extend((0..tokens).map(|key| if of(query) == of(key) { 0.0 } else { APART }));
        }
    }
    Ok(Tensor::f_from_slice(&values)?.f_reshape([-1, 1, tokens, tokens])?.f_to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_a_two_by_two_window() {
        // Token 0 to itself is the middle of a three by three table.
        assert_eq!(relative_pairs(2), [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4]);
    }

    #[test]
    fn only_the_edge_windows_are_masked() {
        let mask =
            shift_mask(Geometry { resolution: [4, 4], padded: [4, 4], side: 2, shift: 1 }, Device::Cpu)
                .unwrap();
        assert_eq!(mask.size(), [4, 1, 4, 4]);
        let masked =
            |window: i64| mask.get(window).lt(0.0).sum(musicot_core::tch::Kind::Int64).int64_value(&[]);
        // No edge; a vertical seam (two pairs of pairs); a horizontal one; both: every token is alone.
        assert_eq!([masked(0), masked(1), masked(2), masked(3)], [0, 8, 8, 12]);
    }
}

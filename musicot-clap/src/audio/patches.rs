//! Making tokens of an image, and fewer of them.

use musicot_core::nn::{LayerNorm, Linear};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

use super::OUTER_EPS;
use crate::config::AudioConfig;

/// One token per patch.
#[derive(Debug)]
pub(super) struct PatchEmbed {
    weight: Tensor,
    bias: Tensor,
    norm: LayerNorm,
    stride: [i64; 2],
    padding: [i64; 2],
}

impl PatchEmbed {
    pub(super) fn new(scope: &Scope, config: &AudioConfig) -> Result<Self> {
        let (width, side) = (config.patch_embeds_hidden_size, config.patch_size);
        let projection = scope.sub("proj");
        Ok(Self {
            weight: projection.param("weight", &[width, 1, side, side], Init::fan_in(side * side))?,
            bias: projection.param("bias", &[width], Init::Const(0.0))?,
            norm: LayerNorm::new(&scope.sub("norm"), width, OUTER_EPS)?,
            stride: config.patch_stride,
            padding: config.patch_stride.map(|stride| (side - stride) / 2),
        })
    }

    /// `[batch, 1, rows, columns] -> [batch, tokens, width]`, row by row.
    pub(super) fn forward(&self, image: &Tensor) -> Result<Tensor> {
        let patches = image.f_conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, [1, 1], 1)?;
        self.norm.forward(&patches.f_flatten(2, -1)?.f_transpose(1, 2)?)
    }
}

/// Joins each square of four tokens into one, twice as wide.
#[derive(Debug)]
pub(super) struct PatchMerge {
    norm: LayerNorm,
    reduction: Linear,
    resolution: [i64; 2],
}

impl PatchMerge {
    pub(super) fn new(scope: &Scope, width: i64, resolution: [i64; 2]) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::new(&scope.sub("norm"), 4 * width, OUTER_EPS)?,
            reduction: Linear::with_init(
                &scope.sub("reduction"),
                4 * width,
                2 * width,
                false,
                Init::fan_in(4 * width),
            )?,
            resolution,
        })
    }

    /// `[batch, rows * columns, width] -> [batch, rows * columns / 4, 2 * width]`. The four are joined in the order upper left, lower left,
    /// upper right, lower right.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, width) = x.size3()?;
        let [rows, columns] = self.resolution.map(|side| side / 2);
        let squares = x.f_reshape([batch, rows, 2, columns, 2, width])?.f_permute([0, 1, 3, 4, 2, 5])?;
        let joined = squares.f_reshape([batch, rows * columns, 4 * width])?;
        self.reduction.forward(&self.norm.forward(&joined)?)
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::ParamStore;
    use musicot_core::tch::{Device, Kind};

    use super::*;

    #[test]
    fn merging_joins_squares_in_the_published_order() {
        // Four by two tokens of width 1 whose value is `10 * row + column`; the squares are seen before the norm.
        let x = Tensor::from_slice(&[0_f32, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0]).reshape([1, 8, 1]);
        let squares = x.reshape([1, 2, 2, 1, 2, 1]).permute([0, 1, 3, 4, 2, 5]).reshape([1, 2, 4]);
        assert_eq!(
            Vec::<f32>::try_from(squares.flatten(0, -1)).unwrap(),
            [0.0, 10.0, 1.0, 11.0, 20.0, 30.0, 21.0, 31.0]
        );
        let store = ParamStore::new(Device::Cpu, 0);
        let merge = PatchMerge::new(&store.root(), 1, [4, 2]).unwrap();
        assert_eq!(merge.forward(&x.to_kind(Kind::Float)).unwrap().size(), [1, 2, 2]);
    }
}

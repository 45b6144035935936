//! Making tokens of an image, and fewer of them.

use musicot_core::nn::{LayerNorm, Linear};
use musicot_core::tch::Tensor;
use musicot_core::{Init, Result, Scope};

use super::OUTER_EPS;
use super::conv::Conv2d;
use super::fusion::Fusion;
use crate::config::{AudioConfig, FUSED_CHANNELS};

/// One token per patch.
#[derive(Debug)]
pub(super) struct PatchEmbed {
    projection: Conv2d,
    norm: Option<LayerNorm>,
    fusion: Option<Fusion>,
    pictures: i64,
}

impl PatchEmbed {
    pub(super) fn new(scope: &Scope, config: &AudioConfig) -> Result<Self> {
        let (width, side) = (config.patch_embeds_hidden_size, config.patch_size);
        let pictures = config.patch_embed_input_channels;
        let norm = || LayerNorm::new(&scope.sub("norm"), width, OUTER_EPS);
        Ok(Self {
            projection: Conv2d::new(
                &scope.sub("proj"),
                [pictures, width],
                [side, side],
                config.patch_stride,
                config.patch_padding(),
            )?,
            norm: config.enable_patch_layer_norm.then(norm).transpose()?,
            fusion: config.enable_fusion.then(|| Fusion::new(scope, config)).transpose()?,
            pictures,
        })
    }

    /// `[batch, pictures, rows, columns] -> [batch, tokens, width]`, row by row. With fusion, the pictures after the first count only where
    /// the clips are `longer`.
    pub(super) fn forward(&self, images: &Tensor, longer: bool) -> Result<Tensor> {
        let given = images.size4()?.1;
        let patches = match &self.fusion {
            None if given < self.pictures => {
                self.projection.forward(&images.f_repeat([1, self.pictures, 1, 1])?)?
            }
            None => self.projection.forward(images)?,
            Some(fusion) => {
                let whole = self.projection.forward(&images.f_narrow(1, 0, 1)?)?;
                if longer { fusion.forward(&whole, &images.f_narrow(1, 1, given - 1)?)? } else { whole }
            }
        };
        let tokens = patches.f_flatten(2, -1)?.f_transpose(1, 2)?;
        match &self.norm {
            None => Ok(tokens),
            Some(norm) => norm.forward(&tokens),
        }
    }

    /// The numbers of pictures it takes: one stands for several that are the same.
    pub(super) fn expect_pictures(&self, given: i64, longer: bool) -> std::result::Result<(), String> {
        let fused = self.fusion.is_some();
        match (longer, fused) {
            (true, true) if given == FUSED_CHANNELS => Ok(()),
            (true, true) => Err(FUSED_CHANNELS.to_string()),
            (_, true) if given >= 1 => Ok(()),
            (_, true) => Err("1..".to_owned()),
            (_, false) if given == 1 || given == self.pictures => Ok(()),
            (_, false) => Err(self.pictures.to_string()),
        }
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

//! The audio tower: HTSAT (Chen et al., 2022), a Swin transformer (Liu et al., 2021) over a folded spectrogram.

mod batch_norm;
mod block;
mod conv;
mod fusion;
mod image;
mod patches;
mod window_attention;

use musicot_core::nn::LayerNorm;
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Error, Result, Scope, shape};

use crate::config::AudioConfig;
use block::Block;
use image::MelImage;
use patches::{PatchEmbed, PatchMerge};

/// Epsilon of the norms outside the blocks, whatever the configuration says.
const OUTER_EPS: f64 = 1e-5;

/// Log-mel frames to one vector.
#[derive(Debug)]
pub struct AudioTower {
    image: MelImage,
    embed: PatchEmbed,
    stages: Vec<Stage>,
    norm: LayerNorm,
    bands: i64,
}

#[derive(Debug)]
struct Stage {
    blocks: Vec<Block>,
    merge: Option<PatchMerge>,
}

impl AudioTower {
    /// Parameters named as in the published checkpoints, below `audio_encoder`.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn new(scope: &Scope, config: &AudioConfig) -> Result<Self> {
        let scope = scope.sub("audio_encoder");
        let stages =
            (0..config.depths.len()).map(|stage| Stage::new(&scope.sub("layers").sub(stage), config, stage));
        Ok(Self {
            image: MelImage::new(&scope.sub("batch_norm"), config)?,
            embed: PatchEmbed::new(&scope.sub("patch_embed"), config)?,
            stages: stages.collect::<Result<_>>()?,
            norm: LayerNorm::new(&scope.sub("norm"), config.hidden_size, OUTER_EPS)?,
            bands: config.num_mel_bins,
        })
    }

    /// Log-mel frames `[batch, frames, bands]` or `[batch, pictures, frames, bands]` (decibels, f32) to vectors `[batch, hidden_size]`: the mean
    /// over all tokens. Fewer frames than the image holds are stretched to it.
    ///
    /// # Errors
    /// [`musicot_core::Error::Shape`] for another number of pictures or bands, too many frames or none.
    pub fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let pictures = if mel.dim() == 3 { mel.f_unsqueeze(1)? } else { mel.shallow_clone() };
        self.pictures(&pictures, false)
    }

    /// The same for clips longer than a window, in a model with fusion: `[batch, 4, frames, bands]`, the whole and three windows.
    ///
    /// # Errors
    /// See [`AudioTower::forward`]; a model without fusion takes one picture.
    pub fn forward_longer(&self, mel: &Tensor) -> Result<Tensor> {
        self.pictures(mel, true)
    }

    fn pictures(&self, mel: &Tensor, longer: bool) -> Result<Tensor> {
        shape::expect("log-mel", mel, &[shape::ANY, shape::ANY, shape::ANY, self.bands])?;
        shape::expect_kind("log-mel", mel, Kind::Float)?;
        let (batch, count, frames, bands) = mel.size4()?;
        self.embed.expect_pictures(count, longer).map_err(|wanted| Error::Shape {
            what: "log-mel".into(),
            expected: format!("[batch, {wanted}, frames, {bands}]"),
            actual: mel.size(),
        })?;
        let images = self.image.forward(&mel.f_reshape([batch * count, frames, bands])?)?;
        let side = images.size4()?.3;
        let mut x = self.embed.forward(&images.f_reshape([batch, count, side, side])?, longer)?;
        for stage in &self.stages {
            x = stage.forward(x)?;
        }
        Ok(self.norm.forward(&x)?.f_mean_dim([1].as_slice(), false, None)?)
    }

    /// Sets the mean and variance `[bands]` by which the bands are normalised.
    #[cfg(feature = "train")]
    pub(crate) fn set_statistics(&mut self, mean: &Tensor, variance: &Tensor) -> Result<()> {
        self.image.set_statistics(mean, variance)
    }
}

impl Stage {
    fn new(scope: &Scope, config: &AudioConfig, stage: usize) -> Result<Self> {
        let is_last = stage + 1 == config.depths.len();
        let blocks = (0..config.depths[stage])
            .map(|index| Block::new(&scope.sub("blocks").sub(index), config, stage, index % 2 == 1))
            .collect::<Result<_>>()?;
        let merge =
            || PatchMerge::new(&scope.sub("downsample"), config.width(stage), config.resolution(stage));
        Ok(Self { blocks, merge: if is_last { None } else { Some(merge()?) } })
    }

    /// `[batch, tokens, width]`, of which a later merge makes a quarter of the tokens, twice as wide.
    fn forward(&self, mut x: Tensor) -> Result<Tensor> {
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        match &self.merge {
            Some(merge) => merge.forward(&x),
            None => Ok(x),
        }
    }
}

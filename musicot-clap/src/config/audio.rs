//! Sizes of the audio tower.

use musicot_core::Result;
use serde::{Deserialize, Serialize};

use super::check;
use crate::activation::Activation;

/// Pictures of a clip prepared for fusion.
pub(crate) const FUSED_CHANNELS: i64 = 4;

/// The audio tower: HTSAT (Chen et al., 2022), a Swin transformer over a folded spectrogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioConfig {
    /// Side of the square image into which the spectrogram is folded.
    pub spec_size: i64,
    /// Mel bands: `spec_size / num_mel_bins`, rounded down, is the number of time parts stacked on one another, and divides `spec_size`;
    /// fewer bands than a part has rows are stretched to them.
    pub num_mel_bins: i64,
    /// Side of an attention window in tokens; smaller images are one window.
    pub window_size: i64,
    /// Side of the patch a token is made of.
    pub patch_size: i64,
    /// Steps between patches, `[rows, columns]`.
    pub patch_stride: [i64; 2],
    /// Width of the first stage; doubles with each.
    pub patch_embeds_hidden_size: i64,
    /// Blocks per stage.
    pub depths: Vec<i64>,
    /// Attention heads per stage.
    pub num_attention_heads: Vec<i64>,
    /// Width of a block's inner layer over the block's width.
    pub mlp_ratio: f64,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Epsilon of the blocks' layer norms (that of the outer norms is fixed at 1e-5, as published).
    pub layer_norm_eps: f64,
    /// Width of the last stage: `patch_embeds_hidden_size * 2^(stages - 1)`.
    pub hidden_size: i64,
    /// Activation within the blocks.
    pub hidden_act: Activation,
    /// Pictures that are one token's input without fusion: 1, or 4 for a clip prepared by [`super::Truncation::Fusion`].
    pub patch_embed_input_channels: i64,
    /// Whether patches are normalised.
    pub enable_patch_layer_norm: bool,
    /// Whether a long clip's thirds are fused with its whole (attentional feature fusion, Dai et al., 2021).
    pub enable_fusion: bool,
    /// Width of the patches over the inner width of the fusion.
    pub aff_block_r: i64,
}

impl Default for AudioConfig {
    /// HTSAT-tiny.
    fn default() -> Self {
        Self {
            spec_size: 256,
            num_mel_bins: 64,
            window_size: 8,
            patch_size: 4,
            patch_stride: [4, 4],
            patch_embeds_hidden_size: 96,
            depths: vec![2, 2, 6, 2],
            num_attention_heads: vec![4, 8, 16, 32],
            mlp_ratio: 4.0,
            qkv_bias: true,
            layer_norm_eps: 1e-5,
            hidden_size: 768,
            hidden_act: Activation::Gelu,
            patch_embed_input_channels: 1,
            enable_patch_layer_norm: true,
            enable_fusion: false,
            aff_block_r: 4,
        }
    }
}

impl AudioConfig {
    /// Time parts stacked on one another in the image.
    pub fn folds(&self) -> i64 {
        self.spec_size / self.num_mel_bins.max(1)
    }

    /// Frames that fill the image; a shorter window is stretched to it.
    pub fn image_frames(&self) -> i64 {
        self.spec_size * self.folds()
    }

    /// Zeros around the image, so that there are as many patches as strides.
    pub(crate) fn patch_padding(&self) -> [i64; 2] {
        self.patch_stride.map(|stride| (self.patch_size - stride) / 2)
    }

    /// Rows and columns of tokens in a stage.
    pub(crate) fn resolution(&self, stage: usize) -> [i64; 2] {
        self.patch_stride.map(|stride| (self.spec_size / stride.max(1)) >> stage)
    }

    /// Width of a stage.
    pub(crate) fn width(&self, stage: usize) -> i64 {
        self.patch_embeds_hidden_size << stage
    }

    pub(super) fn validate(&self) -> Result<()> {
        let name = |field: &str| format!("audio_config.{field}");
        for (field, value) in [
            ("spec_size", self.spec_size),
            ("num_mel_bins", self.num_mel_bins),
            ("window_size", self.window_size),
            ("patch_size", self.patch_size),
            ("patch_stride", self.patch_stride[0]),
            ("patch_stride", self.patch_stride[1]),
            ("patch_embeds_hidden_size", self.patch_embeds_hidden_size),
        ] {
            check(&name(field), (1..=65_536).contains(&value), "expected 1..=65536", value)?;
        }
        let divides = self.folds() > 0 && self.spec_size % self.folds() == 0;
        let wanted =
            format!("expected spec_size {} over it, rounded down, to divide spec_size", self.spec_size);
        check(&name("num_mel_bins"), divides, &wanted, self.num_mel_bins)?;
        for stride in self.patch_stride {
            let fits = self.spec_size % stride == 0
                && stride <= self.patch_size
                && (self.patch_size - stride) % 2 == 0;
            check(
                &name("patch_stride"),
                fits,
                "expected a divisor of spec_size, at most patch_size and as odd or even",
                stride,
            )?;
        }
        check(
            &name("mlp_ratio"),
            self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0,
            "expected 0 < ratio <= 64",
            self.mlp_ratio,
        )?;
        check(
            &name("layer_norm_eps"),
            self.layer_norm_eps > 0.0,
            "expected a positive number",
            self.layer_norm_eps,
        )?;
        let stages = self.depths.len();
        check(&name("depths"), (1..=8).contains(&stages), "expected 1 to 8 stages", stages)?;
        let heads = self.num_attention_heads.len();
        check(
            &name("num_attention_heads"),
            heads == stages,
            &format!("expected one number for each of {stages} stages"),
            heads,
        )?;
        let last = self.width(stages - 1);
        check(
            &name("hidden_size"),
            self.hidden_size == last,
            &format!("expected {last}, the width of the last stage"),
            self.hidden_size,
        )?;
        self.validate_fusion()?;
        (0..stages).try_for_each(|stage| self.validate_stage(stage))
    }

    fn validate_fusion(&self) -> Result<()> {
        let channels = self.patch_embed_input_channels;
        let pictures = channels == 1 || (channels == FUSED_CHANNELS && !self.enable_fusion);
        let wanted = "expected 1 or, without fusion, 4";
        check("audio_config.patch_embed_input_channels", pictures, wanted, channels)?;
        let width = self.patch_embeds_hidden_size;
        let inner = !self.enable_fusion || (1..=width).contains(&self.aff_block_r);
        check("audio_config.aff_block_r", inner, &format!("expected 1..={width}"), self.aff_block_r)?;
        let wide = !self.enable_fusion || 3 * self.patch_size <= self.spec_size;
        check("audio_config.patch_size", wide, "expected at most a third of spec_size", self.patch_size)
    }

    fn validate_stage(&self, stage: usize) -> Result<()> {
        let (depth, heads, width) = (self.depths[stage], self.num_attention_heads[stage], self.width(stage));
        check("audio_config.depths", (1..=256).contains(&depth), "expected 1..=256 blocks a stage", depth)?;
        let divides = heads > 0 && width % heads == 0;
        check(
            "audio_config.num_attention_heads",
            divides,
            &format!("expected a divisor of the stage's width {width}"),
            heads,
        )?;
        let is_last = stage + 1 == self.depths.len();
        for side in self.resolution(stage) {
            let fits = side > 0 && (is_last || side % 2 == 0);
            let wanted = format!(
                "stage {stage} has {side} tokens a side: expected some, and an even number before another stage"
            );
            check("audio_config.spec_size", fits, &wanted, self.spec_size)?;
        }
        Ok(())
    }
}

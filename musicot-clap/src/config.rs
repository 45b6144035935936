//! Sizes of the towers, of the front end and of the joint space.
//!
//! Field names and defaults are those of the published `config.json` (`audio_config`, `text_config`, `projection_dim`); what the
//! published layout keeps in other files (front end, tokenizer length) stands under `features` and in `text_config`.

use musicot_core::dsp::{MelNorm, MelScale};
use musicot_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// A whole CLAP model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClapConfig {
    /// Width of the joint space.
    pub projection_dim: i64,
    /// Start of both temperatures: logits are `logit_scale_init_value * cosine`.
    pub logit_scale_init_value: f64,
    /// From samples to log-mel frames.
    pub features: FeatureConfig,
    /// The audio tower.
    pub audio_config: AudioConfig,
    /// The text tower.
    pub text_config: TextConfig,
}

impl Default for ClapConfig {
    /// The published `clap-htsat-unfused` sizes.
    fn default() -> Self {
        Self {
            projection_dim: 512,
            logit_scale_init_value: 1.0 / 0.07,
            features: FeatureConfig::default(),
            audio_config: AudioConfig::default(),
            text_config: TextConfig::default(),
        }
    }
}

impl ClapConfig {
    /// The published larger music models: HTSAT-base without fusion, RoBERTa-base.
    pub fn htsat_base() -> Self {
        let audio_config = AudioConfig {
            patch_embeds_hidden_size: 128,
            depths: vec![2, 2, 12, 2],
            hidden_size: 1024,
            ..AudioConfig::default()
        };
        Self { audio_config, ..Self::default() }
    }

    /// The sizes of the embedded small model (our choice): 251 frames of 40 ms per 10 s window, a 3 M parameter audio tower, and a
    /// text tower as wide as a small published sentence encoder.
    pub fn mini() -> Self {
        Self {
            projection_dim: 128,
            features: FeatureConfig { n_fft: 2048, hop_samples: 1920, ..FeatureConfig::default() },
            audio_config: AudioConfig {
                spec_size: 128,
                patch_embeds_hidden_size: 48,
                depths: vec![2, 2, 2, 1],
                num_attention_heads: vec![2, 4, 8, 8],
                hidden_size: 384,
                ..AudioConfig::default()
            },
            text_config: TextConfig {
                hidden_size: 384,
                num_hidden_layers: 6,
                num_attention_heads: 12,
                intermediate_size: 1536,
                max_position_embeddings: 128,
                type_vocab_size: 2,
                pad_token_id: 0,
                position_offset: 0,
                pooling: Pooling::Mean,
                max_tokens: 128,
                ..TextConfig::default()
            },
            ..Self::default()
        }
    }

    /// Checks every range and that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        check("projection_dim", self.projection_dim > 0, "expected a positive width", self.projection_dim)?;
        let scale = self.logit_scale_init_value;
        check("logit_scale_init_value", (1.0..=100.0).contains(&scale), "expected 1..=100", scale)?;
        self.features.validate()?;
        self.audio_config.validate()?;
        self.text_config.validate()?;
        let (frames, room) = (self.features.window_frames(), self.audio_config.image_frames());
        check(
            "features.hop_samples",
            frames <= room,
            &format!("a window must be at most {room} frames"),
            frames,
        )
    }
}

/// From samples to log-mel frames: centred frames with reflected edges, periodic Hann window, power spectrum, mel bands,
/// `10 log10(max(x, 1e-10))`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureConfig {
    /// Samples per second, mono.
    pub sample_rate_hz: u32,
    /// Samples per spectrum and in its window.
    pub n_fft: i64,
    /// Samples between frames.
    pub hop_samples: i64,
    /// Lower edge of the lowest band.
    pub min_hz: f64,
    /// Upper edge of the highest band.
    pub max_hz: f64,
    /// Mel formula: `slaney` in the models without fusion, `htk` in those with it.
    pub mel_scale: MelScale,
    /// Height of the bands: `slaney` in the models without fusion, `none` in those with it.
    pub mel_norm: MelNorm,
    /// Length of the audio that is embedded at once.
    pub window_samples: i64,
}

impl Default for FeatureConfig {
    fn default() -> Self {
        Self {
            sample_rate_hz: 48_000,
            n_fft: 1024,
            hop_samples: 480,
            min_hz: 50.0,
            max_hz: 14_000.0,
            mel_scale: MelScale::Slaney,
            mel_norm: MelNorm::Slaney,
            window_samples: 480_000,
        }
    }
}

impl FeatureConfig {
    /// Frames of one window.
    pub fn window_frames(&self) -> i64 {
        self.window_samples / self.hop_samples.max(1) + 1
    }

    fn validate(&self) -> Result<()> {
        check(
            "features.sample_rate_hz",
            self.sample_rate_hz > 0,
            "expected a positive rate",
            self.sample_rate_hz,
        )?;
        check("features.n_fft", self.n_fft >= 16, "expected at least 16", self.n_fft)?;
        check("features.hop_samples", self.hop_samples > 0, "expected a positive number", self.hop_samples)?;
        let nyquist = f64::from(self.sample_rate_hz) / 2.0;
        let edges = self.min_hz >= 0.0 && self.min_hz < self.max_hz && self.max_hz <= nyquist;
        check("features.max_hz", edges, &format!("expected min_hz < max_hz <= {nyquist}"), self.max_hz)?;
        // Reflection needs more samples than it mirrors.
        let long_enough = self.window_samples > self.n_fft / 2;
        check("features.window_samples", long_enough, "expected more than n_fft / 2", self.window_samples)
    }
}

/// The audio tower: HTSAT (Chen et al., 2022), a Swin transformer over a folded spectrogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioConfig {
    /// Side of the square image into which the spectrogram is folded.
    pub spec_size: i64,
    /// Mel bands; divides `spec_size`, and the quotient is the number of time parts stacked on one another.
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

    /// Rows and columns of tokens in a stage.
    pub(crate) fn resolution(&self, stage: usize) -> [i64; 2] {
        self.patch_stride.map(|stride| (self.spec_size / stride.max(1)) >> stage)
    }

    /// Width of a stage.
    pub(crate) fn width(&self, stage: usize) -> i64 {
        self.patch_embeds_hidden_size << stage
    }

    fn validate(&self) -> Result<()> {
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
        let divides = self.spec_size % self.num_mel_bins == 0;
        check(
            &name("num_mel_bins"),
            divides,
            &format!("expected a divisor of spec_size {}", self.spec_size),
            self.num_mel_bins,
        )?;
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
        (0..stages).try_for_each(|stage| self.validate_stage(stage))
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
        let resolution = self.resolution(stage);
        let smallest = resolution[0].min(resolution[1]);
        let window = self.window_size.min(smallest);
        for side in resolution {
            let fits = side > 0 && side % window == 0 && (is_last || side % 2 == 0);
            let wanted = format!(
                "stage {stage} has {side} tokens a side: expected a multiple of the window {window}, even before another stage; window_size"
            );
            check("audio_config.spec_size", fits, &wanted, self.window_size)?;
        }
        Ok(())
    }
}

/// How the text tower's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// `tanh(dense(first token))`, as BERT's and RoBERTa's pooler.
    ClsDenseTanh,
    /// The mean over the text's tokens, as in sentence encoders.
    Mean,
}

/// The text tower: a BERT or RoBERTa encoder (post-norm).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// Rows of the word table.
    pub vocab_size: i64,
    /// Width.
    pub hidden_size: i64,
    /// Layers.
    pub num_hidden_layers: i64,
    /// Attention heads.
    pub num_attention_heads: i64,
    /// Width of a layer's inner part.
    pub intermediate_size: i64,
    /// Rows of the position table.
    pub max_position_embeddings: i64,
    /// Rows of the token-type table (row 0 is used).
    pub type_vocab_size: i64,
    /// Epsilon of the layer norms: 1e-12 in the published CLAP files and BERT, 1e-5 in RoBERTa.
    pub layer_norm_eps: f64,
    /// Id that fills up shorter texts of a batch.
    pub pad_token_id: i64,
    /// Row of the position table for the first token: 0 in BERT, `pad_token_id + 1` in RoBERTa.
    pub position_offset: i64,
    /// How tokens become one vector.
    pub pooling: Pooling,
    /// Tokens of a text that are read, special ones included; the rest is cut and reported.
    pub max_tokens: i64,
}

impl Default for TextConfig {
    /// RoBERTa-base as in the published CLAP models, which were trained on 77 tokens.
    fn default() -> Self {
        Self {
            vocab_size: 50_265,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 514,
            type_vocab_size: 1,
            layer_norm_eps: 1e-12,
            pad_token_id: 1,
            position_offset: 2,
            pooling: Pooling::ClsDenseTanh,
            max_tokens: 77,
        }
    }
}

impl TextConfig {
    fn validate(&self) -> Result<()> {
        let name = |field: &str| format!("text_config.{field}");
        for (field, value, most) in [
            ("vocab_size", self.vocab_size, 10_000_000),
            ("hidden_size", self.hidden_size, 65_536),
            ("num_hidden_layers", self.num_hidden_layers, 1024),
            ("num_attention_heads", self.num_attention_heads, 1024),
            ("intermediate_size", self.intermediate_size, 1_048_576),
            ("max_position_embeddings", self.max_position_embeddings, 1_048_576),
            ("type_vocab_size", self.type_vocab_size, 1024),
        ] {
            check(&name(field), (1..=most).contains(&value), &format!("expected 1..={most}"), value)?;
        }
        let divides = self.hidden_size % self.num_attention_heads == 0;
        check(
            &name("num_attention_heads"),
            divides,
            "expected a divisor of hidden_size",
            self.num_attention_heads,
        )?;
        check(
            &name("layer_norm_eps"),
            self.layer_norm_eps > 0.0,
            "expected a positive number",
            self.layer_norm_eps,
        )?;
        let known = (0..self.vocab_size).contains(&self.pad_token_id);
        check(&name("pad_token_id"), known, "expected an id of the vocabulary", self.pad_token_id)?;
        let (offset, rows) = (self.position_offset, self.max_position_embeddings);
        check(&name("position_offset"), (0..rows).contains(&offset), &format!("expected 0..{rows}"), offset)?;
        // Below this a truncated text would be special tokens only.
        let room = (4..=rows - offset).contains(&self.max_tokens);
        check(
            &name("max_tokens"),
            room,
            &format!("expected 4..={} (the positions)", rows - offset),
            self.max_tokens,
        )
    }
}

fn check(field: &str, ok: bool, expected: &str, got: impl std::fmt::Display) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::config(field, format!("{expected}, got {got}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_json() {
        for config in [ClapConfig::default(), ClapConfig::htsat_base(), ClapConfig::mini()] {
            config.validate().unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<ClapConfig>(&text).unwrap(), config);
        }
        assert_eq!(ClapConfig::default().features.window_frames(), 1001);
        assert_eq!(ClapConfig::default().audio_config.image_frames(), 1024);
        assert_eq!(ClapConfig::mini().features.window_frames(), 251);
        assert_eq!(ClapConfig::mini().audio_config.image_frames(), 256);
    }

    #[test]
    fn errors_name_the_field() {
        let broken = |change: fn(&mut ClapConfig)| {
            let mut config = ClapConfig::mini();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(broken(|c| c.audio_config.spec_size = 100).contains("num_mel_bins"));
        assert!(broken(|c| c.audio_config.hidden_size = 1).contains("hidden_size"));
        assert!(broken(|c| c.audio_config.num_attention_heads[0] = 5).contains("num_attention_heads"));
        assert!(broken(|c| c.audio_config.depths.clear()).contains("depths"));
        assert!(broken(|c| c.features.hop_samples = 480).contains("hop_samples"));
        assert!(broken(|c| c.features.max_hz = 30_000.0).contains("max_hz"));
        assert!(broken(|c| c.text_config.max_tokens = 129).contains("max_tokens"));
        assert!(broken(|c| c.projection_dim = 0).contains("projection_dim"));
        assert!(serde_json::from_str::<ClapConfig>(r#"{"projektion": 1}"#).is_err());
    }
}

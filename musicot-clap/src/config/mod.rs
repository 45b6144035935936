//! Sizes of the towers, of the front end and of the joint space.
//!
//! Field names and defaults are those of the published `config.json` (`audio_config`, `text_config`, `projection_dim`); what the
//! published layout keeps in other files (front end, tokenizer length) stands under `features` and in `text_config`.

mod audio;
mod features;
mod text;

use musicot_core::{Error, Result};
use serde::{Deserialize, Serialize};

pub use audio::AudioConfig;
pub(crate) use audio::FUSED_CHANNELS;
pub use features::{FeatureConfig, Padding, Truncation};
pub use text::{Pooling, TextConfig};

use crate::activation::Activation;

/// A whole CLAP model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClapConfig {
    /// Width of the joint space.
    pub projection_dim: i64,
    /// Activation between the two layers of each projection.
    pub projection_hidden_act: Activation,
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
            projection_hidden_act: Activation::Relu,
            logit_scale_init_value: 1.0 / 0.07,
            features: FeatureConfig::default(),
            audio_config: AudioConfig::default(),
            text_config: TextConfig::default(),
        }
    }
}

impl ClapConfig {
    /// The published `clap-htsat-unfused`: HTSAT-tiny without fusion, RoBERTa-base.
    pub fn htsat_tiny() -> Self {
        Self::default()
    }

    /// The published larger music models: HTSAT-base without fusion, RoBERTa-base.
    pub fn htsat_base() -> Self {
        Self::wide(128)
    }

    /// The largest size of the original code: HTSAT-large without fusion, RoBERTa-base.
    pub fn htsat_large() -> Self {
        Self::wide(256)
    }

    /// The same with feature fusion, as in the published `clap-htsat-fused`: long clips are heard as a whole and in three windows, and the
    /// mel bands are those of the `htk` formula.
    pub fn fused(mut self) -> Self {
        self.audio_config.enable_fusion = true;
        Self { features: self.features.truncated(Truncation::Fusion), ..self }
    }

    fn wide(width: i64) -> Self {
        let audio_config = AudioConfig {
            patch_embeds_hidden_size: width,
            depths: vec![2, 2, 12, 2],
            hidden_size: 8 * width,
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
        check(
            "logit_scale_init_value",
            scale.is_finite() && scale > 0.0,
            "expected a positive number",
            scale,
        )?;
        self.features.validate()?;
        self.audio_config.validate()?;
        self.text_config.validate()?;
        let (frames, room) = (self.features.window_frames(), self.audio_config.image_frames());
        check(
            "features.hop_samples",
            frames <= room,
            &format!("a window must be at most {room} frames"),
            frames,
        )?;
        // The pictures of a clip must be those that the tower takes.
        let is_for_four = self.audio_config.enable_fusion || self.audio_config.patch_embed_input_channels > 1;
        let fits = is_for_four || self.features.truncation != Truncation::Fusion;
        let wanted = "expected audio_config.enable_fusion (or four input channels) with";
        check("features.truncation", fits, wanted, "fusion")?;
        let four = self.audio_config.patch_embed_input_channels == 1
            || self.features.truncation == Truncation::Fusion;
        let wanted = "expected 1 without features.truncation `fusion`";
        check(
            "audio_config.patch_embed_input_channels",
            four,
            wanted,
            self.audio_config.patch_embed_input_channels,
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
        for config in [
            ClapConfig::htsat_tiny(),
            ClapConfig::htsat_base(),
            ClapConfig::htsat_large(),
            ClapConfig::htsat_tiny().fused(),
            ClapConfig::mini(),
        ] {
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
        assert!(broken(|c| c.audio_config.spec_size = 200).contains("num_mel_bins"));
        assert!(broken(|c| c.audio_config.hidden_size = 1).contains("hidden_size"));
        assert!(broken(|c| c.audio_config.num_attention_heads[0] = 5).contains("num_attention_heads"));
        assert!(broken(|c| c.audio_config.depths.clear()).contains("depths"));
        assert!(broken(|c| c.features.hop_samples = 480).contains("hop_samples"));
        assert!(broken(|c| c.features.max_hz = 300_000.0).contains("max_hz"));
        assert!(broken(|c| c.text_config.max_tokens = 129).contains("max_tokens"));
        assert!(broken(|c| c.features.truncation = Truncation::Fusion).contains("truncation"));
        assert!(broken(|c| c.audio_config.patch_embed_input_channels = 4).contains("input_channels"));
        assert!(broken(|c| c.audio_config.patch_embed_input_channels = 3).contains("input_channels"));
        assert!(
            broken(|c| (c.audio_config.enable_fusion, c.audio_config.aff_block_r) = (true, 49))
                .contains("aff_block_r")
        );
        assert!(broken(|c| c.projection_dim = 0).contains("projection_dim"));
        assert!(serde_json::from_str::<ClapConfig>(r#"{"projektion": 1}"#).is_err());
    }
}

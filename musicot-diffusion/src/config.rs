//! Sizes of the diffusion transformer.

use musicot_core::{shape, tch::Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Objective, Result};

/// Sizes and rates of a [`crate::Dit`]. The defaults are those of the embedded model; the paper gives none but the total
/// (about one billion parameters, see [`DitConfig::full`]), so all are our choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DitConfig {
    /// Values per latent frame.
    pub latent_dim: i64,
    /// Latent frames per second.
    pub frame_rate_hz: f64,
    /// Latent frames that share one thought: 250 for windows of 10 s. Not whole where the codec's frames are not.
    pub frames_per_thought: f64,
    /// Frames of the longest window in training.
    pub max_frames: usize,
    /// Semantic tokens in all.
    pub semantic_vocab: i64,
    /// Width of a semantic token's embedding.
    pub semantic_dim: i64,
    /// Frames that the convolution over the semantic embeddings sees; odd.
    pub semantic_kernel: i64,
    /// Convolutional blocks that read tokens and thoughts together before the transformer does, and from which training asks an estimate of the latents;
    /// 0 leaves the reading to the transformer.
    pub reader_blocks: i64,
    /// Width of a thought (of the joint text and audio space).
    pub thought_dim: i64,
    /// Width of the text's embedding.
    pub text_dim: i64,
    /// Width of the residual stream.
    pub width: i64,
    /// Blocks.
    pub depth: i64,
    /// Attention heads; divides `width` into heads of even width.
    pub heads: i64,
    /// Hidden width of the feed-forward network over `width`.
    pub ffn_mult: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Sines and cosines that the time is written in; even.
    pub time_dim: i64,
    /// What the network predicts.
    pub objective: Objective,
}

impl Default for DitConfig {
    fn default() -> Self {
        Self {
            latent_dim: 128,
            frame_rate_hz: 25.0,
            frames_per_thought: 250.0,
            max_frames: 500,
            semantic_vocab: 2048,
            semantic_dim: 128,
            semantic_kernel: 5,
            reader_blocks: 0,
            thought_dim: 128,
            text_dim: 128,
            width: 320,
            depth: 8,
            heads: 5,
            ffn_mult: 1.0,
            rope_theta: 10_000.0,
            time_dim: 128,
            objective: Objective::Flow,
        }
    }
}

impl DitConfig {
    /// The paper's size, about one billion parameters, in the shape of Stable Audio's transformer (width 1536, 24 blocks,
    /// 24 heads) for latents of 64 values and a joint space of 512.
    pub fn full() -> Self {
        Self {
            latent_dim: 64,
            semantic_dim: 512,
            thought_dim: 512,
            text_dim: 512,
            width: 1536,
            depth: 24,
            heads: 24,
            ffn_mult: 4.0,
            time_dim: 256,
            ..Self::default()
        }
    }

    /// Width of a head.
    pub fn head_dim(&self) -> i64 {
        self.width / self.heads.max(1)
    }

    /// Hidden width of the feed-forward network.
    pub fn ffn_dim(&self) -> i64 {
        (self.width as f64 * self.ffn_mult).round() as i64
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("latent_dim", self.latent_dim),
            ("max_frames", self.max_frames as i64),
            ("semantic_vocab", self.semantic_vocab),
            ("semantic_dim", self.semantic_dim),
            ("thought_dim", self.thought_dim),
            ("text_dim", self.text_dim),
            ("width", self.width),
            ("depth", self.depth),
            ("heads", self.heads),
            ("ffn_mult", self.ffn_dim()),
        ] {
            // The upper bound keeps products of two sizes within 64 bits.
            require(field, (1..=1 << 24).contains(&value), format!("expected 1..=16777216, got {value}"))?;
        }
        for (field, value) in [("frame_rate_hz", self.frame_rate_hz), ("rope_theta", self.rope_theta)] {
            require(
                field,
                value.is_finite() && value > 0.0,
                format!("expected a positive number, got {value}"),
            )?;
        }
        let shared = self.frames_per_thought;
        require(
            "frames_per_thought",
            (1.0..=16_777_216.0).contains(&shared),
            format!("expected 1..=16777216, got {shared}"),
        )?;
        let reader = self.reader_blocks;
        require("reader_blocks", (0..=256).contains(&reader), format!("expected 0..=256, got {reader}"))?;
        let kernel = self.semantic_kernel;
        require(
            "semantic_kernel",
            kernel > 0 && kernel % 2 == 1,
            format!("expected an odd number, got {kernel}"),
        )?;
        let time = self.time_dim;
        require(
            "time_dim",
            time > 0 && time % 2 == 0,
            format!("expected a positive even number, got {time}"),
        )?;
        let even_heads = self.width % self.heads == 0 && self.head_dim() % 2 == 0;
        let reason = format!("expected heads of even width, got {} over {}", self.width, self.heads);
        require("heads", even_heads, reason)
    }
}

fn require(field: &str, ok: bool, reason: String) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::config(field, reason)) }
}

/// `[batch, latent_dim, frames]` with at least one item and frame.
pub(crate) fn expect_latents(what: &str, latents: &Tensor, dim: i64) -> Result<(i64, i64)> {
    shape::expect(what, latents, &[shape::ANY, dim, shape::ANY])?;
    let (batch, _, frames) = latents.size3()?;
    if batch > 0 && frames > 0 {
        return Ok((batch, frames));
    }
    let expected = format!("[batch > 0, {dim}, frames > 0]");
    Err(Error::Shape { what: what.to_owned(), expected, actual: latents.size() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_json() {
        for config in [DitConfig::default(), DitConfig::full()] {
            config.validate().unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<DitConfig>(&text).unwrap(), config);
        }
    }

    #[test]
    fn a_bad_field_is_named() {
        let bad = |change: fn(&mut DitConfig)| {
            let mut config = DitConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(bad(|c| c.heads = 7).contains("heads"));
        assert!(bad(|c| c.heads = 0).contains("heads"));
        assert!(bad(|c| c.width = -1).contains("width"));
        assert!(bad(|c| c.ffn_mult = f64::NAN).contains("ffn_mult"));
        assert!(bad(|c| c.semantic_kernel = 4).contains("semantic_kernel"));
        assert!(bad(|c| c.frame_rate_hz = 0.0).contains("frame_rate_hz"));
        assert!(bad(|c| c.frames_per_thought = f64::NAN).contains("frames_per_thought"));
        assert!(bad(|c| c.frames_per_thought = 0.5).contains("frames_per_thought"));
        assert!(
            serde_json::from_str::<DitConfig>(r#"{"widht": 1}"#).unwrap_err().to_string().contains("widht")
        );
    }
}

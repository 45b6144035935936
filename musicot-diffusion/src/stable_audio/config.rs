//! Sizes of a Stable Audio transformer.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Sizes of a [`super::StableAudioDit`], by the names of diffusers' `config.json`; the defaults are those of diffusers and of the
/// published Stable Audio Open 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StableAudioDitConfig {
    /// Latent frames of the longest audio trained on; what is longer is not refused. Default 1024.
    pub sample_size: i64,
    /// Channels of the noised latents. Default 64.
    pub in_channels: i64,
    /// Blocks. Default 24.
    pub num_layers: i64,
    /// Width of a head. Default 64.
    pub attention_head_dim: i64,
    /// Heads; with the width of a head, they make the width of the model. Default 24.
    pub num_attention_heads: i64,
    /// Key/value heads of the cross-attention (the self-attention has one for each query head). Default 12.
    pub num_key_value_attention_heads: i64,
    /// Channels of the prediction. Default 64.
    pub out_channels: i64,
    /// Width of the text states once projected. Default 768.
    pub cross_attention_dim: i64,
    /// Features of the time, an even number. Default 256.
    pub time_proj_dim: i64,
    /// Width of the global condition. Default 1536.
    pub global_states_input_dim: i64,
    /// Width of the text states. Default 768.
    pub cross_attention_input_dim: i64,
    /// Dims of each head that are rotated, an even number; half of them by default. Of files in the original layout.
    #[serde(skip)]
    pub rotary_dims: Option<i64>,
    /// Width of the feed-forward network; four times that of the model by default. Of files in the original layout.
    #[serde(skip)]
    pub ffn_dim: Option<i64>,
    /// Whether query and key heads are normalised. Default false. Of files in the original layout (`qk_norm: "ln"`).
    #[serde(skip)]
    pub head_norms: bool,
    /// Added to the variance in the norms of the blocks. Default 1e-5. Of files in the original layout.
    #[serde(skip, default = "usual_eps")]
    pub norm_eps: f64,
}

fn usual_eps() -> f64 {
    1e-5
}

impl Default for StableAudioDitConfig {
    fn default() -> Self {
        Self {
            sample_size: 1024,
            in_channels: 64,
            num_layers: 24,
            attention_head_dim: 64,
            num_attention_heads: 24,
            num_key_value_attention_heads: 12,
            out_channels: 64,
            cross_attention_dim: 768,
            time_proj_dim: 256,
            global_states_input_dim: 1536,
            cross_attention_input_dim: 768,
            rotary_dims: None,
            ffn_dim: None,
            head_norms: false,
            norm_eps: usual_eps(),
        }
    }
}

impl StableAudioDitConfig {
    /// Stable Audio Open 1.0: about 1.06 billion parameters.
    pub fn stable_audio_open() -> Self {
        Self::default()
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("sample_size", self.sample_size),
            ("in_channels", self.in_channels),
            ("num_layers", self.num_layers),
            ("attention_head_dim", self.attention_head_dim),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_attention_heads", self.num_key_value_attention_heads),
            ("out_channels", self.out_channels),
            ("cross_attention_dim", self.cross_attention_dim),
            ("time_proj_dim", self.time_proj_dim),
            ("global_states_input_dim", self.global_states_input_dim),
            ("cross_attention_input_dim", self.cross_attention_input_dim),
            ("ffn_dim", self.ffn_dim.unwrap_or(1)),
        ];
        // Far above any model, and far below what could overflow.
        if let Some((field, size)) = sizes.into_iter().find(|(_, size)| !(1..=1 << 24).contains(size)) {
            return Err(Error::config(
                field,
                format!("expected a positive number of at most 2^24, got {size}"),
            ));
        }
        let (heads, groups) = (self.num_attention_heads, self.num_key_value_attention_heads);
        if heads % groups != 0 {
            let reason = format!("expected a divisor of num_attention_heads = {heads}, got {groups}");
            return Err(Error::config("num_key_value_attention_heads", reason));
        }
        if self.time_proj_dim % 2 != 0 {
            let reason = format!("expected an even number, got {}", self.time_proj_dim);
            return Err(Error::config("time_proj_dim", reason));
        }
        let (rotated, width) = (self.rotated(), self.attention_head_dim);
        if rotated % 2 != 0 || !(2..=width).contains(&rotated) {
            let reason =
                format!("expected heads whose {rotated} rotated dims are an even part of them, got {width}");
            return Err(Error::config("attention_head_dim", reason));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            let reason = format!("expected a positive number, got {}", self.norm_eps);
            return Err(Error::config("norm_eps", reason));
        }
        Ok(())
    }

    /// Width of the model.
    pub fn width(&self) -> i64 {
        self.num_attention_heads * self.attention_head_dim
    }

    pub(super) fn rotated(&self) -> i64 {
        self.rotary_dims.unwrap_or(self.attention_head_dim / 2)
    }

    pub(super) fn hidden(&self) -> i64 {
        self.ffn_dim.unwrap_or(4 * self.width())
    }
}

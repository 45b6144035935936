//! The sizes of a model, found in its tensors' shapes.

use musicot_core::{Checkpoint, Result};

use super::shapes::Shapes;
use crate::config::{
    AudioConfig, ClapConfig, FUSED_CHANNELS, FeatureConfig, Pooling, TextConfig, Truncation,
};

/// Side of the image where no tensor shows it.
const USUAL_SIDE: i64 = 256;
/// Width of a head of RoBERTa at any published size.
const HEAD_WIDTH: i64 = 64;
/// Tokens to which the original code cuts and pads every text.
const TOKENS: i64 = 77;

/// What the shapes say; the rest (48 kHz, a frame every 480 samples, windows of 10 s, 50 Hz to 14 kHz, text heads of width 64) is what the
/// original code has fixed.
pub(super) fn config(checkpoint: &Checkpoint) -> Result<ClapConfig> {
    let shapes = Shapes::of(checkpoint);
    let [projection_dim, _] = shapes.get("audio_projection.0.weight")?;
    let audio_config = audio(&shapes)?;
    let is_fused = audio_config.enable_fusion || audio_config.patch_embed_input_channels == FUSED_CHANNELS;
    let features = FeatureConfig { n_fft: n_fft(&shapes)?, ..FeatureConfig::default() };
    let truncation = if is_fused { Truncation::Fusion } else { Truncation::RandTrunc };
    Ok(ClapConfig {
        projection_dim,
        features: features.truncated(truncation),
        audio_config,
        text_config: text(&shapes)?,
        ..ClapConfig::default()
    })
}

/// Samples of a spectrum, from the transform that models carry along.
fn n_fft(shapes: &Shapes) -> Result<i64> {
    const TRANSFORM: &str = "audio_branch.spectrogram_extractor.stft.conv_real.weight";
    if !shapes.has(TRANSFORM) {
        return Ok(FeatureConfig::default().n_fft);
    }
    let [_, _, samples] = shapes.get(TRANSFORM)?;
    Ok(samples)
}

fn block(stage: usize, index: usize, rest: &str) -> String {
    format!("audio_branch.layers.{stage}.blocks.{index}.{rest}")
}

fn audio(shapes: &Shapes) -> Result<AudioConfig> {
    let [bands] = shapes.get("audio_branch.bn0.weight")?;
    let [width, pictures, patch, _] = shapes.get("audio_branch.patch_embed.proj.weight")?;
    let stages = shapes.count(|stage| block(stage, 0, "norm1.weight"));
    let depth = |stage| shapes.count(|index| block(stage, index, "norm1.weight")) as i64;
    let heads = |stage| -> Result<i64> {
        let [_, heads] = shapes.get(&block(stage, 0, "attn.relative_position_bias_table"))?;
        Ok(heads)
    };
    let table = block(0, 0, "attn.relative_position_bias_table");
    let [rows, _] = shapes.get(&table)?;
    let Some(window_size) = root(rows).filter(|side| side % 2 == 1).map(|side| (side + 1) / 2) else {
        return Err(
            shapes.wrong(&table, &format!("expected the square of an odd number of rows, got {rows}"))
        );
    };
    let [inner, outer] = shapes.get(&block(0, 0, "mlp.fc1.weight"))?;
    let squeeze: Option<[i64; 4]> =
        match shapes.has("audio_branch.patch_embed.fusion_model.local_att.0.weight") {
            true => Some(shapes.get("audio_branch.patch_embed.fusion_model.local_att.0.weight")?),
            false => None,
        };
    Ok(AudioConfig {
        spec_size: side(shapes, window_size, patch)?,
        num_mel_bins: bands,
        window_size,
        patch_size: patch,
        patch_stride: [patch, patch],
        patch_embeds_hidden_size: width,
        depths: (0..stages).map(depth).collect(),
        num_attention_heads: (0..stages).map(heads).collect::<Result<_>>()?,
        mlp_ratio: inner as f64 / outer.max(1) as f64,
        qkv_bias: shapes.has(&block(0, 0, "attn.qkv.bias")),
        hidden_size: width << stages.saturating_sub(1).min(16),
        patch_embed_input_channels: pictures,
        enable_patch_layer_norm: shapes.has("audio_branch.patch_embed.norm.weight"),
        enable_fusion: shapes.has("audio_branch.patch_embed.mel_conv2d.weight"),
        aff_block_r: squeeze.map_or(AudioConfig::default().aff_block_r, |[inner, ..]| width / inner.max(1)),
        ..AudioConfig::default()
    })
}

/// Side of the image, from the mask of shifted windows, which has a row per window. No other tensor shows it.
fn side(shapes: &Shapes, window: i64, patch: i64) -> Result<i64> {
    let mask = block(0, 1, "attn_mask");
    if !shapes.has(&mask) {
        return Ok(USUAL_SIDE);
    }
    let [windows, ..]: [i64; 3] = shapes.get(&mask)?;
    match root(windows) {
        Some(along) => Ok(along.saturating_mul(window).saturating_mul(patch)),
        None => Err(shapes.wrong(&mask, &format!("expected a square number of windows, got {windows}"))),
    }
}

/// The root of a square.
fn root(square: i64) -> Option<i64> {
    let root = (square.max(0) as f64).sqrt().round() as i64;
    (root > 0 && root.checked_mul(root) == Some(square)).then_some(root)
}

fn text(shapes: &Shapes) -> Result<TextConfig> {
    let [vocab_size, width] = shapes.get("text_branch.embeddings.word_embeddings.weight")?;
    let [positions, _] = shapes.get("text_branch.embeddings.position_embeddings.weight")?;
    let kinds = "text_branch.embeddings.token_type_embeddings.weight";
    let [types, _] = shapes.get(kinds)?;
    if types != 1 {
        return Err(shapes.wrong(kinds, &format!("expected one row, as in RoBERTa, got {types}")));
    }
    let [inner, _] = shapes.get("text_branch.encoder.layer.0.intermediate.dense.weight")?;
    let layers = shapes.count(|layer| format!("text_branch.encoder.layer.{layer}.intermediate.dense.weight"));
    let usual = TextConfig::default();
    let heads = if width % HEAD_WIDTH == 0 { width / HEAD_WIDTH } else { usual.num_attention_heads };
    Ok(TextConfig {
        vocab_size,
        hidden_size: width,
        num_hidden_layers: layers as i64,
        num_attention_heads: heads,
        intermediate_size: inner,
        max_position_embeddings: positions,
        type_vocab_size: types,
        layer_norm_eps: 1e-5,
        pooling: Pooling::ClsDenseTanh,
        max_tokens: TOKENS.min(positions - usual.position_offset),
        ..usual
    })
}

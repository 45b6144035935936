//! Reading the configuration of stable-audio-tools: a whole `model_config.json`, or a part of it down to the transformer's own.

use musicot_core::published::PublishedConfig;
use serde::Deserialize;

use super::StableAudioDitConfig;
use crate::Result;

/// Features of the time, which no key sets.
const TIME_FEATURES: i64 = 256;

/// Fewest rotated dims of a head.
const LEAST_ROTATED: i64 = 32;

/// Arguments that shape the transformer; defaults as in stable-audio-tools.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sizes {
    io_channels: i64,
    embed_dim: i64,
    depth: i64,
    num_heads: i64,
    cond_token_dim: i64,
    project_cond_tokens: bool,
    global_cond_dim: i64,
    project_global_cond: bool,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            io_channels: 32,
            embed_dim: 768,
            depth: 12,
            num_heads: 8,
            cond_token_dim: 0,
            project_cond_tokens: true,
            global_cond_dim: 0,
            project_global_cond: true,
        }
    }
}

/// Reads any of the objects that hold one another, from the whole file to the transformer's arguments.
pub(super) fn read(mut file: PublishedConfig) -> Result<StableAudioDitConfig> {
    let mut audio_frames: Option<i64> = None;
    if let Some(model) = file.take_object("model")? {
        file.expect("model_type", "diffusion_cond")?;
        audio_frames = file.take_as("sample_size")?;
        file = model;
    }
    let hop = read_hop(&mut file)?;
    if let Some(diffusion) = file.take_object("diffusion")? {
        file = diffusion;
    }
    if let Some(arguments) = file.take_object("config")? {
        file.expect("type", "dit")?;
        file = arguments;
    }
    let mut config = arguments(file)?;
    if let Some(frames) = audio_frames {
        config.sample_size = frames / hop;
    }
    config.validate()?;
    Ok(config)
}

/// Audio frames per latent frame: those of the codec, or 1 without one.
fn read_hop(file: &mut PublishedConfig) -> Result<i64> {
    let Some(mut codec) = file.take_object("pretransform")? else { return Ok(1) };
    let Some(mut sizes) = codec.take_object("config")? else { return Ok(1) };
    match sizes.take_as("downsampling_ratio")?.unwrap_or(1) {
        hop @ 1.. => Ok(hop),
        other => Err(sizes.wrong("downsampling_ratio", format!("expected a positive number, got {other}"))),
    }
}

fn arguments(mut file: PublishedConfig) -> Result<StableAudioDitConfig> {
    expect_plain(&mut file)?;
    let head_norms = read_attention(&mut file)?;
    let mult = read_feed_forward(&mut file)?;
    let norm_eps = read_norms(&mut file)?;
    let named = file.clone();
    // What only training, or a choice that is refused above, looks at.
    let unused =
        ["zero_init_branch_outputs", "abs_pos_emb_max_length", "timestep_embed_dim", "diffusion_objective"];
    let sizes: Sizes = file.ignore(&unused).parse()?;
    let positive = |key: &str, value: i64| match value {
        1.. => Ok(value),
        _ => Err(named.wrong(key, format!("expected a positive number, got {value}"))),
    };
    let width = positive("embed_dim", sizes.embed_dim)?;
    let head = width / positive("num_heads", sizes.num_heads)?;
    if head * sizes.num_heads != width {
        let reason = format!("expected a divisor of embed_dim = {width}, got {}", sizes.num_heads);
        return Err(named.wrong("num_heads", reason));
    }
    let text = positive("cond_token_dim", sizes.cond_token_dim)?;
    let cross = if sizes.project_cond_tokens { width } else { text };
    if head == 0 || cross % head != 0 {
        return Err(
            named.wrong("cond_token_dim", format!("expected a multiple of the heads' {head}, got {cross}"))
        );
    }
    let global = positive("global_cond_dim", sizes.global_cond_dim)?;
    if !sizes.project_global_cond && global != width {
        return Err(named.wrong("global_cond_dim", format!("expected embed_dim = {width}, got {global}")));
    }
    Ok(StableAudioDitConfig {
        in_channels: sizes.io_channels,
        out_channels: sizes.io_channels,
        num_layers: sizes.depth,
        attention_head_dim: head,
        num_attention_heads: sizes.num_heads,
        num_key_value_attention_heads: cross / head,
        cross_attention_dim: cross,
        cross_attention_input_dim: text,
        global_states_input_dim: global,
        time_proj_dim: TIME_FEATURES,
        rotary_dims: Some((head / 2).max(LEAST_ROTATED)),
        ffn_dim: Some((width as f64 * mult) as i64),
        head_norms,
        norm_eps: norm_eps.unwrap_or(StableAudioDitConfig::default().norm_eps),
        ..Default::default()
    })
}

/// Variants of the transformer that are not supported, where a file names them at all.
fn expect_plain(file: &mut PublishedConfig) -> Result<()> {
    for (key, value) in
        [("patch_size", 1), ("input_concat_dim", 0), ("prepend_cond_dim", 0), ("num_memory_tokens", 0)]
    {
        file.expect(key, value)?;
    }
    file.expect("final_cross_attn_ix", -1)?;
    for (key, value) in [
        ("transformer_type", "continuous_transformer"),
        ("global_cond_type", "prepend"),
        ("timestep_cond_type", "global"),
    ] {
        file.expect(key, value)?;
    }
    file.expect("rotary_pos_emb", true)?;
    for key in [
        "causal",
        "conformer",
        "use_sinusoidal_emb",
        "use_abs_pos_emb",
        "remove_norms",
        "add_rope",
        "layer_scale",
    ] {
        file.expect(key, false)?;
    }
    Ok(())
}

/// Whether heads are normalised.
fn read_attention(file: &mut PublishedConfig) -> Result<bool> {
    let Some(mut attention) = file.take_object("attn_kwargs")? else { return Ok(false) };
    attention.expect("differential", false)?;
    attention.expect("feat_scale", false)?;
    let norm: Option<String> = attention.take_as("qk_norm")?;
    let head_norms = match norm.as_deref() {
        None | Some("none") => false,
        Some("ln") => true,
        Some(other) => return Err(attention.wrong("qk_norm", format!("expected none or ln, got {other}"))),
    };
    attention.parse::<Nothing>()?;
    Ok(head_norms)
}

/// How many times wider than the model.
fn read_feed_forward(file: &mut PublishedConfig) -> Result<f64> {
    let Some(mut inner) = file.take_object("ff_kwargs")? else { return Ok(4.0) };
    inner.expect("glu", true)?;
    inner.expect("no_bias", false)?;
    inner.expect("use_conv", false)?;
    let mult: f64 = inner.take_as("mult")?.unwrap_or(4.0);
    if !(mult.is_finite() && mult > 0.0) {
        return Err(inner.wrong("mult", format!("expected a positive number, got {mult}")));
    }
    inner.ignore(&["zero_init_output", "conv_kernel_size"]).parse::<Nothing>()?;
    Ok(mult)
}

/// Their epsilon; that a gain or a bias was trained or not changes nothing, as files hold both.
fn read_norms(file: &mut PublishedConfig) -> Result<Option<f64>> {
    let Some(mut norms) = file.take_object("norm_kwargs")? else { return Ok(None) };
    norms.expect("force_fp32", false)?;
    let eps = norms.take_as("eps")?;
    norms.ignore(&["bias", "fix_scale"]).parse::<Nothing>()?;
    Ok(eps)
}

/// No key is left.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

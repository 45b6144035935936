//! Reading the `config.json` and `preprocessor_config.json` of a published directory.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use serde::Deserialize;

use super::{SslArchitecture, SslConfig};
use crate::Result;

/// Keys that no hidden state depends on: training, masking, and the heads of other tasks.
const HARMLESS: [&str; 50] = [
    "activation_dropout",
    "adapter_kernel_size",
    "adapter_stride",
    "apply_spec_augment",
    "auto_map",
    "classifier_proj_size",
    "codevector_dim",
    "contrastive_logits_temperature",
    "ctc_loss_reduction",
    "ctc_zero_infinity",
    "diversity_loss_weight",
    "feat_extract_dropout",
    "feat_proj_dropout",
    "feat_quantizer_dropout",
    "feature_extractor_cqt_bins",
    "final_dropout",
    "freeze_feat_extract_train",
    "hidden_dropout",
    "hidden_dropout_prob",
    "layerdrop",
    "mask_channel_length",
    "mask_channel_min_space",
    "mask_channel_other",
    "mask_channel_prob",
    "mask_channel_selection",
    "mask_feature_length",
    "mask_feature_min_masks",
    "mask_feature_prob",
    "mask_time_length",
    "mask_time_min_masks",
    "mask_time_min_space",
    "mask_time_other",
    "mask_time_prob",
    "mask_time_selection",
    "no_mask_channel_overlap",
    "no_mask_time_overlap",
    "num_adapter_layers",
    "num_codevector_groups",
    "num_codevectors_per_group",
    "num_ctc_classes",
    "num_negatives",
    "output_hidden_size",
    "proj_codevector_dim",
    "tdnn_dilation",
    "tdnn_dim",
    "tdnn_kernel",
    "use_weighted_layer_sum",
    "vocab_size",
    "xvector_output_dim",
    // Shifts all scores of a softmax alike, against overflow in half precision: no result depends on it.
    "attention_relax",
];

/// Keys of a feature extractor that only matter where clips of several lengths are padded.
const HARMLESS_INPUT: [&str; 4] =
    ["padding_side", "padding_value", "processor_class", "return_attention_mask"];

impl SslConfig {
    /// Reads `config.json` and `preprocessor_config.json` of a published directory: keys that change nothing are passed over, absent ones have
    /// transformers' values, values that would change the result in a way not known here are refused. Without the second file, samples
    /// are normalised, and their rate is that of the first (MERT's `sample_rate`) or 16 kHz.
    ///
    /// # Errors
    /// [`musicot_core::Error::Io`] when a file cannot be read, [`musicot_core::Error::Format`] names the key; see also
    /// [`SslConfig::validate`].
    pub fn read_published(dir: impl AsRef<Path>) -> Result<Self> {
        let mut file = PublishedConfig::read(dir.as_ref().join("config.json"))?;
        let rate = file.get("sample_rate").and_then(serde_json::Value::as_u64);
        let input = match dir.as_ref().join("preprocessor_config.json") {
            path if path.exists() => Input::read(&path)?,
            _ => Input { sampling_rate: rate.map_or(USUAL_RATE, |rate| rate as u32), do_normalize: true },
        };
        let Some(model_type) = file.take_as::<SslArchitecture>("model_type")? else {
            return Err(file.wrong("model_type", "is missing").into());
        };
        expect_known(&mut file, input.sampling_rate)?;
        let usual = Self::hubert_base();
        let f = &mut file;
        let config = Self {
            model_type,
            sample_rate_hz: input.sampling_rate,
            normalize: input.do_normalize,
            conv_dim: f.take_as("conv_dim")?.unwrap_or(usual.conv_dim),
            conv_kernel: f.take_as("conv_kernel")?.unwrap_or(usual.conv_kernel),
            conv_stride: f.take_as("conv_stride")?.unwrap_or(usual.conv_stride),
            conv_bias: f.take_as("conv_bias")?.unwrap_or(usual.conv_bias),
            feat_extract_norm: f.take_as("feat_extract_norm")?.unwrap_or(usual.feat_extract_norm),
            feat_extract_activation: f
                .take_as("feat_extract_activation")?
                .unwrap_or(usual.feat_extract_activation),
            feat_proj_layer_norm: f.take_as("feat_proj_layer_norm")?.unwrap_or(usual.feat_proj_layer_norm),
            num_conv_pos_embeddings: f
                .take_as("num_conv_pos_embeddings")?
                .unwrap_or(usual.num_conv_pos_embeddings),
            num_conv_pos_embedding_groups: f
                .take_as("num_conv_pos_embedding_groups")?
                .unwrap_or(usual.num_conv_pos_embedding_groups),
            conv_pos_batch_norm: f.take_as("conv_pos_batch_norm")?.unwrap_or(usual.conv_pos_batch_norm),
            hidden_size: f.take_as("hidden_size")?.unwrap_or(usual.hidden_size),
            num_hidden_layers: f.take_as("num_hidden_layers")?.unwrap_or(usual.num_hidden_layers),
            num_attention_heads: f.take_as("num_attention_heads")?.unwrap_or(usual.num_attention_heads),
            intermediate_size: f.take_as("intermediate_size")?.unwrap_or(usual.intermediate_size),
            hidden_act: f.take_as("hidden_act")?.unwrap_or(usual.hidden_act),
            layer_norm_eps: f.take_as("layer_norm_eps")?.unwrap_or(usual.layer_norm_eps),
            do_stable_layer_norm: f.take_as("do_stable_layer_norm")?.unwrap_or(usual.do_stable_layer_norm),
            deepnorm: f.take_as("deepnorm")?.unwrap_or(usual.deepnorm),
        };
        file.expect("num_feat_extract_layers", config.conv_dim.len())?;
        file.ignore_usual().ignore(&HARMLESS).finish()?;
        config.validate()?;
        Ok(config)
    }
}

/// What would need other layers, and a rate that contradicts that of the samples.
fn expect_known(file: &mut PublishedConfig, sampling_rate: u32) -> Result<()> {
    file.expect("add_adapter", false)?;
    file.expect("feature_extractor_cqt", false)?;
    // MERT's own.
    file.expect("sample_rate", sampling_rate)?;
    if let Some(dim) = file.take("adapter_attn_dim") {
        let reason = format!("expected none, as adapters are not supported, got {dim}");
        return Err(file.wrong("adapter_attn_dim", reason).into());
    }
    Ok(())
}

/// How samples are prepared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default = "usual_rate")]
    sampling_rate: u32,
    #[serde(default = "usually")]
    do_normalize: bool,
}

/// What transformers takes where a file lacks the key.
const USUAL_RATE: u32 = 16_000;

fn usual_rate() -> u32 {
    USUAL_RATE
}

fn usually() -> bool {
    true
}

impl Input {
    fn read(path: &Path) -> Result<Self> {
        let mut file = PublishedConfig::read(path)?;
        file.expect("feature_extractor_type", "Wav2Vec2FeatureExtractor")?;
        file.expect("feature_size", 1)?;
        Ok(file.ignore(&HARMLESS_INPUT).parse()?)
    }
}

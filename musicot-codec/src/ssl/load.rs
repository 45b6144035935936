//! From the names in a published file to those of the encoder.

use musicot_core::KeyMap;

use super::{SslArchitecture, SslConfig};

/// Tensors of files that hold more than the encoder: for pretraining, for CTC, and for classification.
const HEADS: [&str; 14] = [
    "classifier.bias",
    "classifier.weight",
    "layer_weights",
    "lm_head.bias",
    "lm_head.weight",
    "project_hid.bias",
    "project_hid.weight",
    "project_q.bias",
    "project_q.weight",
    "projector.bias",
    "projector.weight",
    "quantizer.codevectors",
    "quantizer.weight_proj.bias",
    "quantizer.weight_proj.weight",
];

/// What stands for masked frames in training, and the number of a batch norm's batches.
const UNUSED: [&str; 2] = ["masked_spec_embed", "encoder.pos_conv_embed.batch_norm.num_batches_tracked"];

/// Names with or without the prefix of files that have a head, without what the encoder does not use.
pub(super) fn key_map(config: &SslConfig) -> KeyMap {
    let prefix = match config.model_type {
        SslArchitecture::Wav2Vec2 => "wav2vec2.",
        SslArchitecture::Hubert => "hubert.",
        SslArchitecture::Mert => "mert_model.",
    };
    let map = HEADS.iter().fold(KeyMap::default(), |map, name| map.drop_exact(name));
    UNUSED.iter().fold(map.strip_prefix(prefix), |map, name| map.drop_exact(name))
}

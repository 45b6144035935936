//! The sizes of models that are published.

use super::{FeatureNorm, SslActivation, SslArchitecture, SslConfig};

impl SslConfig {
    /// HuBERT of 95 million parameters (facebook/hubert-base-ls960): 16 kHz, 50 frames a second. Also what transformers takes for a key that a
    /// `config.json` lacks.
    pub fn hubert_base() -> Self {
        Self {
            model_type: SslArchitecture::Hubert,
            sample_rate_hz: 16_000,
            normalize: true,
            conv_dim: vec![512; 7],
            conv_kernel: vec![10, 3, 3, 3, 3, 2, 2],
            conv_stride: vec![5, 2, 2, 2, 2, 2, 2],
            conv_bias: false,
            feat_extract_norm: FeatureNorm::Group,
            feat_extract_activation: SslActivation::Gelu,
            feat_proj_layer_norm: true,
            num_conv_pos_embeddings: 128,
            num_conv_pos_embedding_groups: 16,
            conv_pos_batch_norm: false,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: SslActivation::Gelu,
            layer_norm_eps: 1e-5,
            do_stable_layer_norm: false,
            deepnorm: false,
        }
    }

    /// HuBERT of 317 million parameters (facebook/hubert-large-ll60k).
    pub fn hubert_large() -> Self {
        Self {
            conv_bias: true,
            feat_extract_norm: FeatureNorm::Layer,
            hidden_size: 1024,
            num_hidden_layers: 24,
            num_attention_heads: 16,
            intermediate_size: 4096,
            do_stable_layer_norm: true,
            ..Self::hubert_base()
        }
    }

    /// wav2vec 2.0 of 95 million parameters (facebook/wav2vec2-base).
    pub fn wav2vec2_base() -> Self {
        Self { model_type: SslArchitecture::Wav2Vec2, ..Self::hubert_base() }
    }

    /// wav2vec 2.0 of 317 million parameters (facebook/wav2vec2-large-lv60).
    pub fn wav2vec2_large() -> Self {
        Self { model_type: SslArchitecture::Wav2Vec2, ..Self::hubert_large() }
    }

    /// MERT of 95 million parameters (m-a-p/MERT-v1-95M): 24 kHz, 75 frames a second.
    pub fn mert_95m() -> Self {
        Self { model_type: SslArchitecture::Mert, sample_rate_hz: 24_000, ..Self::hubert_base() }
    }

    /// The sizes of MERT of 330 million parameters (Li et al., 2023, section 4.2). Its switches are our assumption, those of the large HuBERT; what
    /// [`crate::SslEncoder::load`] reads from a directory counts.
    pub fn mert_330m() -> Self {
        Self { model_type: SslArchitecture::Mert, sample_rate_hz: 24_000, ..Self::hubert_large() }
    }
}

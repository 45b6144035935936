//! Contrastive language-audio embeddings (HTSAT + RoBERTa) over libtorch.

//! Logits transforms, guidance and phase policies for autoregressive sampling.

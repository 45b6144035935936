//! Layers that more than one stage uses. Their parameters live in a [`crate::ParamStore`].

mod attention;
mod conv;
mod convnext;
mod linear;
mod mixed;
mod norm;
mod rope;
mod swiglu;

pub use attention::{Attention, AttentionConfig, KvCache};
pub use conv::{Conv1d, Conv1dConfig};
pub use convnext::ConvNeXtBlock;
pub use linear::{Embedding, Linear};
pub use mixed::{affine, mixed_precision};
pub use norm::{LayerNorm, RmsNorm};
pub use rope::{Rope, RopeTable};
pub use swiglu::SwiGlu;

//! Trainers of the codec and of the semantic tokeniser.

mod codec;
mod pcm;

pub use codec::{CodecTrainConfig, train_codec};
pub use pcm::PcmCache;

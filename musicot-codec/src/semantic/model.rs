//! The tokeniser's network.

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_core::shape::{ANY, expect, expect_finite, expect_ids};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{ParamStore, Storage, checkpoint};
use musicot_rvq::{Metric, ResidualVq, RvqConfig, VectorQuantizer};

use super::{NoteFeatures, NoteTokenizerConfig};
use crate::Result;
use crate::convnext::ConvNeXt;
use crate::tokenizer::SemanticTokenizer;

/// Names of the codebook learner's averages, which a trained model does without.
pub(crate) const LEARNER: &str = "learner";

/// The tokeniser of this crate; see the module's documentation.
pub struct NoteTokenizer {
    config: NoteTokenizerConfig,
    store: ParamStore,
    features: NoteFeatures,
    encoder: ConvNeXt,
    quantizer: ResidualVq,
    decoder: ConvNeXt,
}

impl NoteTokenizer {
    /// A tokeniser with random weights.
    ///
    /// # Errors
    /// A configuration out of range.
    pub fn new(config: &NoteTokenizerConfig, device: Device, seed: u64) -> Result<Self> {
        Self::build(config, ParamStore::new(device, seed))
    }

    /// Loads a directory: `config.json`, and weights as [`musicot_core::Checkpoint::open`] finds them.
    ///
    /// # Errors
    /// A missing or malformed file, or tensors that are not exactly the model's.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        let dir = dir.as_ref();
        let config: NoteTokenizerConfig = read_json(dir.join("config.json"))?;
        let tokenizer = Self::build(&config, ParamStore::for_loading(device, Kind::Float))?;
        tokenizer.store.load_file(dir)?;
        Ok(tokenizer)
    }

    /// Writes `config.json` and `model.safetensors` into a directory.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>, storage: Storage) -> Result<()> {
        let dir = dir.as_ref();
        let mut named = self.store.named();
        named.retain(|(name, _)| !name.starts_with(LEARNER));
        checkpoint::write(dir.join("model.safetensors"), &named, storage)?;
        Ok(write_json(dir.join("config.json"), &self.config)?)
    }

    fn build(config: &NoteTokenizerConfig, store: ParamStore) -> Result<Self> {
        let features = NoteFeatures::new(config, store.device())?;
        let rvq = RvqConfig {
            dim: config.code_dim as usize,
            levels: 1,
            codebook_size: config.vocabulary_size as usize,
            metric: Metric::Cosine,
            ..RvqConfig::default()
        };
        let encoder = ConvNeXt::new(&store.root().sub("encoder"), config.encoder())?;
        let quantizer = ResidualVq::new(&store.root().sub("quantizer"), &rvq)?;
        let decoder = ConvNeXt::new(&store.root().sub("decoder"), config.decoder())?;
        Ok(Self { config: config.clone(), store, features, encoder, quantizer, decoder })
    }

    /// The configuration.
    pub fn config(&self) -> &NoteTokenizerConfig {
        &self.config
    }

    /// The parameters.
    pub fn params(&self) -> &ParamStore {
        &self.store
    }

    /// The fixed analysis in front of the network.
    pub fn features(&self) -> &NoteFeatures {
        &self.features
    }

    #[cfg(feature = "train")]
    pub(crate) fn quantizer(&self) -> &ResidualVq {
        &self.quantizer
    }

    /// Features `[batch, features, tokens]` to code vectors before quantisation `[batch, tokens, code_dim]`.
    pub(crate) fn to_vectors(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self.encoder.forward(features)?.f_transpose(1, 2)?)
    }

    /// Code vectors `[batch, tokens, code_dim]` to features `[batch, features, tokens]`.
    pub(crate) fn rebuild(&self, vectors: &Tensor) -> Result<Tensor> {
        Ok(self.decoder.forward(&vectors.f_transpose(1, 2)?)?)
    }

    /// What the tokens `[batch, tokens]` say: features `[batch, features, tokens]` as in [`NoteFeatures::analyse`].
    ///
    /// # Errors
    /// Another shape, or tokens out of range.
    pub fn describe(&self, tokens: &Tensor) -> Result<Tensor> {
        expect("tokens", tokens, &[ANY, ANY])?;
        expect_ids("tokens", tokens, self.config.vocabulary_size)?;
        tch::no_grad(|| self.rebuild(&self.quantizer.decode(&tokens.f_unsqueeze(-1)?)?))
    }
}

impl SemanticTokenizer for NoteTokenizer {
    fn sample_rate_hz(&self) -> u32 {
        self.config.sample_rate_hz
    }

    fn hop_frames(&self) -> i64 {
        self.config.hop
    }

    fn vocabulary_size(&self) -> i64 {
        self.config.vocabulary_size
    }

    fn tokenize(&self, samples: &Tensor) -> Result<Tensor> {
        expect("samples", samples, &[ANY, ANY])?;
        expect_finite("samples", samples)?;
        let missing = (self.config.hop - samples.size()[1] % self.config.hop) % self.config.hop;
        tch::no_grad(|| {
            let padded = samples.f_constant_pad_nd([0, missing])?;
            if padded.size()[1] == 0 {
                return Ok(Tensor::f_zeros([padded.size()[0], 0], (Kind::Int64, padded.device()))?);
            }
            let vectors = self.to_vectors(&self.features.analyse(&padded)?)?;
            Ok(self.quantizer.encode(&vectors)?.f_squeeze_dim(-1)?)
        })
    }
}

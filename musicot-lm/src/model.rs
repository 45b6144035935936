//! The stage: decoder, vocabulary, conditions.

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_core::tch::{Device, Kind};
use musicot_core::{Checkpoint, LoadOptions, Loading, ParamStore, Storage};

use crate::causal::CausalLm;
use crate::conditions::{self, ConditionReport, Conditions, EncodedConditions};
use crate::inputs::Inputs;
use crate::lyrics::{LyricTokenizer, TOKENIZER_FILE};
use crate::vocab::MusicVocab;
use crate::{Error, FastLlama, Llama, MusicLmConfig, Result, WeightKind};

/// The language model of the generator: it plans in musical thoughts, then writes semantic audio tokens.
///
/// A stage directory holds `config.json`, `model.safetensors` (the decoder under Hugging Face's names, the rest under
/// `music.`) and, where lyrics are read, `tokenizer.json`.
pub struct MusicLm {
    config: MusicLmConfig,
    vocab: MusicVocab,
    tokenizer: Option<LyricTokenizer>,
    store: ParamStore,
    pub(crate) lm: Box<dyn CausalLm>,
    pub(crate) inputs: Inputs,
    /// Whether the decoder's parameters are no longer in the store.
    is_packed_only: bool,
}

impl MusicLm {
    /// A model with random weights.
    ///
    /// # Errors
    /// See [`MusicLmConfig::validate`].
    pub fn new(config: MusicLmConfig, device: Device, seed: u64) -> Result<Self> {
        Self::build(config, ParamStore::new(device, seed))
    }

    /// Loads a stage directory.
    ///
    /// # Errors
    /// A file is missing or damaged, or the checkpoint does not hold exactly the model's tensors.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        let store = ParamStore::for_loading(device, Kind::Float);
        Self::load_with(dir.as_ref(), store, |llama, _, loading| {
            loading.fill(|_| true)?;
            Ok(Box::new(llama))
        })
    }

    /// Loads a stage directory to generate with on the CPU: a [`FastLlama`] with weights of this kind, which are all that it has. It is no model to be
    /// trained, to score with, or to be saved.
    ///
    /// # Errors
    /// See [`MusicLm::load`] and [`FastLlama::new`].
    pub fn load_fast(dir: impl AsRef<Path>, kind: WeightKind) -> Result<Self> {
        let store = ParamStore::for_loading_in_parts(Device::Cpu, Kind::Float);
        let model = Self::load_with(dir.as_ref(), store, |llama, store, loading| {
            Ok(Box::new(FastLlama::fill(llama, store, loading, kind)?))
        })?;
        Ok(Self { is_packed_only: true, ..model })
    }

    /// Loads a stage directory; `decoder` gets the decoder without weights, and fills all parameters, which are made in `store`.
    fn load_with(
        dir: &Path,
        store: ParamStore,
        decoder: impl FnOnce(Llama, &ParamStore, &Loading<'_>) -> Result<Box<dyn CausalLm>>,
    ) -> Result<Self> {
        let config: MusicLmConfig = read_json(dir.join("config.json"))?;
        config.validate()?;
        let llama = Llama::new(&store.root(), &config.llama)?;
        let inputs = Inputs::new(&store.root().sub("music"), &config, llama.dim())?;
        let tokenizer = dir.join(TOKENIZER_FILE);
        let tokenizer = tokenizer.is_file().then(|| LyricTokenizer::load(tokenizer)).transpose()?;
        let checkpoint = Checkpoint::open(dir)?;
        let lm = decoder(llama, &store, &store.loading(&checkpoint, &LoadOptions::default())?)?;
        let mut model = Self::assemble(config, store, lm, inputs)?;
        if let Some(tokenizer) = tokenizer {
            model.set_tokenizer(tokenizer)?;
        }
        Ok(model)
    }

    /// Writes a stage directory; each file is whole or absent.
    ///
    /// # Errors
    /// A file cannot be written; [`musicot_core::Error::Input`] for a model of [`MusicLm::load_fast`].
    pub fn save(&self, dir: impl AsRef<Path>, storage: Storage) -> Result<()> {
        if self.is_packed_only {
            return Err(Error::input("model", "has only packed weights; copy the directory that it is from"));
        }
        let dir = dir.as_ref();
        write_json(dir.join("config.json"), &self.config)?;
        if let Some(tokenizer) = &self.tokenizer {
            tokenizer.save(dir.join(TOKENIZER_FILE))?;
        }
        Ok(self.store.save(dir.join("model.safetensors"), storage)?)
    }

    fn build(config: MusicLmConfig, store: ParamStore) -> Result<Self> {
        config.validate()?;
        let llama = Llama::new(&store.root(), &config.llama)?;
        Self::with_decoder(config, store, Box::new(llama))
    }

    /// A model around a decoder of your own. The parameters of the conditions are made in `store`, under `music.`; of `config.llama`
    /// only the vocabulary's size is used.
    ///
    /// # Errors
    /// The decoder's vocabulary has another size than the configuration's, or it is on another device.
    pub fn with_decoder(config: MusicLmConfig, store: ParamStore, lm: Box<dyn CausalLm>) -> Result<Self> {
        config.validate()?;
        let inputs = Inputs::new(&store.root().sub("music"), &config, lm.dim())?;
        Self::assemble(config, store, lm, inputs)
    }

    fn assemble(
        config: MusicLmConfig,
        store: ParamStore,
        lm: Box<dyn CausalLm>,
        inputs: Inputs,
    ) -> Result<Self> {
        let vocab = config.validate()?;
        if lm.vocab_size() != vocab.size() {
            let reason = format!("expected a vocabulary of {}, got {}", vocab.size(), lm.vocab_size());
            return Err(Error::input("decoder", reason));
        }
        if lm.device() != store.device() {
            let reason = format!("expected one on {:?}, got {:?}", store.device(), lm.device());
            return Err(Error::input("decoder", reason));
        }
        Ok(Self { config, vocab, tokenizer: None, store, lm, inputs, is_packed_only: false })
    }

    /// Gives the model its tokenizer of lyrics.
    ///
    /// # Errors
    /// It has more ids than the vocabulary reserves.
    pub fn set_tokenizer(&mut self, tokenizer: LyricTokenizer) -> Result<()> {
        let reserved = self.config.vocab.lyric_tokens;
        if tokenizer.vocab_size() > reserved {
            let reason = format!("expected at most {reserved} ids, got {}", tokenizer.vocab_size());
            return Err(Error::input("lyrics tokenizer", reason));
        }
        self.tokenizer = Some(tokenizer);
        Ok(())
    }

    /// The configuration.
    pub fn config(&self) -> &MusicLmConfig {
        &self.config
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &MusicVocab {
        &self.vocab
    }

    /// The tokenizer of lyrics.
    pub fn tokenizer(&self) -> Option<&LyricTokenizer> {
        self.tokenizer.as_ref()
    }

    /// The parameters.
    pub fn params(&self) -> &ParamStore {
        &self.store
    }

    /// The decoder.
    pub fn decoder(&self) -> &dyn CausalLm {
        self.lm.as_ref()
    }

    /// What of some conditions this model cannot take in: unknown tags, lyrics beyond the limit.
    ///
    /// # Errors
    /// An embedding of the wrong size or length, or a tempo that is not a positive number.
    pub fn check_conditions(&self, conditions: &Conditions) -> Result<ConditionReport> {
        Ok(conditions::encode(conditions, &self.config, &self.vocab, self.tokenizer.as_ref())?.1)
    }

    pub(crate) fn encode(&self, conditions: &Conditions) -> Result<EncodedConditions> {
        Ok(conditions::encode(conditions, &self.config, &self.vocab, self.tokenizer.as_ref())?.0)
    }
}

//! The whole model: front end, two towers, two projections, two temperatures.

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::{Checkpoint, Error, Init, KeyMap, LoadOptions, ParamStore, Result, Storage, shape};

use crate::audio::AudioTower;
use crate::config::ClapConfig;
use crate::encoder::AudioTextEncoder;
use crate::features::LogMel;
use crate::projection::Projection;
use crate::similarity;
use crate::text::{Cut, TextTokenizer, TextTower};

/// Texts embedded at once; bounds memory.
const TEXTS_AT_ONCE: usize = 32;

/// The logarithm of 100, the largest factor on cosines that training may learn (Radford et al., 2021).
#[cfg(feature = "train")]
pub(crate) const MAX_LOGIT_SCALE: f64 = 4.605_170_185_988_092;

/// Contrastive language-audio model (Wu et al., 2023) with HTSAT and BERT or RoBERTa towers.
///
/// Parameters are named as in the published checkpoints. The towers are also usable on their own.
///
/// ```
/// use musicot_clap::{AudioTextEncoder, Clap, ClapConfig};
/// use musicot_core::tch::{Device, Kind, Tensor};
/// # let mut config = ClapConfig::mini();
/// # config.audio_config.depths = vec![1]; config.audio_config.num_attention_heads = vec![2]; config.audio_config.hidden_size = 48;
/// # config.text_config.num_hidden_layers = 1; config.text_config.vocab_size = 200;
/// let clap = Clap::new(config, Device::Cpu, 0)?; // random weights; `Clap::load` reads trained ones
/// let audio = clap.embed_audio(&Tensor::zeros([1, 48_000], (Kind::Float, Device::Cpu)))?;
/// let text = clap.embed_text(&["solo piano", "a drum kit"])?;
/// assert_eq!(clap.probabilities(&audio, &text)?.size(), [1, 2]);
/// # Ok::<(), musicot_clap::Error>(())
/// ```
pub struct Clap {
    config: ClapConfig,
    params: ParamStore,
    tokenizer: TextTokenizer,
    mel: LogMel,
    audio: AudioTower,
    text: TextTower,
    audio_projection: Projection,
    text_projection: Projection,
    logit_scale_a: Tensor,
    logit_scale_t: Tensor,
}

impl Clap {
    /// A model with random weights whose tokenizer spells: see [`TextTokenizer::characters`].
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that do not fit.
    pub fn new(config: ClapConfig, device: Device, seed: u64) -> Result<Self> {
        config.validate()?;
        let tokenizer = TextTokenizer::characters(config.text_config.max_tokens)?;
        Self::with_tokenizer(config, tokenizer, device, seed)
    }

    /// A model with random weights and a tokenizer, ready to be trained.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes that do not fit one another or the tokenizer.
    pub fn with_tokenizer(
        config: ClapConfig,
        tokenizer: TextTokenizer,
        device: Device,
        seed: u64,
    ) -> Result<Self> {
        Self::build(config, tokenizer, ParamStore::new(device, seed))
    }

    /// Reads a directory with `config.json`, `model.safetensors` and `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Format`] name the file; [`Error::Checkpoint`] lists missing, extra and mis-shaped tensors.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::read(dir.as_ref(), ParamStore::for_loading(device, Kind::Float))
    }

    /// Like [`Clap::load`], ready to be trained further.
    ///
    /// # Errors
    /// See [`Clap::load`].
    pub fn load_trainable(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::read(dir.as_ref(), ParamStore::new(device, 0))
    }

    /// Writes `config.json`, `tokenizer.json` and `model.safetensors`, each atomically, the weights last.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn save(&self, dir: impl AsRef<Path>, storage: Storage) -> Result<()> {
        let dir = dir.as_ref();
        write_json(dir.join("config.json"), &self.config)?;
        self.tokenizer.save(dir.join("tokenizer.json"))?;
        self.params.save(dir.join("model.safetensors"), storage)
    }

    fn read(dir: &Path, params: ParamStore) -> Result<Self> {
        let path = dir.join("config.json");
        let config: ClapConfig = read_json(&path)?;
        config.validate().map_err(|e| Error::format(&path, e.to_string()))?;
        let text = &config.text_config;
        let tokenizer = TextTokenizer::load(dir.join("tokenizer.json"), text.max_tokens, text.pad_token_id)?;
        let model = Self::build(config, tokenizer, params)?;
        // Constants that the published files store along with the weights.
        let rename = ["position_ids", "embeddings.token_type_ids", "relative_position_index"]
            .iter()
            .fold(KeyMap::default(), |map, name| map.drop_containing(name));
        model.params.load(&Checkpoint::open(dir)?, &LoadOptions { rename, ..LoadOptions::default() })?;
        Ok(model)
    }

    fn build(config: ClapConfig, tokenizer: TextTokenizer, params: ParamStore) -> Result<Self> {
        config.validate()?;
        if tokenizer.vocab_size() > config.text_config.vocab_size as usize {
            let reason = format!(
                "is {}, but the tokenizer knows {} tokens",
                config.text_config.vocab_size,
                tokenizer.vocab_size()
            );
            return Err(Error::config("text_config.vocab_size", reason));
        }
        let (scope, dim) = (params.root(), config.projection_dim);
        let scale = Init::Const(config.logit_scale_init_value.ln());
        let mel = LogMel::new(&config.features, config.audio_config.num_mel_bins, params.device())?;
        let audio = AudioTower::new(&scope.sub("audio_model"), &config.audio_config)?;
        let text = TextTower::new(&scope.sub("text_model"), &config.text_config)?;
        let audio_projection =
            Projection::new(&scope.sub("audio_projection"), config.audio_config.hidden_size, dim)?;
        let text_projection =
            Projection::new(&scope.sub("text_projection"), config.text_config.hidden_size, dim)?;
        let logit_scale_a = scope.param("logit_scale_a", &[], scale)?;
        let logit_scale_t = scope.param("logit_scale_t", &[], scale)?;
        Ok(Self {
            config,
            params,
            tokenizer,
            mel,
            audio,
            text,
            audio_projection,
            text_projection,
            logit_scale_a,
            logit_scale_t,
        })
    }

    /// The sizes.
    pub fn config(&self) -> &ClapConfig {
        &self.config
    }

    /// The parameters.
    pub fn params(&self) -> &ParamStore {
        &self.params
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// The front end.
    pub fn log_mel(&self) -> &LogMel {
        &self.mel
    }

    /// What [`AudioTextEncoder::embed_text`] cuts from each of the texts.
    ///
    /// # Errors
    /// [`Error::Input`] when the tokenizer fails.
    pub fn text_cuts(&self, texts: &[&str]) -> Result<Vec<Cut>> {
        texts.iter().map(|text| Ok(self.tokenizer.encode_one(text)?.1)).collect()
    }

    /// Log-mel frames `[batch, frames, bands]` to unit vectors `[batch, dim]`, with gradients where they are enabled.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of bands or too many frames.
    pub fn embed_mel(&self, mel: &Tensor) -> Result<Tensor> {
        self.audio_projection.forward(&self.audio.forward(mel)?)
    }

    /// Texts to vectors `[texts, hidden_size]` of the text tower, before the projection.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no text.
    pub fn pooled_text(&self, texts: &[&str]) -> Result<Tensor> {
        self.text.forward(&self.tokenizer.encode(texts, self.params.device())?)
    }

    /// Vectors of the text tower `[texts, hidden_size]` to unit vectors `[texts, dim]`.
    ///
    /// # Errors
    /// libtorch refuses another width.
    pub fn project_text(&self, pooled: &Tensor) -> Result<Tensor> {
        self.text_projection.forward(pooled)
    }

    /// The learned factors on cosines, audio to text and text to audio (scalars, with gradients where they are enabled).
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn logit_scales(&self) -> Result<(Tensor, Tensor)> {
        Ok((self.logit_scale_a.f_exp()?, self.logit_scale_t.f_exp()?))
    }

    /// Probabilities `[audio, text]` of the anchors `text [text, dim]` for each of `audio [audio, dim]`, at the learned temperature.
    ///
    /// # Errors
    /// libtorch refuses different widths.
    pub fn probabilities(&self, audio: &Tensor, text: &Tensor) -> Result<Tensor> {
        tch::no_grad(|| {
            similarity::probabilities(audio, text, self.logit_scale_a.f_exp()?.f_double_value(&[])?)
        })
    }

    /// Keeps the temperatures within the range training may use.
    #[cfg(feature = "train")]
    pub(crate) fn clamp_logit_scales(&self) -> Result<()> {
        tch::no_grad(|| {
            for scale in [&self.logit_scale_a, &self.logit_scale_t] {
                let _ = scale.shallow_clone().f_clamp_(0.0, MAX_LOGIT_SCALE)?;
            }
            Ok(())
        })
    }

    /// Sets the statistics of the mel bands.
    #[cfg(feature = "train")]
    pub(crate) fn set_statistics(&mut self, mean: &Tensor, variance: &Tensor) -> Result<()> {
        self.audio.set_statistics(mean, variance)
    }
}

impl AudioTextEncoder for Clap {
    fn dim(&self) -> usize {
        self.config.projection_dim as usize
    }

    fn sample_rate_hz(&self) -> u32 {
        self.config.features.sample_rate_hz
    }

    fn window_samples(&self) -> usize {
        self.config.features.window_samples as usize
    }

    fn embed_audio(&self, samples: &Tensor) -> Result<Tensor> {
        shape::expect("samples", samples, &[shape::ANY, shape::ANY])?;
        shape::expect_kind("samples", samples, Kind::Float)?;
        let (batch, length, window) =
            (samples.size()[0], samples.size()[1], self.config.features.window_samples);
        if batch == 0 || length == 0 || length > window {
            let reason = format!(
                "expected at least one clip of 1..={window} samples, got {batch} of {length}: embed_windows takes longer ones"
            );
            return Err(Error::input("samples", reason));
        }
        let filled = fill(&samples.f_to_device(self.params.device())?, window)?;
        tch::no_grad(|| self.embed_mel(&self.mel.forward(&filled)?))
    }

    fn embed_text(&self, texts: &[&str]) -> Result<Tensor> {
        let embed = |part: &[&str]| self.project_text(&self.pooled_text(part)?);
        let parts: Vec<Tensor> = match texts.is_empty() {
            true => vec![tch::no_grad(|| embed(texts))?],
            false => {
                texts.chunks(TEXTS_AT_ONCE).map(|part| tch::no_grad(|| embed(part))).collect::<Result<_>>()?
            }
        };
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}

/// [`crate::windows::repeat_pad`] on tensors `[batch, samples]`.
fn fill(samples: &Tensor, window: i64) -> Result<Tensor> {
    let length = samples.size()[1];
    if length == window {
        return Ok(samples.shallow_clone());
    }
    let repeated = samples.f_repeat([1, window / length])?;
    Ok(repeated.f_constant_pad_nd([0, window - repeated.size()[1]])?)
}

#[cfg(test)]
mod tests {
    use musicot_core::tensor;

    use super::*;
    use crate::windows::repeat_pad;

    #[test]
    fn tensors_are_filled_like_slices() {
        for length in [1_usize, 3, 7, 10] {
            let clip: Vec<f32> = (0..length).map(|i| i as f32 + 1.0).collect();
            let row = Tensor::from_slice(&clip).unsqueeze(0);
            assert_eq!(tensor::to_vec(&fill(&row, 10).unwrap()).unwrap(), repeat_pad(&clip, 10));
        }
    }
}

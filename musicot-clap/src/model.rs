//! The whole model: front end, two towers, two projections, two temperatures.

use musicot_core::tch::{self, Device, Tensor};
use musicot_core::{Error, Init, ParamStore, Result};

use crate::audio::AudioTower;
use crate::config::ClapConfig;
use crate::encoder::AudioTextEncoder;
use crate::features::{ClipFeatures, Crop, FeatureExtractor, LogMel};
use crate::projection::Projection;
use crate::similarity;
use crate::text::{Cut, TextTokenizer, TextTower, Tokens};

/// Windows embedded at once on the CPU, where more are no faster and only take memory.
const WINDOWS_AT_ONCE: i64 = 8;

/// The same on a device that runs many at once.
const WINDOWS_ON_A_DEVICE: i64 = 64;

/// Texts embedded at once; bounds memory.
const TEXTS_AT_ONCE: usize = 32;

/// Bytes by which a text may be longer than a short one in any case.
const LITTLE_LONGER: usize = 8;

/// The logarithm of 100, the largest factor on cosines that training may learn (Radford et al., 2021).
#[cfg(feature = "train")]
pub(crate) const MAX_LOGIT_SCALE: f64 = 4.605_170_185_988_092;

/// Contrastive language-audio model (Wu et al., 2023) with HTSAT and BERT or RoBERTa towers.
///
/// Parameters are named as in the published checkpoints. The towers are also usable on their own. However many windows or texts are embedded in a call, a
/// few go through the towers together, so that memory is that of what is given and of the result.
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
    features: FeatureExtractor,
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

    pub(crate) fn build(config: ClapConfig, tokenizer: TextTokenizer, params: ParamStore) -> Result<Self> {
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
        let act = config.projection_hidden_act;
        let bands = config.audio_config.num_mel_bins;
        let features = FeatureExtractor::new(&config.features, bands, params.device())?;
        let audio = AudioTower::new(&scope.sub("audio_model"), &config.audio_config)?;
        let text = TextTower::new(&scope.sub("text_model"), &config.text_config)?;
        let audio_projection =
            Projection::new(&scope.sub("audio_projection"), config.audio_config.hidden_size, dim, act)?;
        let text_projection =
            Projection::new(&scope.sub("text_projection"), config.text_config.hidden_size, dim, act)?;
        let logit_scale_a = scope.param("logit_scale_a", &[], scale)?;
        let logit_scale_t = scope.param("logit_scale_t", &[], scale)?;
        Ok(Self {
            config,
            params,
            tokenizer,
            features,
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
    pub fn features(&self) -> &FeatureExtractor {
        &self.features
    }

    /// The part of the front end that computes log-mel frames.
    pub fn log_mel(&self) -> &LogMel {
        self.features.log_mel()
    }

    /// A clip of any length `[samples]` (f32) to a unit vector `[1, dim]`. A model with fusion sees the whole of a longer clip, another one a
    /// window of it; `crop` says which.
    ///
    /// # Errors
    /// See [`FeatureExtractor::clip`].
    pub fn embed_clip(&self, samples: &Tensor, crop: Crop) -> Result<Tensor> {
        self.embed_features(&self.features.clip(samples, crop)?)
    }

    /// What the front end made of a clip to a unit vector `[1, dim]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other numbers of pictures or bands, or too many frames.
    pub fn embed_features(&self, clip: &ClipFeatures) -> Result<Tensor> {
        tch::no_grad(|| {
            let mel = clip.mel.f_unsqueeze(0)?;
            let fused = clip.is_longer && self.config.audio_config.enable_fusion;
            let pooled = if fused { self.audio.forward_longer(&mel)? } else { self.audio.forward(&mel)? };
            self.audio_projection.forward(&pooled)
        })
    }

    /// Token ids to unit vectors `[texts, dim]`.
    ///
    /// # Errors
    /// [`Error::Input`] for an id outside the vocabulary; [`Error::Shape`] for more tokens than there are positions.
    pub fn embed_tokens(&self, tokens: &Tokens) -> Result<Tensor> {
        tch::no_grad(|| self.project_text(&self.text.forward(tokens)?))
    }

    /// What [`AudioTextEncoder::embed_text`] cuts from each of the texts.
    ///
    /// # Errors
    /// [`Error::Input`] when the tokenizer fails.
    pub fn text_cuts(&self, texts: &[&str]) -> Result<Vec<Cut>> {
        texts.iter().map(|text| Ok(self.tokenizer.encode_one(text)?.1)).collect()
    }

    /// Log-mel frames `[batch, frames, bands]` (or several pictures of each clip, see [`AudioTower::forward`]) to unit vectors `[batch, dim]`, with gradients where they are enabled.
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

    /// Cosines `[audio, text]` of `audio [audio, dim]` and `text [text, dim]`, which have length 1, times the learned factor from audio to text.
    ///
    /// # Errors
    /// libtorch refuses different widths.
    pub fn logits_per_audio(&self, audio: &Tensor, text: &Tensor) -> Result<Tensor> {
        let scale = self.logit_scale_a.f_to_kind(audio.kind())?.f_exp()?;
        Ok(audio.f_mul(&scale)?.f_matmul(&text.f_transpose(0, 1)?)?)
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
        let embed = |samples: &Tensor| {
            let mel = self.features.windows(samples)?;
            tch::no_grad(|| self.embed_mel(&mel))
        };
        let at_once = if self.params.device() == Device::Cpu { WINDOWS_AT_ONCE } else { WINDOWS_ON_A_DEVICE };
        match samples.size().first() {
            Some(count) if *count > at_once => {
                let parts: Vec<Tensor> =
                    samples.f_split(at_once, 0)?.iter().map(embed).collect::<Result<_>>()?;
                Ok(Tensor::f_cat(&parts, 0)?)
            }
            _ => embed(samples),
        }
    }

    fn fill(&self, clip: &[f32]) -> Vec<f32> {
        self.config.features.padding.fill(clip, self.window_samples())
    }

    fn embed_text(&self, texts: &[&str]) -> Result<Tensor> {
        let embed = |group: &[usize]| {
            let part: Vec<&str> = group.iter().map(|text| texts[*text]).collect();
            self.project_text(&self.pooled_text(&part)?)
        };
        // Of no text, the tokenizer's own error.
        let groups = if texts.is_empty() { vec![Vec::new()] } else { alike_in_length(texts) };
        let parts: Vec<Tensor> =
            groups.iter().map(|group| tch::no_grad(|| embed(group))).collect::<Result<_>>()?;
        let mut places = vec![0; texts.len()];
        for (place, text) in groups.into_iter().flatten().enumerate() {
            places[text] = place as i64;
        }
        let places = Tensor::f_from_slice(&places)?.f_to_device(self.params.device())?;
        Ok(Tensor::f_cat(&parts, 0)?.f_index_select(0, &places)?)
    }
}

/// Indices of texts, at most [`TEXTS_AT_ONCE`] together and none much longer than the shortest of its group: all are padded to the longest.
fn alike_in_length(texts: &[&str]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|text| texts[*text].len());
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for text in order {
        match groups.last_mut() {
            Some(group)
                if group.len() < TEXTS_AT_ONCE
                    && texts[text].len() <= texts[group[0]].len() * 3 / 2 + LITTLE_LONGER =>
            {
                group.push(text);
            }
            _ => groups.push(vec![text]),
        }
    }
    groups
}

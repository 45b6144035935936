//! The decoder's weights and its pass over whole sequences.

use std::ops::Range;

use musicot_core::nn::{self, Embedding, Linear, RmsNorm, RopeTable, SwiGlu};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error as CoreError, Scope, shape};

use super::LlamaConfig;
use super::attention::{Attention, LayerCache, Slots, initial, initial_residual};
use super::rotary::Rotary;
use super::session::Session;
use crate::causal::{CausalLm, LmSession, SessionShape};
use crate::{Error, Result, mask};

/// A LLaMA decoder with the tensor names of Hugging Face's `LlamaForCausalLM`.
///
/// ```
/// use musicot_lm::{CausalLm, Llama, LlamaConfig, core::{ParamStore, tch::{Device, Tensor}}};
/// let config = LlamaConfig { vocab_size: 11, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1,
///     num_attention_heads: 4, num_key_value_heads: 2, ..Default::default() };
/// let store = ParamStore::new(Device::Cpu, 0);
/// let llama = Llama::new(&store.root(), &config)?;
/// let hidden = llama.forward(&llama.embed(&Tensor::from_slice(&[1_i64, 2, 3]).unsqueeze(0))?, None)?;
/// assert_eq!(llama.logits(&hidden, 0..11)?.size(), [1, 3, 11]);
/// # Ok::<(), musicot_lm::Error>(())
/// ```
#[derive(Debug)]
pub struct Llama {
    pub(super) config: LlamaConfig,
    embedding: Embedding,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: RmsNorm,
    /// `None`: the embedding table is the output matrix.
    head: Option<Linear>,
    pub(super) rope: Rotary,
    device: Device,
}

/// One block: attention and feed-forward, each after a norm and around a residual.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) input_norm: RmsNorm,
    pub(super) attention: Attention,
    pub(super) post_norm: RmsNorm,
    pub(super) feed_forward: SwiGlu,
}

impl Layer {
    fn new(scope: &Scope, config: &LlamaConfig) -> Result<Self> {
        let (dim, eps) = (config.hidden_size, config.rms_norm_eps);
        Ok(Self {
            input_norm: RmsNorm::new(&scope.sub("input_layernorm"), dim, eps)?,
            attention: Attention::new(&scope.sub("self_attn"), config)?,
            post_norm: RmsNorm::new(&scope.sub("post_attention_layernorm"), dim, eps)?,
            feed_forward: SwiGlu::with_init(
                &scope.sub("mlp"),
                dim,
                config.intermediate_size,
                config.mlp_bias,
                initial(),
                initial_residual(config),
            )?,
        })
    }

    fn forward(&self, x: &Tensor, rope: &RopeTable, mask: Option<&Tensor>) -> Result<Tensor> {
        let x = x.f_add(&self.attention.forward(&self.input_norm.forward(x)?, rope, mask)?)?;
        self.feed(&x)
    }

    pub(super) fn cached(
        &self,
        x: &Tensor,
        rope: &RopeTable,
        mask: Option<&Tensor>,
        cache: &LayerCache,
        slots: Slots,
    ) -> Result<Tensor> {
        let x = x.f_add(&self.attention.cached(&self.input_norm.forward(x)?, rope, mask, cache, slots)?)?;
        self.feed(&x)
    }

    fn feed(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_add(&self.feed_forward.forward(&self.post_norm.forward(x)?)?)?)
    }
}

impl Llama {
    /// Parameters `model.embed_tokens`, `model.layers.N`, `model.norm` and, unless tied, `lm_head`.
    ///
    /// # Errors
    /// See [`LlamaConfig::validate`] and [`Scope::param`].
    pub fn new(scope: &Scope, config: &LlamaConfig) -> Result<Self> {
        config.validate()?;
        let model = scope.sub("model");
        let embedding = Embedding::new(&model.sub("embed_tokens"), config.vocab_size, config.hidden_size)?;
        let layers = (0..config.num_hidden_layers).map(|i| Layer::new(&model.sub("layers").sub(i), config));
        let layers = layers.collect::<Result<_>>()?;
        let norm = RmsNorm::new(&model.sub("norm"), config.hidden_size, config.rms_norm_eps)?;
        let head = match config.tie_word_embeddings {
            true => None,
            false => Some(Linear::with_init(
                &scope.sub("lm_head"),
                config.hidden_size,
                config.vocab_size,
                false,
                initial(),
            )?),
        };
        let rope = Rotary::new(config, scope.device())?;
        Ok(Self { config: config.clone(), embedding, layers, norm, head, rope, device: scope.device() })
    }

    /// The sizes.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Output matrix `[vocab, dim]`.
    pub(super) fn head_weight(&self) -> &Tensor {
        self.head.as_ref().map_or(self.embedding.weight(), Linear::weight)
    }

    /// Element type of the weights, of embeddings and of hidden states.
    pub fn kind(&self) -> Kind {
        self.embedding.weight().kind()
    }

    /// Embeddings `[batch, seq, dim]` to final hidden states of the same shape, without a cache: each position sees itself and all before
    /// it but the first `padding[row]` ones, and position 0 comes after these. The states of padded positions mean nothing.
    ///
    /// # Errors
    /// [`CoreError::Shape`] when a shape does not match, [`CoreError::Input`] when padding leaves a row empty.
    pub fn forward_padded(&self, embeddings: &Tensor, padding: &[i64]) -> Result<Tensor> {
        let rows = padding.len() as i64;
        shape::expect("embeddings [batch, seq, dim]", embeddings, &[rows, shape::ANY, self.dim()])?;
        let seq = embeddings.size()[1];
        expect_padding(padding, seq)?;
        let hidden = mask::padding(padding, seq, self.device)?;
        let mask = hidden.map(|hidden| mask::causal_after(&hidden, seq)).transpose()?;
        self.layers(embeddings, &self.rope.slots(0, seq, padding)?, mask.as_ref())
    }

    fn layers(&self, embeddings: &Tensor, rope: &RopeTable, mask: Option<&Tensor>) -> Result<Tensor> {
        shape::expect_kind("embeddings", embeddings, self.kind())?;
        let mask = mask.map(|mask| mask::in_kind(mask, self.kind())).transpose()?;
        let mut x = embeddings.shallow_clone();
        for layer in &self.layers {
            x = layer.forward(&x, rope, mask.as_ref())?;
        }
        Ok(self.norm.forward(&x)?)
    }
}

/// Refuses padding that leaves nothing of a row.
pub(super) fn expect_padding(padding: &[i64], seq: i64) -> Result<()> {
    match padding.iter().find(|pad| !(0..seq).contains(pad)) {
        None => Ok(()),
        Some(pad) => Err(Error::input(
            "padding",
            format!("expected at least 0 and less than {seq} positions, got {pad}"),
        )),
    }
}

impl CausalLm for Llama {
    fn dim(&self) -> i64 {
        self.config.hidden_size
    }

    fn vocab_size(&self) -> i64 {
        self.config.vocab_size
    }

    fn device(&self) -> Device {
        self.device
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(self.embedding.forward(ids)?)
    }

    fn forward(&self, embeddings: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        shape::expect("embeddings [batch, seq, dim]", embeddings, &[shape::ANY, shape::ANY, self.dim()])?;
        self.layers(embeddings, &self.rope.slots(0, embeddings.size()[1], &[])?, mask)
    }

    fn logits(&self, hidden: &Tensor, rows: Range<i64>) -> Result<Tensor> {
        if rows.start < 0 || rows.end > self.vocab_size() || rows.is_empty() {
            let reason = format!("expected a range within 0..{}, got {rows:?}", self.vocab_size());
            return Err(CoreError::input("logits", reason).into());
        }
        let weight = self.head_weight().f_narrow(0, rows.start, rows.end - rows.start)?;
        Ok(nn::affine(hidden, &weight, None)?)
    }

    fn session(&self, shape: &SessionShape) -> Result<Box<dyn LmSession + '_>> {
        shape.validate()?;
        if shape.window_positions > 0 {
            self.config.expect_unbounded()?;
        }
        Ok(Box::new(Session::new(self, shape)?))
    }
}

//! The text tower: BERT or RoBERTa with names as in the published checkpoints.

use musicot_core::nn::{Embedding, LayerNorm, Linear};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Error, Init, Result, Scope, shape};

use super::Tokens;
use super::layer::TextLayer;
use crate::config::{Pooling, TextConfig};

/// Tokens to one vector per text.
#[derive(Debug)]
pub struct TextTower {
    words: Embedding,
    positions: Embedding,
    types: Embedding,
    norm: LayerNorm,
    layers: Vec<TextLayer>,
    /// With [`Pooling::ClsDenseTanh`].
    pooler: Option<Linear>,
    position_offset: i64,
    /// In RoBERTa, the id that takes no position.
    padding: Option<i64>,
}

impl TextTower {
    /// Parameters `embeddings.*`, `encoder.layer.N.*` and, with [`Pooling::ClsDenseTanh`], `pooler.dense`.
    ///
    /// # Errors
    /// See [`Scope::param`].
    pub fn new(scope: &Scope, config: &TextConfig) -> Result<Self> {
        let (table, width) = (scope.sub("embeddings"), config.hidden_size);
        let layers = scope.sub("encoder").sub("layer");
        let pooler = match config.pooling {
            Pooling::Mean => None,
            Pooling::ClsDenseTanh => {
                let scope = scope.sub("pooler").sub("dense");
                Some(Linear::with_init(&scope, width, width, true, Init::Normal(0.02))?)
            }
        };
        Ok(Self {
            words: Embedding::new(&table.sub("word_embeddings"), config.vocab_size, width)?,
            positions: Embedding::new(
                &table.sub("position_embeddings"),
                config.max_position_embeddings,
                width,
            )?,
            types: Embedding::new(&table.sub("token_type_embeddings"), config.type_vocab_size, width)?,
            norm: LayerNorm::new(&table.sub("LayerNorm"), width, config.layer_norm_eps)?,
            layers: (0..config.num_hidden_layers)
                .map(|index| TextLayer::new(&layers.sub(index), config))
                .collect::<Result<_>>()?,
            pooler,
            position_offset: config.position_offset,
            padding: (config.position_offset == config.pad_token_id + 1).then_some(config.pad_token_id),
        })
    }

    /// Tokens of `batch` texts to vectors `[batch, hidden_size]`, not normalised.
    ///
    /// # Errors
    /// [`Error::Input`] for an id outside the vocabulary; [`Error::Shape`] for no tokens, more than there are positions, or a mask of another
    /// shape.
    pub fn forward(&self, tokens: &Tokens) -> Result<Tensor> {
        let (ids, mask) = (&tokens.ids, &tokens.mask);
        shape::expect("token ids", ids, &[shape::ANY, shape::ANY])?;
        shape::expect("token mask", mask, &ids.size())?;
        shape::expect_kind("token mask", mask, Kind::Bool)?;
        let seq = ids.size()[1];
        let room = self.positions.weight().size()[0] - self.position_offset;
        if seq == 0 || seq > room {
            let expected = format!("[batch, 1..={room}]");
            return Err(Error::Shape { what: "token ids".into(), expected, actual: ids.size() });
        }
        let mut x = self.embed(ids)?;
        let may_attend = mask.f_unsqueeze(1)?.f_unsqueeze(1)?;
        for layer in &self.layers {
            x = layer.forward(&x, &may_attend)?;
        }
        self.pool(&x, mask)
    }

    /// `[batch, seq] -> [batch, seq, width]`.
    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let positions = self.positions.forward(&self.places(ids)?)?;
        let kind = self.types.weight().f_get(0)?;
        self.norm.forward(&self.words.forward(ids)?.f_add(&kind)?.f_add(&positions)?)
    }

    /// Rows of the position table. Texts are padded at their end, so they just count up; in RoBERTa a padding token, which a text may also
    /// spell out, keeps the padding's own row and is not counted.
    fn places(&self, ids: &Tensor) -> Result<Tensor> {
        let Some(padding) = self.padding else {
            let end = self.position_offset + ids.size()[1];
            return Ok(Tensor::f_arange_start(self.position_offset, end, (Kind::Int64, ids.device()))?);
        };
        let counted = ids.f_ne(padding)?.f_to_kind(Kind::Int64)?;
        Ok(counted.f_cumsum(1, Kind::Int64)?.f_mul(&counted)?.f_add_scalar(padding)?)
    }

    fn pool(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        if let Some(pooler) = &self.pooler {
            return Ok(pooler.forward(&x.f_select(1, 0)?)?.f_tanh()?);
        }
        let weights = mask.f_to_kind(x.kind())?.f_unsqueeze(-1)?;
        let sum = x.f_mul(&weights)?.f_sum_dim_intlist([1].as_slice(), false, None)?;
        let count = weights.f_sum_dim_intlist([1].as_slice(), false, None)?.f_clamp_min(1e-9)?;
        Ok(sum.f_div(&count)?)
    }
}

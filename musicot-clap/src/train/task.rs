//! The loss of a micro-batch.

use musicot_core::tch::{self, Kind, Tensor};
use musicot_core::train::{Position, StepLoss, Task};
use musicot_core::{Error, ParamStore, Result};

use super::augment;
use super::config::ClapTrainConfig;
use super::corpus::{Corpus, Pair};
use super::loss::contrastive_loss;
use super::validation::Validation;
use crate::model::Clap;

/// Texts that go through the text tower at once.
const TEXTS_AT_ONCE: usize = 64;

/// Training of a [`Clap`] on a corpus.
pub(super) struct ClapTask<'a> {
    model: Clap,
    corpus: Corpus,
    validation: Option<Validation>,
    config: &'a ClapTrainConfig,
    /// Outputs of the frozen text tower `[texts, hidden]`.
    pooled: Option<Tensor>,
}

impl<'a> ClapTask<'a> {
    /// With a frozen text tower, all captions go through it here.
    pub(super) fn new(
        model: Clap,
        corpus: Corpus,
        validation: Option<Validation>,
        config: &'a ClapTrainConfig,
    ) -> Result<Self> {
        let pooled = if config.freeze_text { Some(pool_all(&model, &corpus.texts)?) } else { None };
        Ok(Self { model, corpus, validation, config, pooled })
    }

    pub(super) fn model(&self) -> &Clap {
        &self.model
    }

    /// Outputs of the text tower for the pairs' captions.
    fn pooled(&self, pairs: &[Pair]) -> Result<Tensor> {
        match &self.pooled {
            Some(pooled) => {
                let rows: Vec<i64> = pairs.iter().map(|pair| pair.caption.text as i64).collect();
                Ok(pooled.f_index_select(0, &Tensor::f_from_slice(&rows)?.f_to_device(pooled.device())?)?)
            }
            None => {
                let texts: Vec<&str> =
                    pairs.iter().map(|p| self.corpus.texts[p.caption.text].as_str()).collect();
                self.model.pooled_text(&texts)
            }
        }
    }
}

impl Task for ClapTask<'_> {
    fn params(&self) -> &ParamStore {
        self.model.params()
    }

    fn loss(&mut self, at: &Position) -> Result<StepLoss> {
        let device = self.model.params().device();
        let features = &self.model.config().features;
        let hop_secs = features.hop_samples as f64 / f64::from(features.sample_rate_hz);
        let pairs = self.corpus.draw(at, self.config.batch, self.config.solo_share);
        let mel = augment::windows(&self.corpus, &pairs, &self.config.augmentation, hop_secs, at.rng)?;
        let audio = self.model.embed_mel(&mel.f_to_device(device)?)?;
        let text = self.model.project_text(&self.pooled(&pairs)?)?;
        let (there, back) = self.model.logit_scales()?;
        let loss =
            contrastive_loss(&audio, &text, (&there, &back), &may_match(&pairs)?.f_to_device(device)?)?;
        Ok(StepLoss { loss, metrics: vec![("scale", there.f_double_value(&[])?)] })
    }

    fn after_step(&mut self, _at: &Position) -> Result<()> {
        self.model.clamp_logit_scales()
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        match &self.validation {
            Some(validation) => validation.figures(&self.model),
            None => Ok(Vec::new()),
        }
    }
}

/// `[batch, batch]`: pairs that are no contrast.
fn may_match(pairs: &[Pair]) -> Result<Tensor> {
    let flat: Vec<bool> =
        pairs.iter().flat_map(|one| pairs.iter().map(|other| one.may_match(other))).collect();
    let size = pairs.len() as i64;
    Ok(Tensor::f_from_slice(&flat)?.f_reshape([size, size])?.f_to_kind(Kind::Bool)?)
}

/// Outputs `[texts, hidden]` of the text tower, without gradients.
pub(super) fn pool_all(model: &Clap, texts: &[String]) -> Result<Tensor> {
    if texts.is_empty() {
        return Err(Error::input("captions", "expected at least one, got none"));
    }
    // Texts of like length together, so that little is padding.
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|index| texts[*index].len());
    let parts: Vec<Tensor> = order
        .chunks(TEXTS_AT_ONCE)
        .map(|part| {
            let part: Vec<&str> = part.iter().map(|index| texts[*index].as_str()).collect();
            tch::no_grad(|| model.pooled_text(&part))
        })
        .collect::<Result<_>>()?;
    let mut place = vec![0_i64; texts.len()];
    order.iter().zip(0..).for_each(|(index, row)| place[*index] = row);
    let rows = Tensor::f_from_slice(&place)?.f_to_device(model.params().device())?;
    Ok(Tensor::f_cat(&parts, 0)?.f_index_select(0, &rows)?)
}

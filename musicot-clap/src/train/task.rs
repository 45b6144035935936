//! The loss of a micro-batch.

use musicot_core::tch::{Kind, Tensor};
use musicot_core::train::{Position, StepLoss, Task, loading};
use musicot_core::{CounterRng, ParamStore, Result};

use super::augment;
use super::config::ClapTrainConfig;
use super::corpus::{Corpus, Pair};
use super::frozen::{Heard, Spans, pool_all};
use super::loss::{contrastive_loss, meaning_loss};
use super::validation::Validation;
use crate::model::Clap;

/// Training of a [`Clap`] on a corpus.
pub(super) struct ClapTask<'a> {
    model: Clap,
    corpus: Corpus,
    validation: Option<Validation>,
    config: &'a ClapTrainConfig,
    /// Outputs of the frozen text tower `[texts, hidden]`.
    pooled: Option<Tensor>,
    /// Outputs of the frozen audio tower.
    heard: Option<Heard>,
    /// What the joint space shall keep as the text tower has it.
    spans: Option<Spans>,
}

impl<'a> ClapTask<'a> {
    /// With a frozen tower, all captions or windows go through it here.
    pub(super) fn new(
        model: Clap,
        corpus: Corpus,
        validation: Option<Validation>,
        config: &'a ClapTrainConfig,
    ) -> Result<Self> {
        let pooled = if config.freeze_text { Some(pool_all(&model, &corpus.texts)?) } else { None };
        let heard = if config.freeze_audio { Some(Heard::new(&model, &corpus)?) } else { None };
        let rng = CounterRng::new(config.train.seed).stage("spans");
        let spans = if config.meaning_weight > 0.0 { Some(Spans::new(&model, &corpus, rng)?) } else { None };
        Ok(Self { model, corpus, validation, config, pooled, heard, spans })
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

    /// Embeddings of the pairs' windows, changed at random unless the audio tower is frozen.
    fn embedded(&self, pairs: &[Pair], at: &Position) -> Result<Tensor> {
        if let Some(heard) = &self.heard {
            return heard.of(pairs);
        }
        let features = &self.model.config().features;
        let hop_secs = features.hop_samples as f64 / f64::from(features.sample_rate_hz);
        let changes = &self.config.augmentation;
        let mel = loading(|| augment::windows(&self.corpus, pairs, changes, hop_secs, at.rng))?;
        self.model.embed_mel(&mel.f_to_device(self.model.params().device())?)
    }
}

impl Task for ClapTask<'_> {
    fn params(&self) -> &ParamStore {
        self.model.params()
    }

    fn loss(&mut self, at: &Position) -> Result<StepLoss> {
        let pairs = self.corpus.draw(at, self.config.batch, self.config.solo_share);
        let audio = self.embedded(&pairs, at)?;
        let text = self.model.project_text(&self.pooled(&pairs)?)?;
        let (there, back) = self.model.logit_scales()?;
        let may_match = may_match(&pairs)?.f_to_device(text.device())?;
        let mut loss = contrastive_loss(&audio, &text, (&there, &back), &may_match)?;
        let mut metrics = vec![("scale", there.f_double_value(&[])?)];
        if let Some(spans) = &self.spans {
            let pooled = spans.draw(at, self.config.batch)?;
            let meaning = meaning_loss(&self.model.project_text(&pooled)?, &pooled)?;
            metrics.push(("meaning", meaning.f_double_value(&[])?));
            loss = loss.f_add(&meaning.f_mul_scalar(self.config.meaning_weight)?)?;
        }
        Ok(StepLoss { loss, metrics })
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

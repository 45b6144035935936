//! Outputs of towers that are not trained: computed once.

use std::collections::HashMap;

use musicot_core::tch::{self, Tensor};
use musicot_core::train::Position;
use musicot_core::{CounterRng, Error, Result};

use super::captions;
use super::corpus::{Corpus, Pair, Source};
use crate::model::Clap;

/// Texts that go through the text tower at once.
const TEXTS_AT_ONCE: usize = 64;

/// Spans of captions that are drawn from.
const SPANS: usize = 4096;

/// Windows that go through the audio tower at once.
const CLIPS_AT_ONCE: usize = 16;

/// Embeddings of all windows of a corpus by a frozen audio tower.
pub(super) struct Heard {
    /// Row of the window that starts at a frame of a file.
    rows: HashMap<(String, i64), i64>,
    embedded: Tensor,
}

impl Heard {
    pub(super) fn new(model: &Clap, corpus: &Corpus) -> Result<Self> {
        let sources: Vec<&Source> = corpus.sources().collect();
        let rows = sources.iter().zip(0..).map(|(source, row)| (key(source), row)).collect();
        Ok(Self { rows, embedded: tch::no_grad(|| embed_all(model, corpus, &sources))? })
    }

    /// Embeddings `[pairs, dim]` of the pairs' windows.
    pub(super) fn of(&self, pairs: &[Pair]) -> Result<Tensor> {
        let row = |pair: &Pair| self.rows.get(&key(pair.source)).copied();
        let rows: Option<Vec<i64>> = pairs.iter().map(row).collect();
        let rows = rows.ok_or_else(|| Error::input("pair", "its window is not of this corpus"))?;
        let rows = Tensor::f_from_slice(&rows)?.f_to_device(self.embedded.device())?;
        Ok(self.embedded.f_index_select(0, &rows)?)
    }
}

/// Spans of the captions and what a frozen text tower makes of them.
pub(super) struct Spans {
    pooled: Tensor,
}

impl Spans {
    /// Draws them from the captions of a corpus.
    pub(super) fn new(model: &Clap, corpus: &Corpus, rng: CounterRng) -> Result<Self> {
        let texts = captions::spans(&corpus.texts, SPANS, rng);
        Ok(Self { pooled: pool_all(model, &texts)? })
    }

    /// Some of them `[count, hidden]`, other ones in each step.
    pub(super) fn draw(&self, at: &Position, count: usize) -> Result<Tensor> {
        let rows: Vec<i64> =
            at.items(count, self.pooled.size()[0] as usize).iter().map(|row| *row as i64).collect();
        let rows = Tensor::f_from_slice(&rows)?.f_to_device(self.pooled.device())?;
        Ok(self.pooled.f_index_select(0, &rows)?)
    }
}

fn key(source: &Source) -> (String, i64) {
    (source.name.clone(), source.start)
}

/// Embeddings `[sources, dim]` of windows as they are, with gradients where they are enabled.
pub(super) fn embed_all(model: &Clap, corpus: &Corpus, sources: &[&Source]) -> Result<Tensor> {
    let group = |group: &[&Source]| -> Result<Tensor> {
        let crop = |source: &&Source| corpus.cache.crop(&source.name, source.start, corpus.window_frames);
        let mel = Tensor::f_stack(&group.iter().map(crop).collect::<Result<Vec<_>>>()?, 0)?;
        model.embed_mel(&mel.f_to_device(model.params().device())?)
    };
    let parts = sources.chunks(CLIPS_AT_ONCE).map(group).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::f_cat(&parts, 0)?)
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

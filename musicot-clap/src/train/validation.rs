//! Figures on recordings that are not trained on.

use std::collections::BTreeSet;

use musicot_core::Result;
use musicot_core::tch::{Kind, Tensor};

use super::captions::{HELD_OUT, family_words, fill};
use super::corpus::{Corpus, Source, spread};
use super::frozen::{embed_all, pool_all};
use crate::model::Clap;
use crate::similarity::score;

/// Clips and texts of a validation.
pub(super) struct Validation {
    corpus: Corpus,
    /// Window, its family, and whether its program is never trained on.
    solos: Vec<(Source, usize, bool)>,
    anchors: Vec<String>,
    /// One window and caption per recording.
    mixes: Vec<(Source, String)>,
}

impl Validation {
    /// Takes at most `clips` clips of each kind: equally many per family, and one window per recording.
    pub(super) fn new(train: &Corpus, corpus: Corpus, clips: usize) -> Result<Self> {
        let trained: BTreeSet<(&str, u8)> = train
            .families
            .iter()
            .flat_map(|family| {
                family.clips.iter().filter_map(|clip| Some((family.name.as_str(), clip.program?)))
            })
            .collect();
        let per_family = clips.div_ceil(corpus.families.len().max(1));
        let mut solos = Vec::new();
        for (index, family) in corpus.families.iter().enumerate() {
            for clip in spread(family.clips.iter().collect(), per_family) {
                let is_new =
                    clip.program.is_some_and(|program| !trained.contains(&(family.name.as_str(), program)));
                solos.push((clip.source.clone(), index, is_new));
            }
        }
        let words =
            |name: &str| family_words(name).first().map_or_else(String::new, |word| (*word).to_owned());
        let anchors = corpus.families.iter().map(|family| fill(HELD_OUT, &words(&family.name))).collect();
        let mixes = one_per_record(&corpus, clips);
        Ok(Self { corpus, solos, anchors, mixes })
    }

    /// `family_top1`: share of single parts whose family's anchor scores highest of all families; `family_top1_new` that of programs never
    /// trained on; `recall_1`, `recall_10`: share of recordings whose own caption is among the best of all `recall_pool` captions; `mean_cosine`:
    /// between different clips (1 would be a collapsed space).
    pub(super) fn figures(&self, model: &Clap) -> Result<Vec<(String, f64)>> {
        let mut figures = Vec::new();
        let solos: Vec<&Source> = self.solos.iter().map(|(source, ..)| source).collect();
        let mixes: Vec<&Source> = self.mixes.iter().map(|(source, _)| source).collect();
        let mut embedded = Vec::new();
        if !solos.is_empty() {
            let audio = embed_all(model, &self.corpus, &solos)?;
            self.add_families(model, &audio, &mut figures)?;
            embedded.push(audio);
        }
        if !mixes.is_empty() {
            let audio = embed_all(model, &self.corpus, &mixes)?;
            self.add_recall(model, &audio, &mut figures)?;
            embedded.push(audio);
        }
        figures.push(("mean_cosine".to_owned(), mean_cosine(&Tensor::f_cat(&embedded, 0)?)?));
        Ok(figures)
    }

    fn add_families(&self, model: &Clap, audio: &Tensor, figures: &mut Vec<(String, f64)>) -> Result<()> {
        let anchors: Vec<&str> = self.anchors.iter().map(String::as_str).collect();
        let text = model.project_text(&model.pooled_text(&anchors)?)?;
        let best = musicot_core::tensor::to_ids(&score(audio, &text)?.f_argmax(1, false)?)?;
        let hits: Vec<(bool, bool)> = self
            .solos
            .iter()
            .zip(best)
            .map(|((_, family, is_new), best)| (best == *family as i64, *is_new))
            .collect();
        let share =
            |hits: Vec<bool>| hits.iter().filter(|hit| **hit).count() as f64 / hits.len().max(1) as f64;
        figures.push(("family_top1".to_owned(), share(hits.iter().map(|(hit, _)| *hit).collect())));
        let new: Vec<bool> = hits.iter().filter(|(_, is_new)| *is_new).map(|(hit, _)| *hit).collect();
        if !new.is_empty() {
            figures.push(("family_top1_new".to_owned(), share(new)));
        }
        Ok(())
    }

    fn add_recall(&self, model: &Clap, audio: &Tensor, figures: &mut Vec<(String, f64)>) -> Result<()> {
        let texts: Vec<String> = self.mixes.iter().map(|(_, text)| text.clone()).collect();
        let text = model.project_text(&pool_all(model, &texts)?)?;
        let scores = score(audio, &text)?;
        // Captions that beat a recording's own.
        let own = scores.f_diagonal(0, 0, 1)?.f_unsqueeze(1)?;
        let better = scores.f_gt_tensor(&own)?.f_sum_dim_intlist([1].as_slice(), false, Kind::Int64)?;
        for (name, most) in [("recall_1", 1), ("recall_10", 10)] {
            let share = better.f_lt(most)?.f_to_kind(Kind::Float)?.f_mean(None)?.f_double_value(&[])?;
            figures.push((name.to_owned(), share));
        }
        figures.push(("recall_pool".to_owned(), self.mixes.len() as f64));
        Ok(())
    }
}

/// The middle window of each recording with its section's caption, or the recording's first; no caption twice.
fn one_per_record(corpus: &Corpus, clips: usize) -> Vec<(Source, String)> {
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::new();
    for group in corpus.mixes.chunk_by(|a, b| a.record == b.record) {
        let clip = &group[group.len() / 2];
        let Some(caption) = clip.section.first().or(clip.piece.first()) else { continue };
        if seen.insert(caption.text) {
            chosen.push((clip.source.clone(), corpus.texts[caption.text].clone()));
        }
    }
    spread(chosen, clips)
}

/// Mean cosine between different rows of unit vectors `[count, dim]`.
fn mean_cosine(embedded: &Tensor) -> Result<f64> {
    let count = embedded.size()[0] as f64;
    let all = embedded.f_matmul(&embedded.f_transpose(0, 1)?)?.f_sum(Kind::Float)?.f_double_value(&[])?;
    Ok((all - count) / (count * (count - 1.0)).max(1.0))
}

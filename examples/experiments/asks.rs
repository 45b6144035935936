//! What music is asked for: captions of held-out pieces with their tempo, key and form.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::tensor;
use musicot::core::train::Record;
use musicot::lm::{Conditions, MusicLm, SectionSpan, Tags, tags};
use musicot_eval::key::Key;
use musicot_eval::structure::Section;
use ndarray::Array1;

use crate::Context;
use crate::common::Outcome;
use crate::corpus::{caption, spread};

/// A song that is asked for.
#[derive(Clone)]
pub struct Ask {
    /// The piece that its words are from.
    pub record: Record,
    /// Embedding of the caption.
    pub text: Array1<f32>,
    /// What its plan should be like, from 0 to the length of the clip; empty where no form is asked.
    pub form: Vec<Section>,
    /// Number for the random draws.
    pub number: u64,
}

impl Ask {
    pub fn tempo(&self) -> Option<f64> {
        self.record.tags.tempo_bpm
    }

    pub fn key(&self) -> Option<Key> {
        self.record.tags.key.as_deref().and_then(|key| key.parse().ok())
    }

    /// What a language model is told: tempo and key as tags, whatever else the caption names, and the form.
    pub fn conditions(&self, lm: &MusicLm) -> Outcome<Conditions> {
        let named = tags::parse(caption(&self.record)?, &lm.config().vocab.tags);
        let asked = Tags {
            tempo_bpm: self.record.tags.tempo_bpm,
            key: self.record.tags.key.as_deref().and_then(|key| key.parse().ok()),
            ..Tags::default()
        };
        Ok(Conditions {
            clap: Some(self.text.clone()),
            tags: asked.or(named),
            sections: self.spans(lm.config().plan_window_secs),
            lyrics: String::new(),
        })
    }

    /// The form in plan windows.
    fn spans(&self, window_secs: f64) -> Vec<SectionSpan> {
        let windows = |part: &Section| ((part.end_secs - part.start_secs) / window_secs).round() as usize;
        let span = |part: &Section| SectionSpan { label: part.label.clone(), windows: windows(part).max(1) };
        self.form.iter().map(span).collect()
    }
}

/// Captions of so many held-out pieces, evenly spread; with `form`, of pieces that are long enough for one where there are any.
pub fn asks(context: &Context, clap: &Clap, count: usize, form: Option<f64>) -> Outcome<Vec<Ask>> {
    let window_secs = clap.window_samples() as f64 / f64::from(clap.sample_rate_hz());
    let all = context.heldout.records();
    let least = form.unwrap_or(0.0);
    let long: Vec<&Record> = all.iter().filter(|record| record.duration_secs >= least).collect();
    let fitting = if long.is_empty() { all.iter().collect() } else { long };
    let records: Vec<&Record> = spread(&fitting, Some(count)).into_iter().copied().collect();
    let captions = records.iter().map(|record| caption(record)).collect::<Outcome<Vec<_>>>()?;
    let texts = clap.embed_text(&captions)?;
    let mut asks = Vec::new();
    for (number, record) in records.into_iter().enumerate() {
        asks.push(Ask {
            text: tensor::to_vec(&texts.f_get(number as i64)?)?.into(),
            form: form.map_or_else(Vec::new, |secs| aligned(record, secs, window_secs)),
            record: record.clone(),
            number: number as u64,
        });
    }
    Ok(asks)
}

/// The form of a piece in whole windows: each has the label of the section that covers most of it.
fn aligned(record: &Record, secs: f64, window_secs: f64) -> Vec<Section> {
    let mut form: Vec<Section> = Vec::new();
    let windows = (secs / window_secs).round().max(1.0) as usize;
    for window in 0..windows {
        let (start, end) = (window as f64 * window_secs, (window + 1) as f64 * window_secs);
        let spans = record.sections.iter().map(|part| (part.start_secs, part.end_secs));
        let Some(section) = most_of(spans, start, end).map(|index| &record.sections[index]) else { continue };
        match form.last_mut().filter(|last| last.label == section.label && last.end_secs >= start - 1e-6) {
            Some(last) => last.end_secs = end,
            None => form.push(Section { label: section.label.clone(), start_secs: start, end_secs: end }),
        }
    }
    form
}

/// Which of some stretches of time covers most of another; none where none touches it.
pub fn most_of(stretches: impl Iterator<Item = (f64, f64)>, start: f64, end: f64) -> Option<usize> {
    let shared = stretches.map(|(from, to)| to.min(end) - from.max(start)).enumerate();
    let best = shared.filter(|(_, secs)| *secs > 0.0).max_by(|a, b| a.1.total_cmp(&b.1));
    best.map(|(index, _)| index)
}

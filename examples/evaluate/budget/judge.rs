//! What is measured of each clip.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::codec::resample;
use musicot::core::AudioBuffer;
use musicot::core::tch::Tensor;
use musicot::core::train::Record;
use musicot_eval::embeddings::clap_score;
use musicot_eval::frechet::Gaussian;
use musicot_eval::timbre::FEATURES;
use ndarray::{Array1, Array2, Axis};

use crate::Context;
use crate::common::{Outcome, note};
use crate::compare::{Heard, Likeness};
use crate::corpus::{self, audio, cut, gathered, head, rows, spread};
use crate::music::{Music, key, tempo};

/// Pieces of the reference of the Frechet distances for each piece that is measured.
const REFERENCES: usize = 4;

/// Seconds of a piece of timbre.
const TIMBRE_SECS: f64 = 5.0;

/// A space of features.
#[derive(Debug, Clone, Copy)]
pub enum Space {
    Clap,
    Timbre,
}

pub struct Judge<'a> {
    clap: &'a Clap,
    /// Distributions of other pieces in both spaces, where there are any.
    references: Option<[Gaussian; 2]>,
    /// Deviation of each feature of timbre among these pieces: without it, the few that are large would be all that counts.
    scale: Array1<f32>,
}

/// A piece to compare clips with.
pub struct Piece<'a> {
    heard: Heard,
    tags: Music,
    text: &'a Tensor,
}

/// What was measured of a clip; `None` where there is nothing to compare with.
pub struct Verdict {
    pub chroma: Option<f64>,
    pub onsets: Option<f64>,
    pub clap_score: f64,
    pub tempo: Option<f64>,
    pub key: Option<f64>,
    /// Embeddings of windows, half overlapping, and timbres side by side.
    features: [Array2<f32>; 2],
}

impl Verdict {
    pub fn rows(&self, space: Space) -> &Array2<f32> {
        &self.features[space as usize]
    }
}

impl<'a> Judge<'a> {
    /// Takes the pieces that are not measured as the reference.
    pub fn new(context: &Context, clap: &'a Clap, rate_hz: u32, measured: &[&Record]) -> Outcome<Self> {
        let is_other = |record: &&Record| measured.iter().all(|own| own.id != record.id);
        let others: Vec<&Record> = context.heldout.records().iter().filter(is_other).collect();
        let mut judge = Self { clap, references: None, scale: Array1::ones(FEATURES) };
        let (mut embedded, mut timbres) = (Vec::new(), Vec::new());
        for record in spread(&others, Some(REFERENCES * measured.len())) {
            let clip = head(&audio(&context.heldout, &record.audio, rate_hz)?, context.options.secs)?;
            embedded.push(judge.embed(&clip)?);
            timbres.push(timbre(&clip)?);
        }
        note(format_args!("budget: {} other pieces to compare with", timbres.len()));
        let (embedded, timbres) = (gathered(&embedded), gathered(&timbres));
        if embedded.nrows().min(timbres.nrows()) > 1 {
            judge.scale = timbres.std_axis(Axis(0), 0.0).mapv(|size| if size > 0.0 { size } else { 1.0 });
            let timbres = timbres / &judge.scale;
            judge.references = Some([Gaussian::fit(embedded.view())?, Gaussian::fit(timbres.view())?]);
        }
        Ok(judge)
    }

    pub fn reference(&self, space: Space) -> Option<&Gaussian> {
        self.references.as_ref().map(|both| &both[space as usize])
    }

    pub fn piece<'t>(&self, original: &AudioBuffer, record: &Record, text: &'t Tensor) -> Outcome<Piece<'t>> {
        let tags = Music::tagged(record.tags.tempo_bpm, record.tags.key.as_deref())?;
        Ok(Piece { heard: Heard::of(original)?, tags, text })
    }

    /// `is_paired`: the clip is to have the notes of the piece.
    pub fn clip(&self, piece: &Piece<'_>, clip: &AudioBuffer, is_paired: bool) -> Outcome<Verdict> {
        let mut likeness = Likeness::default();
        if is_paired {
            likeness.push(&piece.heard, clip)?;
        }
        let embedded = self.embed(clip)?;
        let mean = embedded.mean_axis(Axis(0)).ok_or("a clip has no window")?.insert_axis(Axis(0));
        let music = Music::heard(clip)?;
        Ok(Verdict {
            chroma: likeness.chroma.first().copied(),
            onsets: likeness.onsets.first().copied(),
            clap_score: clap_score(mean.view(), rows(piece.text)?.view())?,
            tempo: tempo(&music, &piece.tags)?,
            key: key(&music, &piece.tags)?,
            features: [embedded, timbre(clip)? / &self.scale],
        })
    }

    fn embed(&self, clip: &AudioBuffer) -> Outcome<Array2<f32>> {
        let at_clap = resample(clip, self.clap.sample_rate_hz())?;
        rows(&self.clap.embed_windows(&at_clap, (self.clap.window_samples() / 2).max(1))?)
    }
}

/// Timbres `[pieces, features]`; silence has none.
fn timbre(clip: &AudioBuffer) -> Outcome<Array2<f32>> {
    let mut values = Vec::new();
    for part in cut(clip, TIMBRE_SECS)? {
        values.extend(corpus::timbre(&part)?.into_iter().flatten());
    }
    Ok(Array2::from_shape_vec((values.len() / FEATURES, FEATURES), values)?)
}

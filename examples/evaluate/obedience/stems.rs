//! A second opinion on instruments: a classifier of timbre, fitted on the stems of the training corpus.

use musicot::codec::{AudioCodec, SpectralCodec};
use musicot::core::AudioBuffer;
use musicot::core::train::Dataset;
use musicot_eval::probe::Classifier;
use ndarray::Array2;

use crate::Context;
use crate::codec::round_trip;
use crate::common::{Outcome, note};
use crate::corpus::{spread, stacked, timbre};
use crate::solos::{Cut, Solo, each};

/// Stems of each family that the judges are tried on.
const TRIED: usize = 12;

/// Penalty of the weights.
const L2: f64 = 1e-2;

/// The classifier.
pub struct Probe(Classifier);

impl Probe {
    /// Fits clips of `secs` seconds, each as it is and again through the codec, which generated clips have gone through too.
    pub fn fit(context: &Context, codec: &SpectralCodec, secs: f64) -> Outcome<Self> {
        let train = Dataset::open(&context.options.stems)?;
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        let cut = cut(codec, secs, context.options.judge_stems);
        each(&train, &spread(train.records(), None), &cut, |solo| {
            for clip in [round_trip(codec, &solo.audio)?, solo.audio] {
                if let Some(row) = timbre(&clip)? {
                    rows.push(row.into());
                    labels.push(solo.family.clone());
                }
            }
            Ok(())
        })?;
        note(format_args!("obedience: a probe of {} clips", rows.len()));
        Ok(Self(Classifier::fit(stacked(&rows)?.view(), &labels, L2)?))
    }

    /// The families that it knows.
    pub fn families(&self) -> &[String] {
        self.0.labels()
    }

    /// The most likely family of a clip; none of silence.
    pub fn family(&self, clip: &AudioBuffer) -> Outcome<Option<String>> {
        let Some(row) = timbre(clip)? else { return Ok(None) };
        let row: Array2<f32> = stacked(&[row.into()])?;
        Ok(self.0.predict(row.view())?.first().map(ToString::to_string))
    }
}

/// Hands over stems that nothing was fitted on.
pub fn held_out(
    context: &Context,
    codec: &SpectralCodec,
    secs: f64,
    take: impl FnMut(Solo) -> Outcome,
) -> Outcome {
    each(&context.heldout, &spread(context.heldout.records(), None), &cut(codec, secs, TRIED), take)
}

fn cut(codec: &SpectralCodec, secs: f64, per_family: usize) -> Cut {
    let rate_hz = codec.sample_rate_hz();
    let window = (secs * f64::from(rate_hz)).round() as usize;
    Cut { rate_hz, window, per_family: Some(per_family) }
}

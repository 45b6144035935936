//! Reading plans and recordings: any phrase, as a curve over time.

use musicot_core::tch::{Tensor, no_grad};
use musicot_core::tensor;
use ndarray::{Array2, ArrayView2};

use super::Generator;
use crate::reference::{Recording, embed_recording};
use crate::{Curves, Error, MusicPlan, Result};

impl Generator {
    /// How much of each phrase a plan says, window by window, before any audio exists (paper: analyzability).
    ///
    /// # Errors
    /// There is no phrase, or the plan is not of this model's space.
    pub fn analyze(&mut self, plan: &MusicPlan, phrases: &[&str]) -> Result<Curves> {
        self.curves(plan.embeddings.view(), phrases, plan.window_secs)
    }

    /// The same of a recording of any length, in memory that does not grow with it.
    ///
    /// # Errors
    /// There is no phrase, or the recording cannot be read.
    pub fn analyze_recording(&mut self, recording: impl Into<Recording>, phrases: &[&str]) -> Result<Curves> {
        let (windows, window_secs) = self.listen(&recording.into())?;
        self.curves(windows.view(), phrases, window_secs)
    }

    /// A recording of any length as unit embeddings `[windows, dim]`, window after window, in memory that does not grow with it.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn embed_recording(&mut self, recording: impl Into<Recording>) -> Result<Array2<f32>> {
        Ok(self.listen(&recording.into())?.0)
    }

    /// Phrases as unit embeddings `[phrases, dim]`, in the same space.
    ///
    /// # Errors
    /// There is no phrase.
    pub fn embed_phrases(&mut self, phrases: &[&str]) -> Result<Array2<f32>> {
        if phrases.is_empty() {
            return Err(Error::input("phrases", "expected at least one, got none"));
        }
        matrix(&self.parts.encoder.with(self.memory, |clap| Ok(no_grad(|| clap.embed_text(phrases))?))?)
    }

    /// Unit embeddings `[windows, dim]` and the seconds of a window.
    fn listen(&mut self, recording: &Recording) -> Result<(Array2<f32>, f64)> {
        self.parts.encoder.with(self.memory, |clap| {
            let embedded = no_grad(|| embed_recording(clap, recording, usize::MAX))?;
            Ok((matrix(&embedded)?, clap.window_samples() as f64 / f64::from(clap.sample_rate_hz())))
        })
    }

    fn curves(&mut self, windows: ArrayView2<'_, f32>, phrases: &[&str], window_secs: f64) -> Result<Curves> {
        let texts = self.embed_phrases(phrases)?;
        if texts.ncols() != windows.ncols() {
            let reason = format!("expected {} values per window, got {}", texts.ncols(), windows.ncols());
            return Err(Error::input("plan", reason));
        }
        let names = phrases.iter().map(|phrase| (*phrase).to_owned()).collect();
        Ok(Curves { phrases: names, window_secs, values: texts.dot(&windows.t()).mapv(f64::from) })
    }
}

/// Embeddings `[rows, dim]` as an array.
fn matrix(embedded: &Tensor) -> Result<Array2<f32>> {
    tensor::to_array(embedded)?.into_dimensionality().map_err(|e| Error::input("embeddings", e.to_string()))
}

//! A plan: what a song will be like, before a sample of it exists.

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use crate::{Brief, Error, Result};

/// Format of the file.
const PLAN_FORMAT: u32 = 1;

/// Musical thoughts, one per window, with what they were made for. Readable ([`crate::Generator::analyze`]), editable (its codes),
/// and enough to perform the song.
#[derive(Debug, Clone, PartialEq)]
pub struct MusicPlan {
    /// What the song is to be.
    pub brief: Brief,
    /// Codes `[windows, levels]`.
    pub codes: Array2<i64>,
    /// The thoughts as embeddings in the space of CLAP `[windows, dim]`, decoded from the codes, of unit length.
    pub embeddings: Array2<f32>,
    /// What the model was conditioned on: the prompt's embedding `[dim]`, or the references' mean; `None` for neither.
    pub condition: Option<Vec<f32>>,
    /// Seconds per window.
    pub window_secs: f64,
    /// Whether each code was given (by a reference) and not written by the model, `[windows, levels]`.
    pub fixed: Array2<bool>,
}

/// How a plan is written to a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    format: u32,
    brief: Brief,
    window_secs: f64,
    codes: Vec<Vec<i64>>,
    fixed: Vec<Vec<bool>>,
    embeddings: Vec<Vec<f32>>,
    condition: Option<Vec<f32>>,
}

impl MusicPlan {
    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.codes.nrows()
    }

    /// How near the thoughts are to what they were asked for: the mean over windows of their cosine with the condition, from -1 to 1; `None` without a
    /// condition. Compare plans of one request with it: phrases differ in their base level.
    pub fn fit(&self) -> Option<f64> {
        let condition = self.condition.as_ref()?;
        let cosine = |thought: ArrayView1<'_, f32>| -> f64 {
            thought.iter().zip(condition).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let cosines = self.embeddings.rows().into_iter().map(cosine);
        Some(cosines.sum::<f64>() / self.windows().max(1) as f64)
    }

    /// Writes the plan as JSON, atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let file = PlanFile {
            format: PLAN_FORMAT,
            brief: self.brief.clone(),
            window_secs: self.window_secs,
            codes: rows(&self.codes),
            fixed: rows(&self.fixed),
            embeddings: rows(&self.embeddings),
            condition: self.condition.clone(),
        };
        Ok(write_json(path, &file)?)
    }

    /// Reads a plan that [`MusicPlan::save`] wrote.
    ///
    /// # Errors
    /// The file is missing, malformed, of another format, or its tables do not fit one another.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file: PlanFile = read_json(path)?;
        let wrong = |reason: String| Error::Core(musicot_core::Error::format(path, reason));
        if file.format != PLAN_FORMAT {
            return Err(wrong(format!("expected plan format {PLAN_FORMAT}, got {}", file.format)));
        }
        if !(file.window_secs.is_finite() && file.window_secs > 0.0) {
            return Err(wrong(format!(
                "`window_secs`: expected a positive number, got {}",
                file.window_secs
            )));
        }
        let plan = Self {
            codes: table(file.codes).ok_or_else(|| wrong("`codes` is not a table".to_owned()))?,
            fixed: table(file.fixed).ok_or_else(|| wrong("`fixed` is not a table".to_owned()))?,
            embeddings: table(file.embeddings)
                .ok_or_else(|| wrong("`embeddings` is not a table".to_owned()))?,
            brief: file.brief,
            condition: file.condition,
            window_secs: file.window_secs,
        };
        if plan.codes.dim() != plan.fixed.dim()
            || plan.codes.nrows() != plan.embeddings.nrows()
            || plan.codes.is_empty()
        {
            return Err(wrong("`codes`, `fixed` and `embeddings` do not have the same windows".to_owned()));
        }
        Ok(plan)
    }
}

fn rows<T: Clone>(table: &Array2<T>) -> Vec<Vec<T>> {
    table.rows().into_iter().map(|row| row.to_vec()).collect()
}

fn table<T>(rows: Vec<Vec<T>>) -> Option<Array2<T>> {
    let shape = (rows.len(), rows.first().map_or(0, Vec::len));
    if rows.iter().any(|row| row.len() != shape.1) {
        return None;
    }
    Array2::from_shape_vec(shape, rows.into_iter().flatten().collect()).ok()
}

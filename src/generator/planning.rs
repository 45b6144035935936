//! From a request to a plan.

use std::time::Instant;

use musicot_core::tch::{Kind, Tensor, no_grad};
use musicot_core::tensor;
use musicot_lm::{Conditions, FixedThoughts, PlanRequest, PlanSong, ThoughtCode, tags};
use ndarray::{Array1, Array2};

use super::{Generator, unit};
use crate::progress::report;
use crate::reference::embed_recording;
use crate::{Brief, Error, MusicPlan, Progress, Reference, Request, Result, Step, Timing};

/// What the prompt and the references say, before the language model is asked.
struct Heard {
    condition: Option<Vec<f32>>,
    fixed: FixedThoughts,
}

/// Sizes of a plan.
struct Shape {
    windows: usize,
    levels: usize,
    window_secs: f64,
}

impl Generator {
    pub(super) fn plan_timed(
        &mut self,
        request: &Request,
        progress: &mut dyn Progress,
    ) -> Result<(MusicPlan, Vec<Timing>)> {
        request.validate()?;
        let shape = self.parts.lm.with(self.memory, |lm| {
            let config = lm.config();
            let windows = config.windows_for(config.tokens_for(request.brief.duration_secs)?);
            Ok(Shape { windows, levels: config.vocab.levels, window_secs: config.plan_window_secs })
        })?;
        let mut timings = Vec::new();
        let started = Instant::now();
        let heard = self.hear(request, &shape, progress)?;
        timings.push(Timing { step: Step::Embed, secs: started.elapsed().as_secs_f64() });
        let started = Instant::now();
        let codes = self.think(request, &shape, &heard, progress)?;
        let embeddings = self.decode_thoughts(&codes)?;
        timings.push(Timing { step: Step::Plan, secs: started.elapsed().as_secs_f64() });
        let fixed =
            Array2::from_shape_fn(codes.dim(), |(window, level)| heard.fixed.get(window, level).is_some());
        let plan = MusicPlan {
            brief: request.brief.clone(),
            codes,
            embeddings,
            condition: heard.condition,
            window_secs: shape.window_secs,
            fixed,
        };
        Ok((plan, timings))
    }

    /// Embeds prompt and references.
    fn hear(&mut self, request: &Request, shape: &Shape, progress: &mut dyn Progress) -> Result<Heard> {
        let total = 1 + request.references.len();
        let prompt = request.brief.prompt.trim();
        let mut vectors = Vec::new();
        let mut fixed = FixedThoughts::default();
        report(progress, Step::Embed, 0, total)?;
        for (index, reference) in request.references.iter().enumerate() {
            vectors.push(self.fix_reference(reference, shape, &mut fixed)?);
            report(progress, Step::Embed, index + 1, total)?;
        }
        // Words decide where there are any: a recording in the same space is only a stand-in for them.
        let condition = match (prompt.is_empty(), vectors.is_empty()) {
            (false, _) => {
                let embedded =
                    self.parts.encoder.with(self.memory, |clap| Ok(clap.embed_text(&[prompt])?))?;
                Some(unit(tensor::to_vec(&embedded)?)?)
            }
            (true, false) => Some(unit(mean(&vectors))?),
            (true, true) => None,
        };
        report(progress, Step::Embed, total, total)?;
        Ok(Heard { condition, fixed })
    }

    /// Fixes the codes of a reference; returns the mean of its thoughts.
    fn fix_reference(
        &mut self,
        reference: &Reference,
        shape: &Shape,
        fixed: &mut FixedThoughts,
    ) -> Result<Vec<f32>> {
        let room = shape.windows.saturating_sub(reference.at_window);
        if room == 0 {
            let reason =
                format!("starts at window {}, but the plan has {}", reference.at_window, shape.windows);
            return Err(Error::input("reference", reason));
        }
        let levels = reference.levels.unwrap_or(shape.levels);
        if levels == 0 || levels > shape.levels {
            return Err(Error::input(
                "reference levels",
                format!("expected 1 to {}, got {levels}", shape.levels),
            ));
        }
        let embedded = self
            .parts
            .encoder
            .with(self.memory, |clap| no_grad(|| embed_recording(clap, &reference.recording, room)))?;
        let codes = self.parts.quantizer.with(self.memory, |rvq| Ok(rvq.encode(&embedded)?))?;
        let codes = tensor::to_ids(&codes)?;
        for (window, codes) in codes.chunks(shape.levels).enumerate() {
            let codes: Vec<ThoughtCode> =
                codes[..levels].iter().map(|code| ThoughtCode(*code as u32)).collect();
            fixed.fix_window(reference.at_window + window, &codes);
        }
        Ok(tensor::to_vec(&embedded.f_mean_dim([0].as_slice(), false, Kind::Float)?)?)
    }

    /// Runs the first phase of the language model.
    fn think(
        &mut self,
        request: &Request,
        shape: &Shape,
        heard: &Heard,
        progress: &mut dyn Progress,
    ) -> Result<Array2<i64>> {
        let (brief, settings) = (&request.brief, &request.settings);
        self.parts.lm.with(self.memory, |lm| {
            let conditions = conditions(lm, brief, heard.condition.as_deref());
            let song = PlanSong { conditions, number: 0, fixed: heard.fixed.clone() };
            let asked = PlanRequest { songs: vec![song], windows: shape.windows, seed: settings.seeds.plan };
            let mut codes = Array2::zeros((shape.windows, shape.levels));
            let thoughts = lm.thoughts(&asked, &settings.policy.thoughts)?;
            let total = thoughts.steps();
            for (done, step) in thoughts.enumerate() {
                let step = step?;
                codes[[step.window, step.level]] = i64::from(step.codes[0].0);
                report(progress, Step::Plan, done + 1, total)?;
            }
            Ok(codes)
        })
    }

    /// Codes `[windows, levels]` to unit embeddings `[windows, dim]`.
    pub(super) fn decode_thoughts(&mut self, codes: &Array2<i64>) -> Result<Array2<f32>> {
        let flat: Vec<i64> = codes.iter().copied().collect();
        let (windows, levels) = codes.dim();
        let decoded = self.parts.quantizer.with(self.memory, |rvq| {
            let codes = Tensor::f_from_slice(&flat)?.f_reshape([windows as i64, levels as i64])?;
            Ok(rvq.decode(&codes.f_to_device(self.device)?)?)
        })?;
        let dim = decoded.size()[1] as usize;
        let mut rows = Vec::with_capacity(windows * dim);
        for row in tensor::to_vec(&decoded)?.chunks(dim.max(1)) {
            rows.extend(unit(row.to_vec())?);
        }
        Array2::from_shape_vec((windows, dim), rows).map_err(|e| Error::input("plan", e.to_string()))
    }
}

/// What the language model is told: explicit tags first, then those that the prompt names.
pub(super) fn conditions(lm: &musicot_lm::MusicLm, brief: &Brief, condition: Option<&[f32]>) -> Conditions {
    let named = tags::parse(&brief.prompt, &lm.config().vocab.tags);
    Conditions {
        clap: condition.map(|values| Array1::from(values.to_vec())),
        tags: brief.tags.clone().or(named),
        sections: brief.sections.clone(),
        lyrics: brief.lyrics.clone(),
    }
}

fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        for (total, value) in sum.iter_mut().zip(vector) {
            *total += value / vectors.len() as f32;
        }
    }
    sum
}

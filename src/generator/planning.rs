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

/// Drafts that are written at once: the cache of more would not be small beside the model.
const DRAFTED: usize = 8;

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
    /// The draft that fits best.
    pub(super) fn plan_timed(
        &mut self,
        request: &Request,
        progress: &mut dyn Progress,
    ) -> Result<(MusicPlan, Vec<Timing>)> {
        let (plans, timings) = self.drafts_timed(request, progress)?;
        let best = plans.into_iter().next().ok_or_else(|| Error::input("drafts", "there is none"))?;
        Ok((best, timings))
    }

    /// All drafts, the best first.
    pub(super) fn drafts_timed(
        &mut self,
        request: &Request,
        progress: &mut dyn Progress,
    ) -> Result<(Vec<MusicPlan>, Vec<Timing>)> {
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
        let mut plans = Vec::with_capacity(codes.len());
        for codes in codes {
            plans.push(self.drafted(codes, request, &shape, &heard)?);
        }
        // The sort is stable: of equals the first drawn comes first.
        let fit = |plan: &MusicPlan| plan.fit().unwrap_or(0.0);
        plans.sort_by(|one, other| fit(other).total_cmp(&fit(one)));
        timings.push(Timing { step: Step::Plan, secs: started.elapsed().as_secs_f64() });
        Ok((plans, timings))
    }

    fn drafted(
        &mut self,
        codes: Array2<i64>,
        request: &Request,
        shape: &Shape,
        heard: &Heard,
    ) -> Result<MusicPlan> {
        let is_fixed = |(window, level)| heard.fixed.get(window, level).is_some();
        Ok(MusicPlan {
            brief: request.brief.clone(),
            embeddings: self.decode_thoughts(&codes)?,
            fixed: Array2::from_shape_fn(codes.dim(), is_fixed),
            codes,
            condition: heard.condition.clone(),
            window_secs: shape.window_secs,
        })
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

    /// Runs the first phase of the language model: the codes `[windows, levels]` of every draft, in the order they are numbered.
    fn think(
        &mut self,
        request: &Request,
        shape: &Shape,
        heard: &Heard,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Array2<i64>>> {
        let (brief, settings) = (&request.brief, &request.settings);
        self.parts.lm.with(self.memory, |lm| {
            let conditions = conditions(lm, brief, heard.condition.as_deref());
            let mut drafts = vec![Array2::zeros((shape.windows, shape.levels)); settings.drafts];
            let (mut done, total) = (0, settings.drafts * shape.windows * shape.levels);
            for (group, drafts) in drafts.chunks_mut(DRAFTED).enumerate() {
                let numbers = (group * DRAFTED) as u64..;
                let song = |(number, _)| PlanSong {
                    conditions: conditions.clone(),
                    number,
                    fixed: heard.fixed.clone(),
                };
                let songs = numbers.zip(&*drafts).map(song).collect();
                let asked = PlanRequest { songs, windows: shape.windows, seed: settings.seeds.plan };
                for step in lm.thoughts(&asked, &settings.policy.thoughts)? {
                    let step = step?;
                    for (draft, code) in drafts.iter_mut().zip(&step.codes) {
                        draft[[step.window, step.level]] = i64::from(code.0);
                    }
                    done += step.codes.len();
                    report(progress, Step::Plan, done, total)?;
                }
            }
            Ok(drafts)
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

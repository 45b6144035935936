//! Batches of random crops: a pure function of the position in the run.

use musicot_core::CounterRng;
use musicot_core::tch::{Device, Kind, Tensor};

use super::config::{Crops, DiffusionTrainConfig, Dropout, TimeSampling};
use super::dataset::LatentDataset;
use crate::condition::{Keep, Thoughts, frame_windows, mask};
use crate::{Condition, Result};

/// Crops with their conditions.
pub(super) struct Batch {
    /// `[batch, latent_dim, frames]` in the codec's units.
    pub latents: Tensor,
    pub condition: Condition,
}

/// Where a crop is, and which of the piece's texts goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub piece: usize,
    pub start: usize,
    pub text: usize,
}

/// Draws the crops of a micro-batch: every crop of the batch's length is as likely as any other. Pieces shorter than the
/// length drawn shorten the whole batch.
pub(super) fn draw_places(
    data: &LatentDataset,
    crops: &Crops,
    rng: CounterRng,
    index: u64,
) -> (usize, Vec<Place>) {
    let mut draws = rng.stage("crop").at(index);
    let frames = crops.frames.get(draws.below(crops.frames.len())).copied().unwrap_or(1);
    let items = (crops.batch_frames / frames).max(1);
    let pieces: Vec<usize> = (0..items).map(|_| data.piece_at(draws.below(data.frames()))).collect();
    let frames = pieces.iter().map(|piece| data.pieces()[*piece].frames).fold(frames, usize::min);
    let places = pieces.into_iter().map(|piece| {
        let entry = &data.pieces()[piece];
        Place { piece, start: draws.below(entry.frames - frames + 1), text: draws.below(entry.texts) }
    });
    (frames, places.collect())
}

/// Reads crops with all their conditions.
pub(super) fn read(data: &LatentDataset, frames: usize, places: &[Place], device: Device) -> Result<Batch> {
    let (mut latents, mut semantic, mut thoughts, mut windows, mut text) =
        (vec![], vec![], vec![], vec![], vec![]);
    // A crop touches at most this many windows.
    let count = (frames.saturating_sub(1) as f64 / data.info().frames_per_thought.max(1.0)) as i64 + 2;
    for place in places {
        let crop = data.crop(place.piece, place.start, frames)?;
        let all = crop.thoughts.size()[0];
        let index = frame_windows(place.start, frames, data.info().frames_per_thought, all as usize);
        let first = index.first().copied().unwrap_or(0);
        // Repeating the last window fills the batch's common shape; no frame refers to it.
        let rows: Vec<i64> = (first..first + count).map(|window| window.min(all - 1)).collect();
        thoughts.push(crop.thoughts.f_index_select(0, &Tensor::f_from_slice(&rows)?)?);
        windows.push(Tensor::f_from_slice(&index)?.f_sub_scalar(first)?);
        text.push(crop.text.f_select(0, place.text as i64)?);
        latents.push(crop.latents.f_transpose(0, 1)?);
        semantic.push(crop.semantic);
    }
    let stack = |parts: &[Tensor]| -> Result<Tensor> { Ok(Tensor::f_stack(parts, 0)?.f_to_device(device)?) };
    let thoughts = Thoughts { embeddings: stack(&thoughts)?, frame_windows: stack(&windows)? };
    let condition = Condition {
        semantic: Some(stack(&semantic)?),
        thoughts: Some(thoughts),
        text: Some(stack(&text)?),
        ..Condition::default()
    };
    Ok(Batch { latents: stack(&latents)?, condition })
}

/// Draws which items keep which conditions.
pub(super) fn draw_keep(
    dropout: &Dropout,
    rng: CounterRng,
    index: u64,
    items: usize,
    device: Device,
) -> Result<Keep> {
    let mut draws = rng.stage("condition-dropout").at(index);
    let mut kept = [vec![], vec![], vec![]];
    for _ in 0..items {
        let all = draws.uniform_f64() < dropout.all;
        for (list, probability) in kept.iter_mut().zip([dropout.semantic, dropout.thoughts, dropout.text]) {
            // Drawn even when not needed, so that one probability does not shift the draws of another.
            list.push(draws.uniform_f64() >= probability && !all);
        }
    }
    let [semantic, thoughts, text] = kept.map(|list| mask(&list, &[items as i64], device));
    Ok(Keep { semantic: Some(semantic?), thoughts: Some(thoughts?), text: Some(text?) })
}

/// Draws the frames that are given clean: bool `[batch, frames]`, never all of an item.
pub(super) fn draw_known(
    crops: &Crops,
    rng: CounterRng,
    index: u64,
    (items, frames): (usize, usize),
    device: Device,
) -> Result<Tensor> {
    let mut draws = rng.stage("known").at(index);
    let mut known = Vec::with_capacity(items * frames);
    for _ in 0..items {
        let kind = draws.uniform_f64();
        let (left, right) = (draws.uniform_f64(), draws.uniform_f64());
        let part = |share: f64| (share * frames as f64) as usize;
        let (start, end) = match () {
            () if kind < crops.prefix => (part(left * 0.5), frames),
            () if kind < crops.prefix + crops.hole => (part(left * 0.25), frames - part(right * 0.25)),
            () => (0, frames),
        };
        known.extend((0..frames).map(|frame| frame < start || frame >= end));
    }
    mask(&known, &[items as i64, frames as i64], device)
}

/// Draws times `[items]`, spread evenly over the distribution's quantiles, which lowers the variance of the loss.
pub(super) fn draw_times(
    sampling: TimeSampling,
    rng: CounterRng,
    index: u64,
    items: usize,
    device: Device,
) -> Result<Tensor> {
    let mut draws = rng.stage("time").at(index);
    let offset = draws.uniform_f64();
    let quantiles: Vec<f64> =
        (0..items).map(|item| ((item as f64 + offset) / items as f64).fract()).collect();
    let uniform = Tensor::f_from_slice(&quantiles)?;
    let times = match sampling {
        TimeSampling::Uniform => uniform,
        TimeSampling::LogitNormal { mean, deviation } => {
            // The normal's quantile is sqrt(2) erfinv(2 u - 1); u = 0 gives -infinity, whose logistic is 0.
            let normal = uniform
                .f_mul_scalar(2.0)?
                .f_sub_scalar(1.0)?
                .f_erfinv()?
                .f_mul_scalar(std::f64::consts::SQRT_2)?;
            normal.f_mul_scalar(deviation)?.f_add_scalar(mean)?.f_sigmoid()?
        }
    };
    Ok(times.f_to_kind(Kind::Float)?.f_to_device(device)?)
}

/// Standard normal values in the shape of the latents `[batch, latent_dim, frames]`.
pub(super) fn draw_noise(rng: CounterRng, index: u64, latents: &Tensor) -> Result<Tensor> {
    rng.stage("noise").normal(index, &latents.size(), latents.device())
}

/// Validation crops, evenly spread over the pieces and within them.
pub(super) fn validation_places(data: &LatentDataset, config: &DiffusionTrainConfig) -> (usize, Vec<Place>) {
    let (items, pieces) = (config.validation_items, data.pieces());
    let chosen: Vec<usize> =
        (0..items).map(|item| (item * pieces.len() / items).min(pieces.len() - 1)).collect();
    let frames = chosen.iter().map(|piece| pieces[*piece].frames).fold(config.validation_frames, usize::min);
    let places = chosen.into_iter().enumerate().map(|(item, piece)| {
        let room = pieces[piece].frames - frames;
        Place { piece, start: room * item / items.max(1), text: item % pieces[piece].texts }
    });
    (frames, places.collect())
}

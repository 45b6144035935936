//! Whether the plan helps: likelihoods per piece, for paired comparisons.

use musicot_core::tch::no_grad_guard;
use ndarray::Array2;

use super::batch::Crop;
use super::{TokenDataset, TokenPiece};
use crate::config::PlanMode;
use crate::{Conditions, Error, MusicLm, Plan, Result, Score, Song};

/// Which plan the model is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanSource {
    /// The piece's own.
    Right,
    /// That of the next piece of the dataset (its windows again from the start where it is shorter).
    Other,
    /// None.
    None,
}

/// Which conditions the model is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Given {
    /// The first caption's embedding (the recording's where there is no caption), tags, sections and lyrics.
    #[default]
    All,
    /// The embedding alone, as in the paper.
    Embedding,
    /// None.
    Nothing,
}

/// How likelihoods are measured.
#[derive(Debug, Clone, PartialEq)]
pub struct NllConfig {
    /// Pieces are read in crops of so many plan windows, one after the other.
    pub max_windows: usize,
    /// Crops in a batch.
    pub batch: usize,
    /// What the model is given beside the plan.
    pub given: Given,
}

impl Default for NllConfig {
    fn default() -> Self {
        Self { max_windows: 4, batch: 4, given: Given::All }
    }
}

/// Mean negative log-likelihood, in nats per audio token, of each piece.
///
/// # Errors
/// The dataset does not fit the model; a plan is asked of a model without one; [`PlanSource::Other`] of a single piece.
pub fn audio_nll_per_piece(
    model: &MusicLm,
    data: &TokenDataset,
    plan: PlanSource,
    config: &NllConfig,
) -> Result<Vec<f64>> {
    per_piece(model, data, plan, config, |score| &score.audio)
}

/// Mean negative log-likelihood, in nats per code, of each piece's plan.
///
/// # Errors
/// The dataset does not fit the model, or the model has no plan.
pub fn thought_nll_per_piece(model: &MusicLm, data: &TokenDataset, config: &NllConfig) -> Result<Vec<f64>> {
    per_piece(model, data, PlanSource::Right, config, |score| &score.thoughts)
}

fn per_piece(
    model: &MusicLm,
    data: &TokenDataset,
    plan: PlanSource,
    config: &NllConfig,
    part: fn(&Score) -> &Vec<f32>,
) -> Result<Vec<f64>> {
    let _no_grad = no_grad_guard();
    data.expect(model.config())?;
    if plan != PlanSource::None && model.config().plan == PlanMode::None {
        return Err(Error::input("plan", "this model was trained without one"));
    }
    if plan == PlanSource::Other && data.pieces().len() < 2 {
        return Err(Error::input("plan", "another piece's plan needs at least two pieces"));
    }
    let mut songs: Vec<(usize, Song)> = Vec::new();
    for (index, piece) in data.pieces().iter().enumerate() {
        let other = &data.pieces()[(index + 1) % data.pieces().len()];
        songs.extend(crops(model, piece, other, plan, config)?.into_iter().map(|song| (index, song)));
    }
    // Crops of one length side by side: little is padded.
    songs.sort_by_key(|(index, song)| (song.audio.len(), *index));
    let mut sums = vec![(0.0_f64, 0_usize); data.pieces().len()];
    for batch in songs.chunks(config.batch.max(1)) {
        let only: Vec<Song> = batch.iter().map(|(_, song)| song.clone()).collect();
        for ((index, _), score) in batch.iter().zip(model.score(&only)?) {
            sums[*index].0 += part(&score).iter().map(|nll| f64::from(*nll)).sum::<f64>();
            sums[*index].1 += part(&score).len();
        }
    }
    Ok(sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect())
}

/// A piece as crops, one after the other.
fn crops(
    model: &MusicLm,
    piece: &TokenPiece,
    other: &TokenPiece,
    plan: PlanSource,
    config: &NllConfig,
) -> Result<Vec<Song>> {
    let windows = piece.thoughts.nrows();
    let clap = match piece.text_clap.nrows() {
        0 => piece.audio_clap.clone(),
        _ => piece.text_clap.row(0).to_owned(),
    };
    let step =
        config.max_windows.clamp(1, (model.config().reach_tokens() / model.config().window_tokens()).max(1));
    let crop = |start: usize| {
        let count = step.min(windows - start);
        let mut song = Crop::new(piece, start, count, model.config()).song(
            clap.clone(),
            model.config(),
            model.vocab(),
        )?;
        match plan {
            PlanSource::Right => {}
            PlanSource::None => song.plan = None,
            PlanSource::Other => {
                let code =
                    |(window, level)| other.thoughts[[(start + window) % other.thoughts.nrows(), level]];
                song.plan = Some(Plan::new(
                    Array2::from_shape_fn((count, piece.thoughts.ncols()), code),
                    model.vocab(),
                )?);
            }
        }
        song.conditions = match config.given {
            Given::All => song.conditions,
            Given::Embedding => Conditions { clap: song.conditions.clap, ..Conditions::default() },
            Given::Nothing => Conditions::default(),
        };
        song.rest = song.rest.filter(|_| config.given == Given::All);
        Ok(song)
    };
    (0..windows).step_by(step).map(crop).collect()
}

/// Mean of some figures.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

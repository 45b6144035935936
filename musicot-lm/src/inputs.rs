//! From conditions, plans and tokens to embeddings: the parameters beside the decoder.

use musicot_core::nn::Linear;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Init, Scope};

use crate::causal::CausalLm;
use crate::clock::{BEAT_FEATURES, BeatClock, END_FEATURES, end_features};
use crate::conditions::EncodedConditions;
use crate::vocab::TokenId;
use crate::{MusicLmConfig, Result};

/// Projections of the CLAP embedding and of the plan.
#[derive(Debug)]
pub(crate) struct Inputs {
    clap: Linear,
    /// Stands for the CLAP embedding where it is dropped, `[clap_positions, dim]`.
    clap_null: Tensor,
    /// From a window's thought, the sum of its codes' embeddings, to what is added to each of its audio positions.
    window: Linear,
    /// From the sum of the tags' embeddings to what is added to every audio position.
    tags: Option<Linear>,
    /// From [`BeatClock::features`] to what is added to an audio position.
    beat: Option<Linear>,
    /// From [`end_features`] to what is added to an audio position.
    end: Option<Linear>,
    token_rate_hz: f64,
    positions: i64,
    dim: i64,
    device: Device,
}

/// A row of [`Inputs::clocks`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockRow {
    pub(crate) tempo_bpm: Option<f64>,
    /// The column that predicts the first of the row's audio tokens.
    pub(crate) column: usize,
    /// Which token of the piece that is.
    pub(crate) token: usize,
    /// How many tokens the piece has from there to its end, where that is known.
    pub(crate) left: Option<usize>,
}

/// On which side rows of different lengths are flush; the other one is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Start,
    End,
}

impl Inputs {
    pub(crate) fn new(scope: &Scope, config: &MusicLmConfig, dim: i64) -> Result<Self> {
        let positions = config.clap_positions;
        let added = |name| Linear::with_init(&scope.sub(name), dim, dim, false, Init::Normal(0.02));
        let clock = |name, features: usize| {
            Linear::with_init(&scope.sub(name), features as i64, dim, false, Init::Normal(0.005))
        };
        Ok(Self {
            clap: Linear::new(&scope.sub("clap_proj"), config.clap_dim, positions * dim, false)?,
            clap_null: scope.table("clap_null", &[positions, dim], Init::Normal(0.02))?,
            window: added("window_proj")?,
            tags: config.tags_everywhere.then(|| added("tags_proj")).transpose()?,
            beat: config.beat_clock.then(|| clock("clock_proj", BEAT_FEATURES)).transpose()?,
            end: config.end_clock.then(|| clock("end_proj", END_FEATURES)).transpose()?,
            token_rate_hz: config.token_rate_hz,
            positions,
            dim,
            device: scope.device(),
        })
    }

    /// Ids of the conditions: `<bos>`, places for CLAP, condition tokens. The places hold `<pad>` until [`Inputs::rows`].
    pub(crate) fn condition_ids(&self, conditions: &EncodedConditions) -> Vec<i64> {
        let mut ids = vec![TokenId::BOS.value()];
        ids.resize(1 + self.positions as usize, TokenId::PAD.value());
        ids.extend(&conditions.ids);
        ids
    }

    /// Embeddings `[rows, columns, dim]` of sequences that begin with [`Inputs::condition_ids`], and how many positions of each row are
    /// filling.
    pub(crate) fn rows(
        &self,
        lm: &dyn CausalLm,
        rows: &[(&EncodedConditions, Vec<i64>)],
        align: Align,
    ) -> Result<(Tensor, Vec<i64>)> {
        let columns = rows.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
        let mut ids = vec![TokenId::PAD.value(); rows.len() * columns];
        let (mut padding, mut places) = (Vec::new(), Vec::new());
        for (row, (_, own)) in rows.iter().enumerate() {
            let filling = columns - own.len();
            let start = row * columns + if align == Align::End { filling } else { 0 };
            ids[start..start + own.len()].copy_from_slice(own);
            padding.push(filling as i64);
            places.extend(start as i64 + 1..start as i64 + 1 + self.positions);
        }
        let count = rows.len() as i64;
        let ids = Tensor::f_from_slice(&ids)?.f_reshape([count, columns as i64])?.f_to_device(self.device)?;
        let embedded = lm.embed(&ids)?.f_reshape([-1, self.dim])?;
        let places = Tensor::f_from_slice(&places)?.f_to_device(self.device)?;
        let clap = self.clap_vectors(&rows.iter().map(|(conditions, _)| *conditions).collect::<Vec<_>>())?;
        let placed = embedded.f_index_copy(0, &places, &clap.f_to_kind(embedded.kind())?)?;
        Ok((placed.f_reshape([count, columns as i64, self.dim])?, padding))
    }

    /// `[rows * clap_positions, dim]`.
    fn clap_vectors(&self, rows: &[&EncodedConditions]) -> Result<Tensor> {
        let dim = self.clap.weight().size()[1];
        let mut values = Vec::new();
        let mut present: Vec<f32> = Vec::new();
        for conditions in rows {
            match &conditions.clap {
                Some(clap) => values.extend(clap),
                None => values.resize(values.len() + dim as usize, 0.0),
            }
            present.push(if conditions.clap.is_some() { 1.0 } else { 0.0 });
        }
        let count = rows.len() as i64;
        let kind = self.clap.weight().kind();
        let clap = Tensor::f_from_slice(&values)?
            .f_reshape([count, dim])?
            .f_to_device(self.device)?
            .f_to_kind(kind)?;
        let present = Tensor::f_from_slice(&present)?.f_reshape([count, 1, 1])?.f_to_device(self.device)?;
        let projected = self.clap.forward(&clap)?.f_reshape([count, self.positions, self.dim])?;
        // A dropped embedding is all zeros, and so is its projection, which has no bias.
        let null = self.clap_null.f_unsqueeze(0)?.f_mul(&present.f_rsub_scalar(1.0)?)?;
        Ok(projected.f_add(&null)?.f_reshape([-1, self.dim])?)
    }

    /// What each window adds to its audio positions: thought ids `[rows, windows, levels]` to `[rows, windows, dim]`.
    pub(crate) fn windows(&self, lm: &dyn CausalLm, thoughts: &Tensor) -> Result<Tensor> {
        let summed = lm.embed(thoughts)?.f_sum_dim_intlist([2_i64].as_slice(), false, None::<Kind>)?;
        Ok(self.window.forward(&summed)?)
    }

    /// What tags add to all audio positions of their row, `[rows, dim]`; `None` where the model reads them at the start only.
    pub(crate) fn tags(&self, lm: &dyn CausalLm, rows: &[&EncodedConditions]) -> Result<Option<Tensor>> {
        let Some(tags) = &self.tags else { return Ok(None) };
        let (mut ids, mut owners) = (Vec::new(), Vec::new());
        for (row, conditions) in rows.iter().enumerate() {
            ids.extend(&conditions.ids[..conditions.tags]);
            owners.resize(ids.len(), row as i64);
        }
        let to_device = |values: &[i64]| Tensor::f_from_slice(values)?.f_to_device(self.device);
        let embedded = lm.embed(&to_device(&ids)?)?;
        let none = Tensor::f_zeros([rows.len() as i64, self.dim], (embedded.kind(), self.device))?;
        Ok(Some(tags.forward(&none.f_index_add(0, &to_device(&owners)?, &embedded)?)?))
    }

    /// What the clocks add to positions, `[rows, columns, dim]`. `None` where the model has none; columns before the audio, and rows that lack
    /// what a clock goes by, get nothing from it.
    pub(crate) fn clocks(&self, rows: &[ClockRow], columns: usize) -> Result<Option<Tensor>> {
        let beat = |row: &ClockRow| {
            let (clock, first) = (BeatClock::new(row.tempo_bpm?, self.token_rate_hz), row.token);
            Some(move |n| clock.features(first.saturating_add(n)))
        };
        let end = |row: &ClockRow| {
            let left = row.left?;
            Some(move |n| end_features(left.saturating_sub(n) as f64 / self.token_rate_hz))
        };
        let beat =
            self.beat.as_ref().map(|beat_proj| self.clock(beat_proj, rows, columns, beat)).transpose()?;
        let end = self.end.as_ref().map(|end_proj| self.clock(end_proj, rows, columns, end)).transpose()?;
        Ok(match (beat, end) {
            (Some(beat), Some(end)) => Some(beat.f_add(&end)?),
            (beat, end) => beat.or(end),
        })
    }

    /// The projection of the features of each position, `[rows, columns, dim]`; `features` of a row gives those of its `n`th audio position.
    fn clock<const N: usize, F: Fn(usize) -> [f32; N]>(
        &self,
        projection: &Linear,
        rows: &[ClockRow],
        columns: usize,
        features: impl Fn(&ClockRow) -> Option<F>,
    ) -> Result<Tensor> {
        let mut values = vec![0.0_f32; rows.len() * columns * N];
        for (own, row) in values.chunks_exact_mut(columns * N).zip(rows) {
            let Some(features) = features(row) else { continue };
            for (n, place) in own.chunks_exact_mut(N).skip(row.column).enumerate() {
                place.copy_from_slice(&features(n));
            }
        }
        let shape = [rows.len() as i64, columns as i64, N as i64];
        let values = Tensor::f_from_slice(&values)?.f_reshape(shape)?.f_to_device(self.device)?;
        projection.forward(&values.f_to_kind(projection.weight().kind())?).map_err(Into::into)
    }
}

//! What audio positions are told beside the token before them: the plan window that they are in, the tags, the beat.

use musicot_core::tch::{Tensor, no_grad_guard};

use crate::conditions::EncodedConditions;
use crate::inputs::ClockRow;
use crate::plan::Plan;
use crate::{MusicLm, Result};

/// Positions whose beats are computed at a time.
const STRETCH: usize = 64;

pub(super) struct Told<'a> {
    model: &'a MusicLm,
    /// What each window adds, `[rows, dim]` per window; empty for nothing.
    windows: Vec<Tensor>,
    /// The tempo of each row; empty where the model has no clock, or no row a tempo.
    tempi: Vec<Option<f64>>,
    /// What the beats of the latest stretch add, `[rows, dim]` per position, and the first of its positions.
    beats: (usize, Vec<Tensor>),
}

impl<'a> Told<'a> {
    pub(super) fn new(model: &'a MusicLm, rows: &[(&EncodedConditions, Option<&Plan>)]) -> Result<Self> {
        let _no_grad = no_grad_guard();
        let windows = match model.audio_vectors(rows)? {
            Some(all) => (0..all.size()[1])
                .map(|window| Ok(all.f_select(1, window)?.f_contiguous()?))
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let mut tempi: Vec<_> = rows.iter().map(|(conditions, _)| conditions.tempo_bpm).collect();
        if !model.config().beat_clock || tempi.iter().all(Option::is_none) {
            tempi.clear();
        }
        Ok(Self { model, windows, tempi, beats: (0, Vec::new()) })
    }

    /// What is added to the position that predicts token `n`, `[rows, dim]`.
    pub(super) fn at(&mut self, n: usize) -> Result<Option<Tensor>> {
        let _no_grad = no_grad_guard();
        let window = self.windows.get(n / self.model.config().window_tokens()).or(self.windows.last());
        let window = window.map(Tensor::shallow_clone);
        Ok(match (window, self.beat(n)?) {
            (Some(window), Some(beat)) => Some(window.f_add(beat)?),
            (window, beat) => window.or_else(|| beat.map(Tensor::shallow_clone)),
        })
    }

    fn beat(&mut self, n: usize) -> Result<Option<&Tensor>> {
        if self.tempi.is_empty() {
            return Ok(None);
        }
        if !(self.beats.0..self.beats.0 + self.beats.1.len()).contains(&n) {
            let row = |tempo_bpm: &Option<f64>| ClockRow { tempo_bpm: *tempo_bpm, column: 0, token: n };
            let rows: Vec<ClockRow> = self.tempi.iter().map(row).collect();
            let Some(all) = self.model.inputs.clock(&rows, STRETCH)? else { return Ok(None) };
            let beats = (0..STRETCH as i64).map(|place| Ok(all.f_select(1, place)?.f_contiguous()?));
            self.beats = (n, beats.collect::<Result<_>>()?);
        }
        Ok(self.beats.1.get(n - self.beats.0))
    }
}

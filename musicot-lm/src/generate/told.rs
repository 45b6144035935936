//! What audio positions are told beside the token before them: the plan window that they are in, the tags, the beat, how far the end is.

use musicot_core::tch::{Tensor, no_grad_guard};

use crate::conditions::EncodedConditions;
use crate::inputs::ClockRow;
use crate::plan::Plan;
use crate::{MusicLm, Result};

/// Positions whose clocks are computed at a time.
const STRETCH: usize = 64;

/// What is known of a row from its start on.
#[derive(Clone, Copy)]
pub(super) struct ToldRow<'a> {
    pub(super) conditions: &'a EncodedConditions,
    pub(super) plan: Option<&'a Plan>,
    /// Tokens of the whole song, where that is settled.
    pub(super) length: Option<usize>,
}

pub(super) struct Told<'a> {
    model: &'a MusicLm,
    /// What each window adds, `[rows, dim]` per window; empty for nothing.
    windows: Vec<Tensor>,
    /// Tempo and length of each row; empty where the model has no clock that goes by them.
    rows: Vec<(Option<f64>, Option<usize>)>,
    /// What the clocks of the latest stretch add, `[rows, dim]` per position, and the first of its positions.
    clocks: (usize, Vec<Tensor>),
}

impl<'a> Told<'a> {
    pub(super) fn new(model: &'a MusicLm, rows: &[ToldRow<'_>]) -> Result<Self> {
        let _no_grad = no_grad_guard();
        let vectors =
            model.audio_vectors(&rows.iter().map(|row| (row.conditions, row.plan)).collect::<Vec<_>>())?;
        let windows = match vectors {
            Some(all) => (0..all.size()[1])
                .map(|window| Ok(all.f_select(1, window)?.f_contiguous()?))
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let config = model.config();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let tempo_bpm = row.conditions.tempo_bpm.filter(|_| config.beat_clock);
                (tempo_bpm, row.length.filter(|_| config.end_clock))
            })
            .collect();
        if rows.iter().all(|row| *row == (None, None)) {
            rows.clear();
        }
        Ok(Self { model, windows, rows, clocks: (0, Vec::new()) })
    }

    /// What is added to the position that predicts token `n`, `[rows, dim]`.
    pub(super) fn at(&mut self, n: usize) -> Result<Option<Tensor>> {
        let _no_grad = no_grad_guard();
        let window = self.windows.get(n / self.model.config().window_tokens()).or(self.windows.last());
        let window = window.map(Tensor::shallow_clone);
        Ok(match (window, self.clocks(n)?) {
            (Some(window), Some(clocks)) => Some(window.f_add(clocks)?),
            (window, clocks) => window.or_else(|| clocks.map(Tensor::shallow_clone)),
        })
    }

    fn clocks(&mut self, n: usize) -> Result<Option<&Tensor>> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        if !(self.clocks.0..self.clocks.0 + self.clocks.1.len()).contains(&n) {
            let row = |(tempo_bpm, length): &(Option<f64>, Option<usize>)| ClockRow {
                tempo_bpm: *tempo_bpm,
                column: 0,
                token: n,
                left: length.map(|length| length.saturating_sub(n)),
            };
            let rows: Vec<ClockRow> = self.rows.iter().map(row).collect();
            let Some(all) = self.model.inputs.clocks(&rows, STRETCH)? else { return Ok(None) };
            let clocks = (0..STRETCH as i64).map(|place| Ok(all.f_select(1, place)?.f_contiguous()?));
            self.clocks = (n, clocks.collect::<Result<_>>()?);
        }
        Ok(self.clocks.1.get(n - self.clocks.0))
    }
}

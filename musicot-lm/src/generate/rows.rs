//! The rows of a batch and their session.

use musicot_core::tch::{Kind, Tensor, no_grad_guard};

use crate::causal::{LmSession, SessionShape};
use crate::conditions::EncodedConditions;
use crate::inputs::Align;
use crate::{Error, MusicLm, Result};

/// A session of several rows, with embeddings that wait until a result is needed: forced tokens cost no pass of their own.
pub(super) struct Rows<'a> {
    model: &'a MusicLm,
    session: Box<dyn LmSession + 'a>,
    waiting: Vec<Tensor>,
    count: i64,
}

/// What the rows of a session have in common.
pub(super) struct RowsShape {
    /// Positions that will be added to the prefix after its start.
    pub(super) more_prefix: usize,
    /// See [`SessionShape`].
    pub(super) window: usize,
}

impl<'a> Rows<'a> {
    /// Rows whose prefix begins with conditions and further ids. `add_to_last [rows, dim]`, where given,
    /// is added to the last position.
    pub(super) fn new(
        model: &'a MusicLm,
        starts: &[(EncodedConditions, Vec<i64>)],
        add_to_last: Option<&Tensor>,
        shape: &RowsShape,
    ) -> Result<Self> {
        let _no_grad = no_grad_guard();
        let rows: Vec<(&EncodedConditions, Vec<i64>)> = starts
            .iter()
            .map(|(conditions, more)| {
                let mut ids = model.inputs.condition_ids(conditions);
                ids.extend(more);
                (conditions, ids)
            })
            .collect();
        let (mut prefix, padding) = model.inputs.rows(model.lm.as_ref(), &rows, Align::End)?;
        if let Some(addition) = add_to_last {
            let head = prefix.f_narrow(1, 0, prefix.size()[1] - 1)?;
            let last = prefix.f_narrow(1, -1, 1)?.f_add(&addition.f_unsqueeze(1)?)?;
            prefix = Tensor::f_cat(&[head, last], 1)?;
        }
        let session = model.lm.session(&SessionShape {
            padding,
            prefix_positions: prefix.size()[1] + shape.more_prefix as i64,
            window_positions: shape.window as i64,
            reach_positions: model.config().reach_tokens() as i64,
        })?;
        Ok(Self { model, session, waiting: vec![prefix], count: rows.len() as i64 })
    }

    /// Adds one id per row to the prefix, unread until [`Rows::hidden`].
    pub(super) fn push(&mut self, ids: &[i64]) -> Result<()> {
        let embedded = self.embed(ids)?;
        self.waiting.push(embedded);
        Ok(())
    }

    /// Reads what waits; the last position's final hidden state `[rows, dim]`.
    pub(super) fn hidden(&mut self) -> Result<Tensor> {
        if self.waiting.is_empty() {
            return Err(Error::input("session", "nothing new to read"));
        }
        let _no_grad = no_grad_guard();
        let waiting = Tensor::f_cat(&self.waiting, 1)?;
        self.waiting.clear();
        self.session.extend(&waiting)
    }

    /// Adds one id per row behind the prefix, plus `addition [rows, dim]`; its final hidden state `[rows, dim]`.
    pub(super) fn roll(&mut self, ids: &[i64], addition: Option<&Tensor>) -> Result<Tensor> {
        let mut embedded = self.embed(ids)?;
        if let Some(addition) = addition {
            embedded = embedded.f_add(&addition.f_unsqueeze(1)?)?;
        }
        self.session.roll(&embedded)
    }

    /// `[rows, 1, dim]`.
    fn embed(&self, ids: &[i64]) -> Result<Tensor> {
        let _no_grad = no_grad_guard();
        let ids =
            Tensor::f_from_slice(ids)?.f_reshape([self.count, 1])?.f_to_device(self.model.lm.device())?;
        self.model.lm.embed(&ids)
    }
}

/// Logits in f32 `[rows, choices]`.
pub(super) fn logits(model: &MusicLm, hidden: &Tensor, range: std::ops::Range<i64>) -> Result<Tensor> {
    let _no_grad = no_grad_guard();
    Ok(model.lm.logits(hidden, range)?.f_to_kind(Kind::Float)?)
}

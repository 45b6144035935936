//! What the generator needs of a decoder.

use std::ops::Range;

use musicot_core::tch::{Device, Tensor};

use crate::{Error, Result};

/// Sizes of a decoding session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionShape {
    /// Leading positions of each row that nobody may see: rows of different lengths are aligned at their ends.
    /// Its length is the batch size.
    pub padding: Vec<i64>,
    /// Room for positions that stay visible ([`LmSession::extend`]).
    pub prefix_positions: i64,
    /// Latest positions visible after the prefix ([`LmSession::roll`]); 0 when there are none.
    pub window_positions: i64,
    /// Largest distance, in positions, between a rolled position and the end of the prefix that the model is to see. Beyond it the
    /// prefix is moved along, so that a long song leaves the distances of training nowhere.
    pub reach_positions: i64,
}

impl SessionShape {
    /// Rows.
    pub fn batch(&self) -> i64 {
        self.padding.len() as i64
    }

    /// Checks every size.
    pub(crate) fn validate(&self) -> Result<()> {
        let valid = self.batch() > 0
            && self.prefix_positions > 0
            && self.window_positions >= 0
            && self.reach_positions >= 0
            && self.padding.iter().all(|pad| (0..self.prefix_positions).contains(pad));
        if valid { Ok(()) } else { Err(Error::input("session", format!("sizes out of range: {self:?}"))) }
    }
}

/// A causal language model over token ids and free embeddings.
///
/// # Implementing
/// A decoder must not depend on absolute positions (rotary embeddings do not): rows are padded in front. Rows of a batch must not
/// see one another.
pub trait CausalLm: Send {
    /// Width of embeddings and hidden states.
    fn dim(&self) -> i64;

    /// Number of token ids.
    fn vocab_size(&self) -> i64;

    /// Where the weights are.
    fn device(&self) -> Device;

    /// Ids `[.., seq]` (i64) to embeddings `[.., seq, dim]`.
    ///
    /// # Errors
    /// An id is out of range.
    fn embed(&self, ids: &Tensor) -> Result<Tensor>;

    /// Embeddings `[batch, seq, dim]` to final hidden states of the same shape, for training and scoring. `mask` (f32, added to the
    /// scores) broadcasts to `[batch, heads, seq, seq]`; without it each position sees itself and all before it.
    ///
    /// # Errors
    /// A shape does not match.
    fn forward(&self, embeddings: &Tensor, mask: Option<&Tensor>) -> Result<Tensor>;

    /// Final hidden states `[.., dim]` to the logits `[.., rows]` of a range of token ids only.
    ///
    /// # Errors
    /// A shape does not match, or the range is not within the vocabulary.
    fn logits(&self, hidden: &Tensor, rows: Range<i64>) -> Result<Tensor>;

    /// Rows beyond which a session does not get faster per row, and may get slower; no limit unless a decoder knows one.
    fn rows_at_once(&self) -> usize {
        usize::MAX
    }

    /// Starts decoding with a cache.
    ///
    /// # Errors
    /// A size is out of range, or there is no memory for the cache.
    fn session(&self, shape: &SessionShape) -> Result<Box<dyn LmSession + '_>>;
}

/// A sequence in the making, with its key/value cache. Its memory does not grow.
pub trait LmSession {
    /// Adds embeddings `[batch, new, dim]` that see all earlier positions and stay visible; returns the final hidden state
    /// `[batch, dim]` of the last one.
    ///
    /// # Errors
    /// They do not fit, or the session rolls already.
    fn extend(&mut self, embeddings: &Tensor) -> Result<Tensor>;

    /// Adds one embedding `[batch, 1, dim]` that sees the prefix and the latest `window_positions` rolled positions, itself included;
    /// returns its final hidden state `[batch, dim]`.
    ///
    /// # Errors
    /// A shape does not match, or the session has no window.
    fn roll(&mut self, embedding: &Tensor) -> Result<Tensor>;
}

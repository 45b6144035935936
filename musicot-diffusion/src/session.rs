//! Songs of any length, window by window, as their tokens arrive.
//!
//! A window is sampled with the end of the one before as known latents, and the last frames of a window that is not the last
//! are dropped and made again by the next, which sees what comes after them. Windows depend on the number of frames alone,
//! so that it does not matter in how many pieces the tokens arrive, and [`render`] is a session that gets them all at once.
//! Memory is that of one window; time is linear in the length.

use std::collections::VecDeque;

use musicot_core::tch::{Kind, Tensor};
use musicot_core::{CounterRng, shape, tensor};
use serde::{Deserialize, Serialize};

use crate::condition::{Thoughts, frame_windows, mask};
use crate::{Condition, Denoiser, Error, Known, Request, Result, Sampler, frame_noise};

/// How a song is cut into windows. Defaults are our choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Frames of a window, at most what the denoiser was trained on.
    pub window_frames: usize,
    /// Frames of the first window: a smaller one is heard sooner.
    pub first_window_frames: usize,
    /// Frames of a window that are known from the one before.
    pub prefix_frames: usize,
    /// Frames at the end of a window that are left to the next.
    pub lookahead_frames: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { window_frames: 500, first_window_frames: 500, prefix_frames: 100, lookahead_frames: 25 }
    }
}

impl SessionConfig {
    /// Frames at which one window takes over from another in a song of so many frames, rising; nothing for a configuration that
    /// [`SessionConfig::validate`] refuses.
    pub fn seams(&self, frames: usize) -> Vec<usize> {
        let step =
            self.window_frames.saturating_sub(self.prefix_frames.saturating_add(self.lookahead_frames));
        // A song that fits the first window has no other.
        if step == 0 || frames <= self.first_window_frames {
            return Vec::new();
        }
        (self.first_window_frames.saturating_sub(self.lookahead_frames)..frames).step_by(step).collect()
    }

    /// Checks that every window makes progress and that none is longer than `max_frames`.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self, max_frames: usize) -> Result<()> {
        let taken = self.prefix_frames.saturating_add(self.lookahead_frames);
        if self.window_frames <= taken {
            let reason =
                format!("expected more than prefix and lookahead, {taken}, got {}", self.window_frames);
            return Err(Error::config("window_frames", reason));
        }
        if self.first_window_frames <= self.lookahead_frames {
            let reason = format!(
                "expected more than lookahead, {}, got {}",
                self.lookahead_frames, self.first_window_frames
            );
            return Err(Error::config("first_window_frames", reason));
        }
        for (field, frames) in
            [("window_frames", self.window_frames), ("first_window_frames", self.first_window_frames)]
        {
            if frames > max_frames {
                let reason = format!("the denoiser was trained on at most {max_frames} frames, got {frames}");
                return Err(Error::config(field, reason));
            }
        }
        Ok(())
    }
}

/// What is known of the songs of a batch before their tokens come.
#[derive(Debug)]
pub struct Score {
    /// `[batch, windows, thought_dim]`, at least one window.
    pub thoughts: Option<Tensor>,
    /// `[batch, text_dim]`
    pub text: Option<Tensor>,
    /// The random stream of each song; their number is the batch.
    pub streams: Vec<CounterRng>,
}

/// Renders a batch of songs of equal length from semantic tokens to latents.
pub struct DiffusionSession<'a> {
    denoiser: &'a dyn Denoiser,
    sampler: &'a Sampler,
    config: SessionConfig,
    score: Score,
    /// Tokens `[batch]` of the frames from `start` on.
    tokens: VecDeque<Vec<i64>>,
    /// First frame of the next window.
    start: usize,
    /// Frames returned.
    done: usize,
    /// The frames `start..done`, `[batch, latent_dim, done - start]`.
    tail: Option<Tensor>,
    finished: bool,
}

impl<'a> DiffusionSession<'a> {
    /// Starts a batch of songs.
    ///
    /// # Errors
    /// [`Error::Config`] for windows out of range; [`Error::Shape`] or [`Error::Input`] for a score that does not fit its streams.
    pub fn new(
        denoiser: &'a dyn Denoiser,
        sampler: &'a Sampler,
        config: SessionConfig,
        score: Score,
    ) -> Result<Self> {
        config.validate(denoiser.max_frames())?;
        let batch = score.streams.len() as i64;
        if batch == 0 {
            return Err(Error::input("streams", "expected one per song, got none"));
        }
        if let Some(thoughts) = &score.thoughts {
            shape::expect("thoughts", thoughts, &[batch, shape::ANY, shape::ANY])?;
            shape::expect_finite("thoughts", thoughts)?;
            if thoughts.size()[1] == 0 {
                return Err(Error::input("thoughts", "expected at least one window, got none"));
            }
        }
        if let Some(text) = &score.text {
            shape::expect("text embedding", text, &[batch, shape::ANY])?;
            shape::expect_finite("text embedding", text)?;
        }
        let tokens = VecDeque::new();
        Ok(Self { denoiser, sampler, config, score, tokens, start: 0, done: 0, tail: None, finished: false })
    }

    /// Takes the next semantic tokens, i64 `[batch, frames]`.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Input`] when they do not fit; [`Error::Input`] after [`DiffusionSession::finish`]. Nothing is taken then.
    pub fn push(&mut self, tokens: &Tensor) -> Result<()> {
        if self.finished {
            return Err(Error::input("semantic tokens", "the session is finished"));
        }
        let batch = self.score.streams.len();
        shape::expect("semantic tokens", tokens, &[batch as i64, shape::ANY])?;
        shape::expect_kind("semantic tokens", tokens, Kind::Int64)?;
        let frames_first = tensor::to_ids(&tokens.f_transpose(0, 1)?.f_contiguous()?)?;
        self.tokens.extend(frames_first.chunks(batch).map(<[i64]>::to_vec));
        Ok(())
    }

    /// Says that no more tokens come.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Renders the next window if its tokens are there: `[batch, latent_dim, frames]` in the codec's units, following the
    /// frames returned before. `None` when more tokens are needed, or when everything is rendered after [`DiffusionSession::finish`].
    ///
    /// # Errors
    /// What [`Sampler::sample`] raises; the session is then as it was before the call.
    pub fn next_chunk(&mut self) -> Result<Option<Tensor>> {
        let received = self.start + self.tokens.len();
        let full = if self.start == 0 && self.done == 0 {
            self.config.first_window_frames
        } else {
            self.config.window_frames
        };
        // One token more than the window tells that it is not the last.
        let is_last = received <= self.start + full;
        if received <= self.done || (is_last && !self.finished) {
            return Ok(None);
        }
        let frames = full.min(received - self.start);
        let latents = self.window(frames)?;
        let end = if is_last { frames } else { frames - self.config.lookahead_frames };
        let known = self.done - self.start;
        let new = tensor::copy(&latents.f_narrow(2, known as i64, (end - known) as i64)?)?;
        self.advance(&latents, end)?;
        Ok(Some(new))
    }

    /// Frames returned so far.
    pub fn frames(&self) -> usize {
        self.done
    }

    /// Samples the frames `start..start + frames`.
    fn window(&self, frames: usize) -> Result<Tensor> {
        let (batch, device) = (self.score.streams.len(), self.denoiser.device());
        let noise = frame_noise(&self.score.streams, self.denoiser.latent_dim(), self.start, frames, device)?;
        let rows: Vec<i64> = (0..batch)
            .flat_map(|item| self.tokens.iter().take(frames).map(move |frame| frame[item]))
            .collect();
        let semantic = Tensor::f_from_slice(&rows)?.f_reshape([batch as i64, frames as i64])?;
        let condition = Condition {
            semantic: Some(semantic),
            thoughts: self.thoughts(frames)?,
            text: self.score.text.as_ref().map(Tensor::shallow_clone),
            ..Condition::default()
        };
        let known = self.tail.as_ref().map(|tail| prefix(tail, frames)).transpose()?;
        let request = Request { condition: &condition, noise: &noise, known: known.as_ref() };
        self.sampler.sample(self.denoiser, &request)
    }

    fn thoughts(&self, frames: usize) -> Result<Option<Thoughts>> {
        let Some(embeddings) = &self.score.thoughts else { return Ok(None) };
        let (batch, windows, _) = embeddings.size3()?;
        let index = frame_windows(self.start, frames, self.denoiser.frames_per_thought(), windows as usize);
        let index = Tensor::f_from_slice(&index)?.f_expand([batch, frames as i64], false)?;
        Ok(Some(Thoughts { embeddings: embeddings.shallow_clone(), frame_windows: index }))
    }

    /// Moves on after a window of which the first `end` frames stand.
    fn advance(&mut self, latents: &Tensor, end: usize) -> Result<()> {
        let kept = self.config.prefix_frames.min(end);
        let dropped = end - kept;
        self.tail = match kept {
            0 => None,
            _ => Some(tensor::copy(&latents.f_narrow(2, dropped as i64, kept as i64)?)?),
        };
        self.done = self.start + end;
        self.start += dropped;
        self.tokens.drain(..dropped);
        Ok(())
    }
}

/// The first frames of a window of `frames`.
fn prefix(tail: &Tensor, frames: usize) -> Result<Known> {
    let (batch, _, known) = tail.size3()?;
    let rest = frames as i64 - known;
    let latents = tail.f_constant_pad_nd([0, rest])?;
    let row: Vec<bool> = (0..frames as i64).map(|frame| frame < known).collect();
    let frames = mask(&row, &[1, frames as i64], tail.device())?.f_expand([batch, frames as i64], false)?;
    Ok(Known { latents, frames })
}

/// Renders whole songs: semantic tokens `[batch, frames]` to latents `[batch, latent_dim, frames]` in the codec's units.
///
/// # Errors
/// See [`DiffusionSession`]; [`Error::Input`] when there is no token.
pub fn render(session: DiffusionSession<'_>, tokens: &Tensor) -> Result<Tensor> {
    let mut session = session;
    session.push(tokens)?;
    session.finish();
    let mut chunks = Vec::new();
    while let Some(chunk) = session.next_chunk()? {
        chunks.push(chunk);
    }
    if chunks.is_empty() {
        return Err(Error::input("semantic tokens", "expected at least one frame, got none"));
    }
    Ok(Tensor::f_cat(&chunks, 2)?)
}

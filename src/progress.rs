//! Telling the caller how far the work is.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A step of generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Text and reference audio are embedded.
    Embed,
    /// The plan is written, thought by thought.
    Plan,
    /// Semantic tokens are written.
    Tokens,
    /// Latents are made.
    Latents,
    /// The waveform is made.
    Waveform,
}

impl Step {
    /// What is being done, for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Embed => "reading the prompt",
            Self::Plan => "planning",
            Self::Tokens => "writing tokens",
            Self::Latents => "rendering latents",
            Self::Waveform => "decoding audio",
        }
    }
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The step.
    pub step: Step,
    /// Units done; equal to `total` when the step is over.
    pub done: usize,
    /// Units in all: thoughts, tokens, frames or samples.
    pub total: usize,
}

/// Receives events; closures `FnMut(Event) -> bool` are one.
pub trait Progress {
    /// Returns whether to go on; `false` ends the call with [`musicot_core::Error::Stopped`].
    fn on_event(&mut self, event: Event) -> bool;
}

impl<F: FnMut(Event) -> bool> Progress for F {
    fn on_event(&mut self, event: Event) -> bool {
        self(event)
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn on_event(&mut self, _event: Event) -> bool {
        true
    }
}

/// Reports an event, and turns a wish to stop into an error.
pub(crate) fn report(progress: &mut dyn Progress, step: Step, done: usize, total: usize) -> Result<()> {
    match progress.on_event(Event { step, done, total }) {
        true => Ok(()),
        false => Err(Error::Core(musicot_core::Error::Stopped)),
    }
}

//! Plans as codes, wholly or partly known, and their order in the sequence.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::vocab::{MusicVocab, ThoughtCode};
use crate::{Error, Result};

/// In which order the codes of a plan are written. The paper does not say; time-major streams, hence the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThoughtOrder {
    /// All levels of window 0, then all of window 1, and so on.
    #[default]
    TimeMajor,
    /// Level 0 of all windows, then level 1 of all, and so on.
    LevelMajor,
}

impl ThoughtOrder {
    /// Window and level of the n-th code.
    pub fn place(self, n: usize, windows: usize, levels: usize) -> (usize, usize) {
        match self {
            Self::TimeMajor => (n / levels.max(1), n % levels.max(1)),
            Self::LevelMajor => (n % windows.max(1), n / windows.max(1)),
        }
    }
}

/// A plan: one thought of several codes per window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    codes: Array2<i64>,
}

impl Plan {
    /// Codes `[windows, levels]`, as a vector quantiser gives them.
    ///
    /// # Errors
    /// There is no window, or a code or the number of levels does not fit the vocabulary.
    pub fn new(codes: Array2<i64>, vocab: &MusicVocab) -> Result<Self> {
        let (levels, size) = (vocab.config().levels, vocab.config().codebook_size as i64);
        if codes.nrows() == 0 || codes.ncols() != levels {
            let actual = codes.shape().iter().map(|size| *size as i64).collect();
            let expected = format!("[at least 1 window, {levels} levels]");
            return Err(musicot_core::Error::Shape { what: "plan".to_owned(), expected, actual }.into());
        }
        match codes.indexed_iter().find(|(_, code)| !(0..size).contains(*code)) {
            None => Ok(Self { codes }),
            Some(((window, level), code)) => {
                let reason =
                    format!("window {window}, level {level}: expected a code in 0..{size}, got {code}");
                Err(Error::input("plan", reason))
            }
        }
    }

    /// Codes `[windows, levels]`.
    pub fn codes(&self) -> &Array2<i64> {
        &self.codes
    }

    /// Number of thoughts.
    pub fn windows(&self) -> usize {
        self.codes.nrows()
    }
}

/// Codes that a plan must have at some places; the model fills the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FixedThoughts {
    codes: BTreeMap<(usize, usize), ThoughtCode>,
}

impl FixedThoughts {
    /// Fixes one level of one window.
    pub fn fix(&mut self, window: usize, level: usize, code: ThoughtCode) {
        self.codes.insert((window, level), code);
    }

    /// Fixes the first levels of a window: one code each.
    pub fn fix_window(&mut self, window: usize, codes: &[ThoughtCode]) {
        for (level, code) in codes.iter().enumerate() {
            self.fix(window, level, *code);
        }
    }

    /// The code fixed at a place.
    pub fn get(&self, window: usize, level: usize) -> Option<ThoughtCode> {
        self.codes.get(&(window, level)).copied()
    }

    /// Whether nothing is fixed.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Checks every place and code.
    pub(crate) fn validate(&self, windows: usize, vocab: &MusicVocab) -> Result<()> {
        for ((window, level), code) in &self.codes {
            if *window >= windows {
                let reason = format!("window {window} is beyond the {windows} windows of the plan");
                return Err(Error::input("fixed thoughts", reason));
            }
            vocab.thought(*level, *code)?;
        }
        Ok(())
    }
}

impl From<&Plan> for FixedThoughts {
    fn from(plan: &Plan) -> Self {
        let place =
            |((window, level), code): ((usize, usize), &i64)| ((window, level), ThoughtCode(*code as u32));
        Self { codes: plan.codes.indexed_iter().map(place).collect() }
    }
}

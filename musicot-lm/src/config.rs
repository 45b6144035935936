//! Configuration of the whole stage.

use serde::{Deserialize, Serialize};

use crate::vocab::{MusicVocab, VocabConfig};
use crate::{Error, LlamaConfig, Result, ThoughtOrder};

/// Whether the model plans before it writes audio tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanMode {
    /// Musical thoughts come first.
    #[default]
    Thoughts,
    /// The baseline without a plan: audio tokens follow the conditions.
    None,
}

/// What the unconditional branch of guidance does without while audio tokens are written. The paper does not say: our choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullBranch {
    /// The conditions only: both branches have the plan.
    Text,
    /// Conditions and plan, so that guidance strengthens the plan too.
    #[default]
    TextAndPlan,
}

/// Configuration of a [`crate::MusicLm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MusicLmConfig {
    /// The decoder; its `vocab_size` must be the vocabulary's.
    pub llama: LlamaConfig,
    /// The vocabulary.
    pub vocab: VocabConfig,
    /// With or without a plan.
    pub plan: PlanMode,
    /// Order of the plan's codes.
    pub thought_order: ThoughtOrder,
    /// What the unconditional branch lacks in the audio phase.
    pub null_branch: NullBranch,
    /// Width of the CLAP embedding.
    pub clap_dim: i64,
    /// Positions of the sequence that the CLAP embedding is projected to.
    pub clap_positions: i64,
    /// Whether tags are added to every audio position too, as thoughts are, and not only read at the start: a small model follows them better.
    pub tags_everywhere: bool,
    /// Whether every audio position is told where in the beat and the bar it is, which follows from the tempo tag. For corpora whose pieces begin
    /// on a beat and keep their tempo; a song without the tag goes without.
    pub beat_clock: bool,
    /// Whether every audio position is told how far the end of the piece is, where that is known: songs of a given length then come to their end there.
    pub end_clock: bool,
    /// Most sections given.
    pub max_sections: usize,
    /// Most lyric tokens given.
    pub max_lyric_tokens: usize,
    /// Audio tokens per second.
    pub token_rate_hz: f64,
    /// Length of a plan window, seconds (the paper's 10).
    pub plan_window_secs: f64,
    /// How much of the latest audio an audio token sees, seconds.
    pub attention_window_secs: f64,
    /// Distance to the plan, seconds, beyond which positions no longer grow; at least the longest training crop.
    pub reach_secs: f64,
}

impl Default for MusicLmConfig {
    fn default() -> Self {
        let mut config = Self {
            llama: LlamaConfig::default(),
            vocab: VocabConfig::default(),
            plan: PlanMode::default(),
            thought_order: ThoughtOrder::default(),
            null_branch: NullBranch::default(),
            clap_dim: 128,
            clap_positions: 2,
            tags_everywhere: false,
            beat_clock: false,
            end_clock: false,
            max_sections: 12,
            max_lyric_tokens: 64,
            token_rate_hz: 25.0,
            plan_window_secs: 10.0,
            attention_window_secs: 30.0,
            reach_secs: 40.0,
        };
        // The default vocabulary is valid.
        config.llama.vocab_size = MusicVocab::new(config.vocab.clone()).map_or(1, |vocab| vocab.size());
        config
    }
}

impl MusicLmConfig {
    /// Checks every range and that the parts fit one another; returns the vocabulary.
    ///
    /// # Errors
    /// [`musicot_core::Error::Config`] names the field.
    pub fn validate(&self) -> Result<MusicVocab> {
        let llama = self.llama.validate().and_then(|()| self.llama.expect_unbounded());
        llama.map_err(|error| match error {
            Error::Core(musicot_core::Error::Config { field, reason }) => {
                Error::config(format!("llama.{field}"), reason)
            }
            other => other,
        })?;
        let vocab = MusicVocab::new(self.vocab.clone())?;
        if self.llama.vocab_size != vocab.size() {
            let reason = format!(
                "expected {}, the size of the vocabulary, got {}",
                vocab.size(),
                self.llama.vocab_size
            );
            return Err(Error::config("llama.vocab_size", reason));
        }
        for (field, value) in [("clap_dim", self.clap_dim), ("clap_positions", self.clap_positions)] {
            if !(1..=1 << 16).contains(&value) {
                return Err(Error::config(field, format!("expected 1 to 65536, got {value}")));
            }
        }
        for (field, value) in
            [("max_sections", self.max_sections), ("max_lyric_tokens", self.max_lyric_tokens)]
        {
            if value > 1 << 16 {
                return Err(Error::config(field, format!("expected at most 65536, got {value}")));
            }
        }
        for (field, secs) in [
            ("plan_window_secs", self.plan_window_secs),
            ("attention_window_secs", self.attention_window_secs),
            ("reach_secs", self.reach_secs),
        ] {
            self.whole_tokens(field, secs)?;
        }
        Ok(vocab)
    }

    fn whole_tokens(&self, field: &str, secs: f64) -> Result<()> {
        let tokens = secs * self.token_rate_hz;
        let is_whole =
            tokens.is_finite() && (1.0..1e8).contains(&tokens) && (tokens - tokens.round()).abs() < 1e-6;
        if is_whole {
            return Ok(());
        }
        let reason =
            format!("expected a whole number of tokens at {} per second, got {tokens}", self.token_rate_hz);
        Err(Error::config(field, reason))
    }

    /// Audio tokens of a plan window.
    pub fn window_tokens(&self) -> usize {
        (self.plan_window_secs * self.token_rate_hz).round() as usize
    }

    /// Latest audio tokens that an audio token sees, itself included.
    pub fn attention_tokens(&self) -> usize {
        (self.attention_window_secs * self.token_rate_hz).round() as usize
    }

    /// Audio tokens after which the distance to the plan no longer grows.
    pub fn reach_tokens(&self) -> usize {
        (self.reach_secs * self.token_rate_hz).round() as usize
    }

    /// Audio tokens of a duration, rounded to the nearest.
    ///
    /// # Errors
    /// The duration is not positive, or above a day.
    pub fn tokens_for(&self, secs: f64) -> Result<usize> {
        if secs.is_finite() && secs > 0.0 && secs <= 86_400.0 {
            return Ok(((secs * self.token_rate_hz).round() as usize).max(1));
        }
        Err(Error::input("duration", format!("expected more than 0 and at most 86400 seconds, got {secs}")))
    }

    /// Plan windows of so many audio tokens: a remainder of at least half a window counts as one, a shorter one belongs to the
    /// window before it; at least 1. This is how recordings are cut for CLAP, so that plans and recordings line up.
    pub fn windows_for(&self, tokens: usize) -> usize {
        let window = self.window_tokens();
        ((tokens + window / 2) / window).max(1)
    }

    /// Codes per plan window and level by level: the number of positions of a plan.
    pub(crate) fn plan_positions(&self, windows: usize) -> usize {
        windows * self.vocab.levels
    }
}

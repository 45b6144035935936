//! What a song is to be, and how it is to be made.

use musicot_diffusion::{SamplerConfig, SessionConfig};
use musicot_lm::{SectionSpan, Tags};
use musicot_sampling::PhasePolicy;
use serde::{Deserialize, Serialize};

use crate::{Error, Reference, Result};

/// Longest song, seconds: beyond this a request is taken for a mistake.
pub const MAX_DURATION_SECS: f64 = 24.0 * 3600.0;

/// Most plans that are drawn for one song: beyond this a request is taken for a mistake.
pub const MAX_DRAFTS: usize = 4096;

/// What a song is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Brief {
    /// Description in words. Tempo, key and instruments named in it become tags too.
    pub prompt: String,
    /// Length in seconds; a hard contract, met to one semantic token.
    pub duration_secs: f64,
    /// Tags; those left open are read from the prompt.
    pub tags: Tags,
    /// Words, as a colour of the condition.
    pub lyrics: String,
    /// The form, in plan windows.
    pub sections: Vec<SectionSpan>,
}

impl Default for Brief {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            duration_secs: 30.0,
            tags: Tags::default(),
            lyrics: String::new(),
            sections: Vec::new(),
        }
    }
}

/// One seed per stage: change one, and only what follows changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// Of the plan.
    pub plan: u64,
    /// Of the semantic tokens.
    pub tokens: u64,
    /// Of the diffusion's noise.
    pub diffusion: u64,
}

impl From<u64> for Seeds {
    fn from(seed: u64) -> Self {
        Self { plan: seed, tokens: seed, diffusion: seed }
    }
}

/// How a song is made. Right values belong to a checkpoint: start from [`crate::Generator::settings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Seeds.
    pub seeds: Seeds,
    /// Temperatures and guidance scales of the two phases.
    pub policy: PhasePolicy,
    /// Plans that are drawn, of which the one that fits best ([`crate::MusicPlan::fit`]) is performed; 1 where a manifest does not say.
    #[serde(default = "one_draft")]
    pub drafts: usize,
    /// Solver, steps and guidance of the diffusion.
    pub diffusion: SamplerConfig,
    /// Windows of the diffusion.
    pub windows: SessionConfig,
}

/// The drafts of files that do not say.
pub(crate) fn one_draft() -> usize {
    1
}

/// A song to be made; see [`crate::Generator::request`].
#[derive(Debug, Clone)]
pub struct Request {
    /// What it is to be.
    pub brief: Brief,
    /// Recordings whose thoughts become part of the plan.
    pub references: Vec<Reference>,
    /// How it is made.
    pub settings: Settings,
}

impl Request {
    /// Sets the length in seconds.
    #[must_use]
    pub fn duration_secs(mut self, secs: f64) -> Self {
        self.brief.duration_secs = secs;
        self
    }

    /// Sets all seeds.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seeds = seed.into();
        self
    }

    /// Sets how many plans are drawn, of which the one that fits best is performed. A plan is a few codes per 10 s, so that many cost little.
    #[must_use]
    pub fn drafts(mut self, count: usize) -> Self {
        self.settings.drafts = count;
        self
    }

    /// Adds a recording whose thoughts become part of the plan.
    #[must_use]
    pub fn reference(mut self, reference: Reference) -> Self {
        self.references.push(reference);
        self
    }

    /// Checks what can be checked without a model, as [`crate::Generator::plan`] does.
    ///
    /// # Errors
    /// A length or a number of drafts out of range, or nothing that says what the song is to be.
    pub fn validate(&self) -> Result<()> {
        let drafts = self.settings.drafts;
        if !(1..=MAX_DRAFTS).contains(&drafts) {
            return Err(Error::input("drafts", format!("expected 1 to {MAX_DRAFTS}, got {drafts}")));
        }
        self.brief.validate(!self.references.is_empty())
    }
}

impl Brief {
    /// Checks what can be checked without a model.
    pub(crate) fn validate(&self, has_reference: bool) -> Result<()> {
        let secs = self.duration_secs;
        if !(secs.is_finite() && secs > 0.0 && secs <= MAX_DURATION_SECS) {
            let reason = format!("expected more than 0 and at most {MAX_DURATION_SECS} seconds, got {secs}");
            return Err(Error::input("duration", reason));
        }
        if self.prompt.trim().is_empty() && self.tags.is_empty() && !has_reference {
            return Err(Error::input(
                "prompt",
                "expected a description, tags or a reference recording, got none",
            ));
        }
        Ok(())
    }
}

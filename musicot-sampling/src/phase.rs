//! Settings per phase of generation.

use musicot_core::{Error as CoreError, GuidanceScale};
use serde::{Deserialize, Serialize};

use crate::{Result, SamplingConfig};

/// Which part of the sequence is being generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The plan: musical thoughts.
    Thoughts,
    /// The semantic audio tokens.
    Audio,
}

/// How one phase is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseConfig {
    /// From logits to a token.
    pub sampling: SamplingConfig,
    /// Guidance before it.
    pub guidance: GuidanceScale,
    /// Tags with a scale of their own; `None`: one scale for the whole condition, and one branch less to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_guidance: Option<TagGuidance>,
}

/// A scale of its own for what some tags add to the rest of the condition, which has [`PhaseConfig::guidance`]; see [`crate::nested_guidance`]. It is for
/// tags that a model follows too loosely: a key, say, that is drowned by what else the condition says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagGuidance {
    /// The scale.
    pub scale: GuidanceScale,
    /// Whether it is that of the tempo.
    #[serde(default)]
    pub tempo: bool,
    /// Of the key.
    #[serde(default)]
    pub key: bool,
    /// Of the style.
    #[serde(default)]
    pub style: bool,
    /// Of the mood.
    #[serde(default)]
    pub mood: bool,
    /// Of the instruments.
    #[serde(default)]
    pub instruments: bool,
}

impl TagGuidance {
    /// A scale of its own for the key alone.
    pub fn of_key(scale: GuidanceScale) -> Self {
        Self { scale, tempo: false, key: true, style: false, mood: false, instruments: false }
    }
}

/// How both phases are sampled: dual temperature and dual guidance scale.
/// A phase missing in a file has the paper's settings; within a phase `sampling` and `guidance` are needed.
///
/// ```
/// use musicot_sampling::{Phase, PhasePolicy};
/// let policy = PhasePolicy::default();
/// assert_eq!(policy.get(Phase::Thoughts).sampling.temperature, 0.65);
/// assert_eq!(policy.get(Phase::Audio).guidance.value(), 1.3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhasePolicy {
    /// The plan.
    pub thoughts: PhaseConfig,
    /// The semantic audio tokens.
    pub audio: PhaseConfig,
}

impl PhasePolicy {
    /// Names that [`PhasePolicy::preset`] knows.
    pub const PRESETS: [&str; 3] = ["paper", "greedy", "neutral"];

    /// The MusiCoT paper's settings: temperatures 0.65 (thoughts) and 0.75 (audio), guidance scales 2.3 and 1.3. The paper names no
    /// top-k, top-p, min-p or repetition penalty; leaving them off is our choice.
    pub fn paper() -> Self {
        let phase = |temperature, scale| PhaseConfig {
            sampling: SamplingConfig::at(temperature),
            // Both scales are valid by construction.
            guidance: GuidanceScale::new(scale).unwrap_or(GuidanceScale::NEUTRAL),
            tag_guidance: None,
        };
        Self { thoughts: phase(0.65, 2.3), audio: phase(0.75, 1.3) }
    }

    /// The paper's guidance scales and the likeliest token: no chance involved.
    pub fn greedy() -> Self {
        let paper = Self::paper();
        Self {
            thoughts: PhaseConfig { sampling: SamplingConfig::greedy(), ..paper.thoughts },
            audio: PhaseConfig { sampling: SamplingConfig::greedy(), ..paper.audio },
        }
    }

    /// The model's own conditional distribution: temperature 1 and no guidance.
    pub fn neutral() -> Self {
        let phase = PhaseConfig {
            sampling: SamplingConfig::default(),
            guidance: GuidanceScale::NEUTRAL,
            tag_guidance: None,
        };
        Self { thoughts: phase, audio: phase }
    }

    /// A preset by name; see [`PhasePolicy::PRESETS`].
    ///
    /// # Errors
    /// [`CoreError::Config`] lists the names.
    pub fn preset(name: &str) -> Result<Self> {
        match name {
            "paper" => Ok(Self::paper()),
            "greedy" => Ok(Self::greedy()),
            "neutral" => Ok(Self::neutral()),
            other => {
                let reason = format!("expected one of {}, got `{other}`", Self::PRESETS.join(", "));
                Err(CoreError::config("preset", reason).into())
            }
        }
    }

    /// The settings of a phase.
    pub fn get(&self, phase: Phase) -> &PhaseConfig {
        match phase {
            Phase::Thoughts => &self.thoughts,
            Phase::Audio => &self.audio,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`CoreError::Config`] names the field with its phase.
    pub fn validate(&self) -> Result<()> {
        for (name, phase) in [("thoughts", &self.thoughts), ("audio", &self.audio)] {
            phase.sampling.validate().map_err(|error| match error {
                crate::Error::Core(CoreError::Config { field, reason }) => {
                    CoreError::config(format!("{name}.sampling.{field}"), reason).into()
                }
                other => other,
            })?;
        }
        Ok(())
    }
}

impl Default for PhasePolicy {
    fn default() -> Self {
        Self::paper()
    }
}

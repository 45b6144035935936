//! Classifier-free guidance of a window: its branches, and what is made of their outputs.

use musicot_core::GuidanceScale;
use musicot_core::tch::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::condition::repeat;
use crate::sampler::times_of;
use crate::{Condition, Denoiser, Result, SamplerConfig};

/// Which conditions the null branch of the guidance drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NullBranch {
    /// The semantic tokens.
    pub semantic: bool,
    /// The thoughts.
    pub thoughts: bool,
    /// The text.
    pub text: bool,
}

impl Default for NullBranch {
    fn default() -> Self {
        Self { semantic: true, thoughts: true, text: true }
    }
}

/// The branch that drops nothing.
const WHOLE: NullBranch = NullBranch { semantic: false, thoughts: false, text: false };
/// The branch that keeps the semantic tokens alone.
const TOKENS: NullBranch = NullBranch { semantic: false, thoughts: true, text: true };

/// The branches of one window, the whole condition first, in one batch.
pub(crate) enum Branches {
    /// The whole condition and less of it.
    Two { condition: Condition, scale: GuidanceScale },
    /// The whole condition, the tokens alone, and nothing.
    Nested { condition: Condition, style: GuidanceScale, tokens: GuidanceScale },
}

impl Branches {
    /// The branches that matter; `None` when the whole condition is all there is to run.
    pub(crate) fn new(
        config: &SamplerConfig,
        whole: &Condition,
        batch: i64,
        device: Device,
    ) -> Result<Option<Self>> {
        let has_style = whole.thoughts.is_some() || whole.text.is_some();
        let branches = |branches: &[NullBranch]| whole.branches(branches, batch)?.to_device(device);
        let two = |null, scale| Ok(Some(Self::Two { condition: branches(&[WHOLE, null])?, scale }));
        match config.style_guidance.filter(|style| has_style && *style != config.guidance) {
            None if config.guidance.is_neutral() => Ok(None),
            None => two(config.null, config.guidance),
            Some(style) if config.guidance.is_neutral() => two(TOKENS, style),
            Some(style) => {
                let condition = branches(&[WHOLE, TOKENS, config.null])?;
                Ok(Some(Self::Nested { condition, style, tokens: config.guidance }))
            }
        }
    }

    /// The guided output for noised latents `[batch, latent_dim, frames]` at one time.
    pub(crate) fn predict(&self, denoiser: &dyn Denoiser, x: &Tensor, t: f64) -> Result<Tensor> {
        let batch = x.size()[0];
        let outputs = |count: usize, condition| -> Result<_> {
            let x = repeat(x, count)?;
            let outputs = denoiser.predict(&x, &times_of(t, &x)?, condition)?;
            Ok(move |branch: i64| outputs.f_narrow(0, branch * batch, batch))
        };
        match self {
            Self::Two { condition, scale } => {
                let branch = outputs(2, condition)?;
                Ok(scale.apply(&branch(0)?, &branch(1)?)?)
            }
            Self::Nested { condition, style, tokens } => {
                let branch = outputs(3, condition)?;
                let of_tokens = tokens.apply(&branch(1)?, &branch(2)?)?;
                let added = branch(0)?.f_sub(&branch(1)?)?.f_mul_scalar(style.value())?;
                Ok(of_tokens.f_add(&added)?)
            }
        }
    }
}

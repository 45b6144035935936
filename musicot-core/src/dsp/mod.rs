//! Spectral analysis and synthesis.

mod banks;
mod griffin_lim;
mod stft;

pub use banks::{MelBank, MelConfig, MelNorm, MelScale, log_frequency_bank};
pub use griffin_lim::{GriffinLim, griffin_lim, refine_phases};
pub use stft::{Padding, Stft};

//! Spectral analysis and synthesis.

mod banks;
mod griffin_lim;
mod phase_stream;
mod stft;

pub use banks::{MelBank, MelConfig, MelNorm, MelScale, log_frequency_bank};
pub use griffin_lim::{GriffinLim, griffin_lim, refine_phases};
pub use phase_stream::PhaseStream;
pub use stft::{Padding, Stft};

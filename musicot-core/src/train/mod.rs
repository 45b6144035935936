//! What every trainer shares: optimiser, schedule, run directory, and a loop that can be killed and resumed bit for bit.
//!
//! A stage implements [`Task`] (its loss as a pure function of the weights and of [`Position`]); [`fit`] does the rest.

mod config;
mod dataset;
mod fit;
mod loading;
mod observer;
mod optimizer;
#[cfg(feature = "plot")]
mod plot;
mod run_dir;
mod start;
mod task;

pub use config::{Method, Precision, TrainConfig};
pub use dataset::{Dataset, LyricLine, Record, Section, Split, Stem, Tags};
pub use fit::{Summary, fit};
pub use loading::loading;
pub use observer::{Observer, ProgressBar, Silent, StepReport};
pub use optimizer::Optimizer;
#[cfg(feature = "plot")]
pub use plot::plot_metrics;
pub use run_dir::RunDir;
pub use start::start_from;
pub use task::{Position, StepLoss, Task};

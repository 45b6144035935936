//! Training the diffusion transformer: dataset, random crops, condition dropout, loss, validation.

mod batch;
mod config;
mod dataset;
mod task;

use std::path::Path;

use musicot_core::tch::Device;
use musicot_core::train::{Observer, RunDir, Summary, fit};

pub use config::{Crops, DiffusionTrainConfig, Dropout, TimeSampling};
pub use dataset::{Crop, DatasetInfo, LatentDataset, LatentPiece, LatentWriter, PieceEntry};
pub use task::DiffusionTask;

use crate::Result;

/// Trains until all steps are done or the observer stops, continuing from the newest checkpoint of `run_dir`; a finished
/// run writes the model (averaged weights, where an average is kept) to `run_dir/model`.
///
/// # Errors
/// [`crate::Error::Config`] names a setting out of range; a data set that is damaged or does not fit the model is named.
pub fn train(
    config: &DiffusionTrainConfig,
    run_dir: &Path,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    let mut task = DiffusionTask::new(config, device)?;
    let run = RunDir::open(run_dir, config)?;
    let summary = fit(&mut task, &config.train, &run, observer)?;
    if summary.finished {
        task.model().save(run_dir.join("model"), config.storage)?;
    }
    Ok(summary)
}

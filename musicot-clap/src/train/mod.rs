//! Training by symmetric contrast between audio and captions.
//!
//! Items are windows of recordings, described by captions of the piece, of the section, or composed from the parts that are audible, and
//! windows of single parts, described by their instrument family. Log-mel frames of the whole corpus are computed once and
//! kept in files that are memory-mapped. The text tower can start from a published sentence encoder whose vocabulary is pruned, and
//! then usually stays frozen.

mod augment;
mod captions;
mod config;
mod corpus;
mod frozen;
mod loss;
mod mel_cache;
mod prune;
mod start;
mod task;
mod text_init;
mod validation;

use std::path::Path;

use musicot_core::tch::Device;
use musicot_core::train::{Observer, RunDir, Summary, fit};
use musicot_core::{AudioBuffer, Result};

pub use captions::family_words;
pub use config::{Augmentation, ClapTrainConfig, TextInit};
pub use loss::{contrastive_loss, meaning_loss};
pub use prune::{Pruned, prune_vocabulary};

use corpus::Corpus;
use task::ClapTask;
use validation::Validation;

/// Reads an audio file at the model's sample rate; any number of channels.
pub type LoadAudio<'a> = dyn Fn(&Path) -> Result<AudioBuffer> + 'a;

/// Trains a model, or continues to, in a run directory; a finished run leaves the model in `<run_dir>/model`.
///
/// `<run_dir>/init` holds the untrained model with its pruned vocabulary, so that a continued run starts from the same one.
///
/// # Errors
/// [`musicot_core::Error::Config`] for settings out of range; [`musicot_core::Error::Format`] for manifests and files that are not what they should be, or a run
/// directory of another configuration; what `load_audio` raises.
pub fn train(
    config: &ClapTrainConfig,
    run_dir: &Path,
    device: Device,
    observer: &mut dyn Observer,
    load_audio: &LoadAudio,
) -> Result<Summary> {
    config.validate()?;
    let run = RunDir::open(run_dir, config)?;
    let corpus =
        Corpus::open(&config.train_manifest, &config.cache_dir(run_dir, "train"), config, load_audio)?;
    let heldout = match &config.heldout_manifest {
        Some(path) => Some(Corpus::open(path, &config.cache_dir(run_dir, "heldout"), config, load_audio)?),
        None => None,
    };
    let model = start::model(config, &run_dir.join("init"), &corpus, device)?;
    let validation =
        heldout.map(|heldout| Validation::new(&corpus, heldout, config.validation_clips)).transpose()?;
    let mut task = ClapTask::new(model, corpus, validation, config)?;
    let summary = fit(&mut task, &config.train, &run, observer)?;
    if summary.finished {
        task.model().save(run_dir.join("model"), config.storage)?;
    }
    Ok(summary)
}

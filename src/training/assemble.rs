//! A bundle of trained stages.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use musicot_core::{Checkpoint, Error as CoreError, Storage, checkpoint};
use serde::{Deserialize, Serialize};

use crate::bundle::{BUNDLE_FORMAT, BundleConfig, PlanShape, SamplingDefaults, StageEntry};
use crate::{Bundle, Result, Stage};

/// The file of a stage's weights.
const WEIGHTS: &str = "model.safetensors";

/// What a bundle is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundlePlan {
    /// Name of the model.
    pub name: String,
    /// Licence of the weights (SPDX).
    pub licence: String,
    /// Directories of the trained stages.
    pub stages: BTreeMap<Stage, PathBuf>,
    /// Kinds (see [`Stage::kinds`]) of the stages that are not of the first kind.
    #[serde(default)]
    pub kinds: BTreeMap<Stage, String>,
    /// Element type on disk of a stage's weights, where it is not to stay as it was trained.
    #[serde(default)]
    pub storage: BTreeMap<Stage, Storage>,
    /// Samples per second of the waveform.
    pub sample_rate_hz: u32,
    /// Semantic tokens per second.
    pub token_rate_hz: f64,
    /// The shape of plans.
    pub plan: PlanShape,
    /// Default sampling values.
    pub defaults: SamplingDefaults,
    /// How it was trained.
    pub provenance: serde_json::Value,
}

/// Copies trained stages into `out` and seals them. The bundle appears whole: it is made beside `out` and renamed.
///
/// # Errors
/// A stage directory is missing, or `out` exists or cannot be written.
pub fn assemble(plan: &BundlePlan, out: &Path) -> Result<Bundle> {
    if out.join("bundle.json").exists() {
        return Err(crate::Error::input("bundle", format!("{} exists; remove it first", out.display())));
    }
    let partial = out.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(CoreError::io(&partial))?;
    }
    let mut stages = BTreeMap::new();
    for (stage, source) in &plan.stages {
        let target = partial.join(stage.name());
        copy_files(source, &target)?;
        if let Some(storage) = plan.storage.get(stage) {
            convert(&target.join(WEIGHTS), *storage)?;
        }
        let entry = StageEntry {
            directory: stage.name().to_owned(),
            kind: plan.kinds.get(stage).map_or(stage.kinds()[0], String::as_str).to_owned(),
            sha256: BTreeMap::new(),
        };
        stages.insert(*stage, entry);
    }
    let config = BundleConfig {
        format: BUNDLE_FORMAT,
        name: plan.name.clone(),
        licence: plan.licence.clone(),
        sample_rate_hz: plan.sample_rate_hz,
        token_rate_hz: plan.token_rate_hz,
        plan: plan.plan.clone(),
        defaults: plan.defaults.clone(),
        stages,
        provenance: plan.provenance.clone(),
    };
    Bundle::seal(&partial, config)?;
    fs::rename(&partial, out).map_err(CoreError::io(out))?;
    Bundle::open(out)
}

/// Writes a checkpoint again with another element type.
fn convert(weights: &Path, storage: Storage) -> Result<()> {
    let checkpoint = Checkpoint::open(weights)?;
    let named = checkpoint.names().into_iter().map(|name| Ok((name.clone(), checkpoint.tensor(&name)?)));
    let named = named.collect::<Result<Vec<_>>>()?;
    drop(checkpoint);
    Ok(checkpoint::write(weights, &named, storage)?)
}

fn copy_files(source: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target).map_err(CoreError::io(target))?;
    for entry in fs::read_dir(source).map_err(CoreError::io(source))? {
        let path = entry.map_err(CoreError::io(source))?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            fs::copy(&path, target.join(name)).map_err(CoreError::io(&path))?;
        }
    }
    Ok(())
}

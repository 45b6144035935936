//! A run directory: config, metrics, checkpoints. Public in full, for loops that are not [`super::fit`] (training without gradients).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::{read_json, write_atomic, write_json};
use crate::{Error, Result};

/// Checkpoints kept; more than one, so that a damaged disk block does not cost the run.
const KEPT: usize = 2;

/// Layout: `config.json`, `metrics.jsonl`, `checkpoints/step-00000100/{params,optimizer}.safetensors`.
#[derive(Debug, Clone)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Opens or makes a run directory for a configuration.
    ///
    /// # Errors
    /// [`Error::Format`] when the directory holds a run with another configuration.
    pub fn open(root: impl AsRef<Path>, config: &Value) -> Result<Self> {
        let root = root.as_ref().to_owned();
        let path = root.join("config.json");
        if path.is_file() {
            let found: Value = read_json(&path)?;
            if found != *config {
                let reason = "holds a run with another configuration; choose another directory, or delete this one";
                return Err(Error::format(path, reason));
            }
        } else {
            write_json(&path, config)?;
        }
        Ok(Self { root })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The metrics file, one JSON object a line.
    pub fn metrics_path(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// The newest complete checkpoint and the number of steps done in it.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory cannot be read.
    pub fn latest(&self) -> Result<Option<(u64, PathBuf)>> {
        Ok(self.checkpoints()?.pop())
    }

    /// Where the checkpoint after `step` steps is written before it is complete.
    ///
    /// # Errors
    /// [`Error::Io`] names the file or directory.
    pub fn begin(&self, step: u64) -> Result<PathBuf> {
        let partial = self.root.join("checkpoints").join(format!("partial-{step:08}"));
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(Error::io(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
        Ok(partial)
    }

    /// Makes the checkpoint visible and removes old ones.
    ///
    /// # Errors
    /// [`Error::Io`] names the file or directory.
    pub fn complete(&self, step: u64) -> Result<()> {
        let folder = self.root.join("checkpoints");
        let done = folder.join(format!("step-{step:08}"));
        if done.exists() {
            fs::remove_dir_all(&done).map_err(Error::io(&done))?;
        }
        fs::rename(folder.join(format!("partial-{step:08}")), &done).map_err(Error::io(&done))?;
        let mut all = self.checkpoints()?;
        all.truncate(all.len().saturating_sub(KEPT));
        for (_, old) in all {
            fs::remove_dir_all(&old).map_err(Error::io(&old))?;
        }
        Ok(())
    }

    /// Drops metric lines of steps that a killed run did after its last checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] names the file or directory.
    pub fn trim_metrics(&self, steps_done: u64) -> Result<()> {
        let path = self.metrics_path();
        if !path.is_file() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(Error::io(&path))?;
        let is_kept = |line: &&str| {
            let parsed = serde_json::from_str::<Value>(line).ok();
            parsed.and_then(|v| v["step"].as_u64()).is_some_and(|step| step <= steps_done)
        };
        let kept: Vec<&str> = text.lines().filter(is_kept).collect();
        write_atomic(&path, |file| kept.iter().try_for_each(|line| writeln!(file, "{line}")))
    }

    /// Appends a line of metrics.
    ///
    /// # Errors
    /// [`Error::Io`] names the file or directory.
    pub fn log(&self, line: &Value) -> Result<()> {
        let path = self.metrics_path();
        let mut file =
            fs::OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        writeln!(file, "{line}").map_err(Error::io(&path))
    }

    fn checkpoints(&self) -> Result<Vec<(u64, PathBuf)>> {
        let folder = self.root.join("checkpoints");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let entry = entry.map_err(Error::io(&folder))?;
            let name = entry.file_name();
            if let Some(step) = name.to_str().and_then(|n| n.strip_prefix("step-")).and_then(|n| n.parse().ok()) {
                found.push((step, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }
}

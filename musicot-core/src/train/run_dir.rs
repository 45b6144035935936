//! A run directory: config, metrics, checkpoints. Public in full, for loops that are not [`super::fit`] (training without gradients).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
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
    pub fn open(root: impl AsRef<Path>, config: &impl Serialize) -> Result<Self> {
        let root = root.as_ref().to_owned();
        let path = root.join("config.json");
        let config = serde_json::to_value(config).map_err(|e| Error::format(&path, e.to_string()))?;
        if path.is_file() {
            let found: Value = read_json(&path)?;
            if found != config {
                let reason =
                    "holds a run with another configuration; choose another directory, or delete this one";
                return Err(Error::format(path, reason));
            }
        } else {
            write_json(&path, &config)?;
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

    /// Where the checkpoint after `step` steps is written before it is complete. What a killed run left half-written is removed.
    ///
    /// # Errors
    /// [`Error::Io`] names the file or directory.
    pub fn begin(&self, step: u64) -> Result<PathBuf> {
        let folder = self.root.join("checkpoints");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        for name in entries(&folder)?.iter().filter(|name| name.starts_with("partial-")) {
            let old = folder.join(name);
            fs::remove_dir_all(&old).map_err(Error::io(&old))?;
        }
        let partial = folder.join(format!("partial-{step:08}"));
        fs::create_dir(&partial).map_err(Error::io(&partial))?;
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
        let is_kept = |line: &&str| step_of(line).is_some_and(|step| step <= steps_done);
        let kept: Vec<&str> = text.lines().filter(is_kept).collect();
        write_atomic(&path, |file| kept.iter().try_for_each(|line| writeln!(file, "{line}")))
    }

    /// The last whole line of metrics.
    ///
    /// # Errors
    /// [`Error::Io`] names the file or directory.
    pub fn last_metrics(&self) -> Result<Option<Value>> {
        let path = self.metrics_path();
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(Error::io(&path))?;
        let last = text.lines().rfind(|line| step_of(line).is_some());
        Ok(last.and_then(|line| serde_json::from_str(line).ok()))
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
        let number = |name: &String| name.strip_prefix("step-").and_then(|n| n.parse::<u64>().ok());
        let mut found: Vec<(u64, PathBuf)> =
            entries(&folder)?.iter().filter_map(|name| Some((number(name)?, folder.join(name)))).collect();
        found.sort();
        Ok(found)
    }
}

/// The step of a line of metrics; `None` of a line that a kill left half-written.
fn step_of(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line).ok()?["step"].as_u64()
}

/// Names in a folder, those that are not Unicode left out.
fn entries(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder))?;
    let names: Vec<_> = entries
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<std::io::Result<_>>()
        .map_err(Error::io(folder))?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn another_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({"rate": 0.1, "steps": 5});
        RunDir::open(folder.path(), &config).unwrap();
        RunDir::open(folder.path(), &config).unwrap();
        let error = RunDir::open(folder.path(), &json!({"rate": 0.1, "steps": 6})).unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
    }

    #[test]
    fn two_checkpoints_are_kept_and_half_written_ones_removed() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path(), &json!({})).unwrap();
        assert_eq!(run.latest().unwrap(), None);
        run.begin(5).unwrap();
        for step in [10, 9, 200] {
            run.begin(step).unwrap();
            run.complete(step).unwrap();
        }
        run.begin(300).unwrap();
        let mut left = entries(&folder.path().join("checkpoints")).unwrap();
        left.sort();
        assert_eq!(left, ["partial-00000300", "step-00000010", "step-00000200"]);
        assert_eq!(run.latest().unwrap().unwrap().0, 200);
    }

    #[test]
    fn metrics_of_lost_steps_and_half_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path(), &json!({})).unwrap();
        run.trim_metrics(0).unwrap();
        assert_eq!(run.last_metrics().unwrap(), None);
        for step in 1..=4 {
            run.log(&json!({"step": step})).unwrap();
        }
        let mut file = fs::OpenOptions::new().append(true).open(run.metrics_path()).unwrap();
        write!(file, "{{\"step\": 3, \"lo").unwrap();
        assert_eq!(run.last_metrics().unwrap(), Some(json!({"step": 4})));
        run.trim_metrics(3).unwrap();
        assert_eq!(run.last_metrics().unwrap(), Some(json!({"step": 3})));
        let text = fs::read_to_string(run.metrics_path()).unwrap();
        assert_eq!(text, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
    }
}

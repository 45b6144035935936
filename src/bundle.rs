//! A bundle: a directory with one trained stage each, and `bundle.json` that says how they fit together.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use musicot_core::files::{read_json, write_json};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The format this version reads and writes.
pub const BUNDLE_FORMAT: u32 = 1;

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Text and audio to embeddings.
    Clap,
    /// Embeddings to thoughts and back.
    Rvq,
    /// Thoughts and semantic tokens.
    Lm,
    /// Semantic tokens to latents.
    Diffusion,
    /// Latents to a waveform.
    Codec,
    /// A waveform to semantic tokens; needed to train and to measure, not to generate.
    Semantic,
}

impl Stage {
    /// All stages, in the order of the pipeline.
    pub const ALL: [Self; 6] =
        [Self::Clap, Self::Rvq, Self::Lm, Self::Diffusion, Self::Codec, Self::Semantic];

    /// The name in `bundle.json`, and the usual name of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clap => "clap",
            Self::Rvq => "rvq",
            Self::Lm => "lm",
            Self::Diffusion => "diffusion",
            Self::Codec => "codec",
            Self::Semantic => "semantic",
        }
    }

    /// The implementations in this workspace, as [`StageEntry::kind`] names them; the first is what the trainers make.
    ///
    /// Either kind of `clap` may be of our own or of the published layout; `oobleck` is the autoencoder of Stable Audio.
    pub fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Clap => &["htsat-bert", "htsat-roberta"],
            Self::Rvq => &["residual-vq"],
            Self::Lm => &["llama"],
            Self::Diffusion => &["dit"],
            Self::Codec => &["spectral", "oobleck"],
            Self::Semantic => &["notes"],
        }
    }
}

/// Where a stage is and what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageEntry {
    /// Directory within the bundle.
    pub directory: String,
    /// Which implementation reads it, such as `htsat-roberta`.
    pub kind: String,
    /// SHA-256 of each file of the directory, in lower-case hexadecimal.
    pub sha256: BTreeMap<String, String>,
}

/// The shape of plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanShape {
    /// Seconds per thought (paper, section 4: 10).
    pub window_secs: f64,
    /// Codes per thought.
    pub levels: usize,
    /// Different codes per level.
    pub codebook_size: usize,
}

/// How a checkpoint wants to be sampled; bound to the bundle, since right values for one checkpoint are wrong for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingDefaults {
    /// Phase settings of the language model.
    pub policy: musicot_sampling::PhasePolicy,
    /// Plans that are drawn for a song ([`crate::Settings::drafts`]); 1 where a bundle does not say.
    #[serde(default = "crate::request::one_draft")]
    pub drafts: usize,
    /// Solver, steps and guidance of the diffusion.
    pub diffusion: musicot_diffusion::SamplerConfig,
    /// Windows of the diffusion.
    pub windows: musicot_diffusion::SessionConfig,
}

/// `bundle.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleConfig {
    /// Format version.
    pub format: u32,
    /// Name of the model.
    pub name: String,
    /// Licence of the weights (SPDX).
    pub licence: String,
    /// Samples per second of the waveform.
    pub sample_rate_hz: u32,
    /// Semantic tokens per second.
    pub token_rate_hz: f64,
    /// The shape of plans.
    pub plan: PlanShape,
    /// Default sampling values.
    pub defaults: SamplingDefaults,
    /// The stages.
    pub stages: BTreeMap<Stage, StageEntry>,
    /// How it was trained: data, commands, hours, figures.
    pub provenance: serde_json::Value,
}

/// An opened bundle; its stages are loaded when asked for.
#[derive(Debug, Clone)]
pub struct Bundle {
    root: PathBuf,
    config: BundleConfig,
}

impl Bundle {
    /// Reads `bundle.json` and checks that every file it names is there with the right content.
    ///
    /// # Errors
    /// [`Error::Bundle`] names the stage and file that is missing or changed.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref().to_owned();
        let config: BundleConfig = read_json(root.join("bundle.json"))?;
        let bundle = Self { root, config };
        bundle.check()?;
        Ok(bundle)
    }

    /// The content of `bundle.json`.
    pub fn config(&self) -> &BundleConfig {
        &self.config
    }

    /// The bundle's directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The directory of a stage.
    ///
    /// # Errors
    /// [`Error::Bundle`] when the bundle does not have it.
    pub fn stage_dir(&self, stage: Stage) -> Result<PathBuf> {
        let entry = self.config.stages.get(&stage);
        let entry = entry.ok_or_else(|| self.wrong(format!("has no stage `{}`", stage.name())))?;
        Ok(self.root.join(&entry.directory))
    }

    /// SHA-256 of every file, by `stage/file`.
    pub fn hashes(&self) -> BTreeMap<String, String> {
        let all = self.config.stages.iter().flat_map(|(stage, entry)| {
            entry.sha256.iter().map(move |(file, hash)| (format!("{}/{file}", stage.name()), hash.clone()))
        });
        all.collect()
    }

    /// The directory of a stage that one of this workspace's implementations reads, and which.
    pub(crate) fn known_stage(&self, stage: Stage) -> Result<(PathBuf, &'static str)> {
        let dir = self.stage_dir(stage)?;
        let found = self.config.stages.get(&stage).map_or("", |entry| entry.kind.as_str());
        match stage.kinds().iter().find(|kind| **kind == found) {
            Some(kind) => Ok((dir, kind)),
            None => {
                let (name, expected) = (stage.name(), stage.kinds().join("` or `"));
                Err(self.wrong(format!("stage `{name}`: expected kind `{expected}`, got `{found}`")))
            }
        }
    }

    /// Hashes the stage directories under `root` and writes `bundle.json`. The entries' `sha256` are replaced.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn seal(root: impl AsRef<Path>, mut config: BundleConfig) -> Result<Self> {
        let root = root.as_ref().to_owned();
        for entry in config.stages.values_mut() {
            entry.sha256 = hash_directory(&root.join(&entry.directory))?;
        }
        write_json(root.join("bundle.json"), &config)?;
        Self::open(root)
    }

    fn check(&self) -> Result<()> {
        let c = &self.config;
        if c.format != BUNDLE_FORMAT {
            return Err(self.wrong(format!("expected format {BUNDLE_FORMAT}, got {}", c.format)));
        }
        let plan_is_sane = c.plan.window_secs > 0.0 && c.plan.levels > 0 && c.plan.codebook_size > 0;
        let rates_are_sane = c.token_rate_hz > 0.0 && c.sample_rate_hz > 0;
        if !plan_is_sane || !rates_are_sane {
            return Err(self.wrong("rates and plan shape must be positive"));
        }
        for (stage, entry) in &c.stages {
            let mut parts = Path::new(&entry.directory).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(self.wrong(format!(
                    "stage `{}`: `{}` is not a plain directory name",
                    stage.name(),
                    entry.directory
                )));
            }
            self.check_stage(*stage, entry)?;
        }
        Ok(())
    }

    fn check_stage(&self, stage: Stage, entry: &StageEntry) -> Result<()> {
        let found = hash_directory(&self.root.join(&entry.directory))?;
        for (file, expected) in &entry.sha256 {
            match found.get(file) {
                None => return Err(self.wrong(format!("stage `{}` lacks {file}", stage.name()))),
                Some(actual) if actual != expected => {
                    return Err(self.wrong(format!(
                        "stage `{}`: {file} is not the file that was sealed (SHA-256 differs)",
                        stage.name()
                    )));
                }
                Some(_) => {}
            }
        }
        match found.keys().find(|file| !entry.sha256.contains_key(*file)) {
            Some(extra) => Err(self.wrong(format!("stage `{}` holds an unknown file {extra}", stage.name()))),
            None => Ok(()),
        }
    }

    fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Bundle { path: self.root.clone(), reason: reason.into() }
    }
}

fn hash_directory(dir: &Path) -> Result<BTreeMap<String, String>> {
    let io = |path: &Path, e| Error::Core(musicot_core::Error::io(path)(e));
    let mut hashes = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|e| io(dir, e))? {
        let path = entry.map_err(|e| io(dir, e))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() {
            hashes.insert(name, hash_file(&path).map_err(|e| io(&path, e))?);
        }
    }
    Ok(hashes)
}

fn hash_file(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..count]);
    }
}

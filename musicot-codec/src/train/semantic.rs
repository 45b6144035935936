//! Training of the note tokeniser.

use std::path::{Path, PathBuf};

use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::train::{
    Dataset, Observer, Position, RunDir, StepLoss, Summary, Task, TrainConfig, fit, loading,
};
use musicot_core::{ParamStore, Storage};
use musicot_rvq::train::{LearnConfig, RvqLearner};
use serde::{Deserialize, Serialize};

use super::{PcmCache, crops, into_core};
use crate::semantic::{LEARNER, NoteTokenizer, NoteTokenizerConfig};
use crate::{Error, Result};

/// A training run of the tokeniser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoteTokenizerTrainConfig {
    /// The model.
    pub model: NoteTokenizerConfig,
    /// The optimisation.
    pub train: TrainConfig,
    /// How the codebook follows.
    pub codebook: LearnConfig,
    /// Manifest of the training corpus.
    pub manifest: PathBuf,
    /// Manifest of the held-out corpus.
    pub heldout: PathBuf,
    /// Crops per micro-batch.
    pub batch: usize,
    /// Tokens per crop.
    pub crop_tokens: i64,
    /// Steps without quantisation, so that the codebook starts from vectors that mean something.
    pub free_steps: u64,
    /// Weight of the envelopes against the semitone bands.
    pub rhythm_weight: f64,
    /// Weight of the chroma (1 - cosine per frame).
    pub chroma_weight: f64,
    /// Weight that draws vectors to their codes.
    pub commitment_weight: f64,
    /// Element type of the exported weights.
    pub storage: Storage,
}

impl Default for NoteTokenizerTrainConfig {
    fn default() -> Self {
        Self {
            model: NoteTokenizerConfig::default(),
            train: TrainConfig::default(),
            codebook: LearnConfig::default(),
            manifest: "data/train/manifest.jsonl".into(),
            heldout: "data/heldout/manifest.jsonl".into(),
            batch: 16,
            crop_tokens: 96,
            free_steps: 200,
            rhythm_weight: 0.5,
            chroma_weight: 1.0,
            commitment_weight: 0.5,
            storage: Storage::Bf16,
        }
    }
}

/// Trains a tokeniser, or continues to, and writes it to `RUN/model` when all steps are done.
///
/// # Errors
/// A configuration out of range, data that cannot be read, or a run directory of another configuration.
pub fn train_semantic(
    config: &NoteTokenizerTrainConfig,
    run_dir: &Path,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    let run = RunDir::open(run_dir, config)?;
    let mut task = NoteTask::new(config, device)?;
    let summary = fit(&mut task, &config.train, &run, observer)?;
    if summary.finished {
        task.tokenizer.save(run_dir.join("model"), config.storage)?;
    }
    Ok(summary)
}

/// Micro-batches whose vectors start the codebook.
const START_BATCHES: u64 = 8;
/// Held-out crops per validation.
const VALIDATION_CROPS: usize = 32;

struct NoteTask {
    tokenizer: NoteTokenizer,
    learner: RvqLearner,
    config: NoteTokenizerTrainConfig,
    pcm: PcmCache,
    heldout: PcmCache,
}

struct Losses {
    pitch: Tensor,
    rhythm: Tensor,
    chroma: Tensor,
}

impl NoteTask {
    fn new(config: &NoteTokenizerTrainConfig, device: Device) -> Result<Self> {
        if config.batch == 0 || config.crop_tokens <= 0 {
            return Err(Error::Core(musicot_core::Error::config(
                "batch",
                "batch and crop_tokens must be positive",
            )));
        }
        let tokenizer = NoteTokenizer::new(&config.model, device, config.train.seed)?;
        let scope = tokenizer.params().root().sub(LEARNER);
        let learner = RvqLearner::new(tokenizer.quantizer(), &scope, &config.codebook)?;
        let rate = config.model.sample_rate_hz;
        let pcm = PcmCache::build(&Dataset::open(&config.manifest)?, rate)?;
        let heldout = PcmCache::build(&Dataset::open(&config.heldout)?, rate)?;
        Ok(Self { tokenizer, learner, config: config.clone(), pcm, heldout })
    }

    fn features(&self, at: &Position) -> Result<Tensor> {
        let clips = at.items(self.config.batch, self.pcm.len());
        let mut places = at.rng.stage("crop").at(at.index());
        let samples = loading(|| crops(&self.pcm, &clips, self.crop(), || places.uniform_f64()))?;
        let samples = samples.f_to_device(self.tokenizer.params().device())?;
        Ok(self.tokenizer.features().analyse(&samples)?)
    }

    fn crop(&self) -> usize {
        (self.config.crop_tokens * self.config.model.hop) as usize
    }

    /// Starts the codebook on the vectors of several micro-batches.
    fn start(&mut self, at: &Position) -> Result<()> {
        let vectors: Vec<Tensor> = (0..START_BATCHES)
            .map(|ahead| {
                let at = Position { step: at.step + ahead, ..*at };
                tch::no_grad(|| self.tokenizer.to_vectors(&self.features(&at)?))
            })
            .collect::<Result<_>>()?;
        Ok(self.learner.start(&Tensor::f_cat(&vectors, 0)?, at.rng.stage("start"))?)
    }

    fn losses(&self, wanted: &Tensor, got: &Tensor) -> Result<Losses> {
        let pitch = self.tokenizer.features().pitch_features();
        let rest = wanted.size()[1] - pitch;
        let part = |start, count| -> Result<Tensor> {
            let (wanted, got) = (wanted.f_narrow(1, start, count)?, got.f_narrow(1, start, count)?);
            Ok(got.f_sub(&wanted)?.f_abs()?.f_mean(Kind::Float)?)
        };
        Ok(Losses {
            pitch: part(0, pitch)?,
            rhythm: part(pitch, rest)?,
            chroma: self.chroma_loss(wanted, got)?,
        })
    }

    /// `1 - cosine` of the chroma of both, averaged over frames and weighted by how loud the wanted frame is.
    fn chroma_loss(&self, wanted: &Tensor, got: &Tensor) -> Result<Tensor> {
        let (wanted, got) = (self.chroma(wanted)?, self.chroma(got)?);
        let norm = |x: &Tensor| -> Result<Tensor> {
            Ok(x.f_square()?.f_sum_dim_intlist([-1].as_slice(), false, None)?.f_add_scalar(1e-6)?.f_sqrt()?)
        };
        let (wanted_norm, got_norm) = (norm(&wanted)?, norm(&got)?);
        let dot = wanted.f_mul(&got)?.f_sum_dim_intlist([-1].as_slice(), false, None)?;
        let distance = dot.f_div(&wanted_norm.f_mul(&got_norm)?)?.f_neg()?.f_add_scalar(1.0)?;
        let weight = wanted_norm.f_sqrt()?;
        Ok(distance
            .f_mul(&weight)?
            .f_sum(Kind::Float)?
            .f_div(&weight.f_sum(Kind::Float)?.f_add_scalar(1e-6)?)?)
    }

    /// Magnitudes folded into octaves `[batch, tokens, pitch frames, 12]`.
    fn chroma(&self, features: &Tensor) -> Result<Tensor> {
        let c = &self.config.model;
        let octaves = c.semitones as i64 / 12;
        let (batch, _, tokens) = features.size3()?;
        let pitch = features.f_narrow(1, 0, self.tokenizer.features().pitch_features())?;
        let split = pitch.f_reshape([batch, c.pitch_frames, c.semitones as i64, tokens])?;
        let split =
            split.f_narrow(2, 0, octaves * 12)?.f_reshape([batch, c.pitch_frames, octaves, 12, tokens])?;
        let linear = crate::semantic::to_linear(&split)?;
        Ok(linear.f_sum_dim_intlist([2].as_slice(), false, None)?.f_permute([0, 3, 1, 2])?)
    }
}

impl Task for NoteTask {
    fn params(&self) -> &ParamStore {
        self.tokenizer.params()
    }

    fn loss(&mut self, at: &Position) -> musicot_core::Result<StepLoss> {
        let c = self.config.clone();
        let outcome = (|| {
            let is_free = at.step < c.free_steps;
            if !is_free && !self.learner.is_started()? {
                self.start(at)?;
            }
            let wanted = self.features(at)?;
            let vectors = self.tokenizer.to_vectors(&wanted)?;
            if is_free {
                return Ok((self.losses(&wanted, &self.tokenizer.rebuild(&unit(&vectors)?)?)?, None));
            }
            let quantized = self.learner.forward(&vectors, at)?;
            let got = self.tokenizer.rebuild(&quantized.quantized)?;
            Ok((self.losses(&wanted, &got)?, Some(quantized.commitment_loss)))
        })();
        let (losses, commitment) = outcome.map_err(into_core)?;
        let mut total = losses
            .pitch
            .f_add(&losses.rhythm.f_mul_scalar(c.rhythm_weight)?)?
            .f_add(&losses.chroma.f_mul_scalar(c.chroma_weight)?)?;
        if let Some(commitment) = commitment {
            total = total.f_add(&commitment.f_mul_scalar(c.commitment_weight * c.model.code_dim as f64)?)?;
        }
        Ok(StepLoss { loss: total, metrics: losses.named()? })
    }

    fn after_step(&mut self, at: &Position) -> musicot_core::Result<()> {
        self.learner.update(at)?;
        Ok(())
    }

    fn validate(&mut self) -> musicot_core::Result<Vec<(String, f64)>> {
        let clips: Vec<usize> = (0..self.heldout.len().min(VALIDATION_CROPS)).collect();
        let outcome = (|| -> Result<_> {
            let samples = crops(&self.heldout, &clips, self.crop(), || 0.4)?;
            let samples = samples.f_to_device(self.tokenizer.params().device())?;
            let wanted = self.tokenizer.features().analyse(&samples)?;
            let tokens = crate::SemanticTokenizer::tokenize(&self.tokenizer, &samples)?;
            let distinct = musicot_core::tensor::to_ids(&tokens)?
                .into_iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len();
            Ok((self.losses(&wanted, &self.tokenizer.describe(&tokens)?)?.named()?, distinct))
        })();
        let (named, distinct) = outcome.map_err(into_core)?;
        let mut figures: Vec<(String, f64)> =
            named.into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
        figures.push(("distinct_tokens".to_owned(), distinct as f64));
        Ok(figures)
    }
}

/// Vectors of unit length along the last axis, as the cosine codebook gives them.
fn unit(vectors: &Tensor) -> Result<Tensor> {
    let norm =
        vectors.f_square()?.f_sum_dim_intlist([-1].as_slice(), true, None)?.f_add_scalar(1e-12)?.f_sqrt()?;
    Ok(vectors.f_div(&norm)?)
}

impl Losses {
    fn named(&self) -> musicot_core::Result<Vec<(&'static str, f64)>> {
        Ok(vec![
            ("pitch", self.pitch.f_double_value(&[])?),
            ("rhythm", self.rhythm.f_double_value(&[])?),
            ("chroma", self.chroma.f_double_value(&[])?),
        ])
    }
}

//! Training of the spectral codec.

use std::path::{Path, PathBuf};

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::train::{
    Dataset, Observer, Position, RunDir, StepLoss, Summary, Task, TrainConfig, fit, loading, start_from,
};
use musicot_core::{ParamStore, Storage, dsp, tensor};
use serde::{Deserialize, Serialize};

use super::{PcmCache, crops, into_core};
use crate::spectral::{SpectralCodec, SpectralCodecConfig};
use crate::{Error, Result};

/// A training run of the codec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodecTrainConfig {
    /// The model.
    pub model: SpectralCodecConfig,
    /// The optimisation.
    pub train: TrainConfig,
    /// Folder of a trained codec of the same sizes that this run goes on from.
    pub start_from: Option<PathBuf>,
    /// Manifest of the training corpus.
    pub manifest: PathBuf,
    /// Manifest of the held-out corpus.
    pub heldout: PathBuf,
    /// Crops per micro-batch.
    pub batch: usize,
    /// Latent frames per crop.
    pub crop_latents: i64,
    /// Weight of the difference of magnitudes in semitone bands, which is where notes are told apart.
    pub semitone_weight: f64,
    /// Weight of the difference of changes from frame to frame in broad bands, which is where onsets are heard.
    pub flux_weight: f64,
    /// Weight of the difference of changes from frame to frame of single bands: without it a steady tone flutters, which is heard as onsets.
    pub flutter_weight: f64,
    /// Weight of the spectral convergence (relative error of linear magnitudes).
    pub convergence_weight: f64,
    /// Element type of the exported weights.
    pub storage: Storage,
}

impl Default for CodecTrainConfig {
    fn default() -> Self {
        Self {
            model: SpectralCodecConfig::default(),
            train: TrainConfig::default(),
            start_from: None,
            manifest: "data/train/manifest.jsonl".into(),
            heldout: "data/heldout/manifest.jsonl".into(),
            batch: 8,
            crop_latents: 64,
            semitone_weight: 0.5,
            flux_weight: 2.0,
            flutter_weight: 0.5,
            convergence_weight: 0.5,
            storage: Storage::Int8,
        }
    }
}

/// Trains a codec, or continues to, and writes it to `RUN/model` when all steps are done.
///
/// # Errors
/// A configuration out of range, data that cannot be read, or a run directory of another configuration.
pub fn train_codec(
    config: &CodecTrainConfig,
    run_dir: &Path,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    let run = RunDir::open(run_dir, config)?;
    let mut task = CodecTask::new(config, device)?;
    let summary = fit(&mut task, &config.train, &run, observer)?;
    if summary.finished {
        task.codec.save(run_dir.join("model"), config.storage)?;
    }
    Ok(summary)
}

/// Semitone bands from C1 up, which cover the fundamentals and first partials of most instruments.
const SEMITONES: usize = 84;
const LOWEST_HZ: f64 = 32.703;

/// Neighbouring values whose mean makes a broad band.
const FLUX_BAND: i64 = 8;

/// Held-out crops per validation.
const VALIDATION_CROPS: usize = 32;

struct CodecTask {
    codec: SpectralCodec,
    config: CodecTrainConfig,
    pcm: PcmCache,
    heldout: PcmCache,
    /// `[semitones, fine bins]`.
    semitones: Tensor,
}

impl CodecTask {
    fn new(config: &CodecTrainConfig, device: Device) -> Result<Self> {
        if config.batch == 0 || config.crop_latents <= 0 {
            return Err(Error::Core(musicot_core::Error::config(
                "batch",
                "batch and crop_latents must be positive",
            )));
        }
        let m = &config.model;
        let codec = SpectralCodec::new(m, device, config.train.seed)?;
        if let Some(dir) = &config.start_from {
            start_from(codec.params(), SpectralCodec::load(dir, device)?.params(), dir)?;
        }
        let load = |manifest: &Path| PcmCache::build(&Dataset::open(manifest)?, m.sample_rate_hz);
        let bank = dsp::log_frequency_bank(m.sample_rate_hz, m.n_fft as usize, LOWEST_HZ, 12, SEMITONES)?;
        let bank = bank.slice(ndarray::s![.., ..m.fine_bins as usize]).to_owned();
        let semitones = tensor::from_array(bank.view(), device)?;
        let (pcm, heldout) = (load(&config.manifest)?, load(&config.heldout)?);
        Ok(Self { codec, config: config.clone(), pcm, heldout, semitones })
    }

    fn crop(&self) -> usize {
        (self.config.crop_latents * self.config.model.hop()) as usize
    }

    fn losses(&self, samples: &Tensor, noise: Option<&Tensor>) -> Result<Losses> {
        let target = self.codec.magnitudes().analyse(samples)?;
        let latents = self.codec.to_latents(samples)?;
        let noisy = match noise {
            Some(noise) => latents.f_add(noise)?,
            None => latents.shallow_clone(),
        };
        let output = self.codec.to_magnitudes(&noisy)?;
        let (wanted, got) =
            (self.codec.magnitudes().to_linear(&target)?, self.codec.magnitudes().to_linear(&output)?);
        let residual = got.f_sub(&wanted)?.f_square()?.f_sum(Kind::Float)?;
        Ok(Losses {
            log: output.f_sub(&target)?.f_abs()?.f_mean(Kind::Float)?,
            semitone: self
                .in_semitones(&got)?
                .f_sub(&self.in_semitones(&wanted)?)?
                .f_abs()?
                .f_mean(Kind::Float)?,
            flux: changes(&broad(&output)?)?
                .f_sub(&changes(&broad(&target)?)?)?
                .f_abs()?
                .f_mean(Kind::Float)?,
            flutter: changes(&output)?.f_sub(&changes(&target)?)?.f_abs()?.f_mean(Kind::Float)?,
            convergence: residual
                .f_div(&wanted.f_square()?.f_sum(Kind::Float)?.f_add_scalar(1e-6)?)?
                .f_add_scalar(1e-9)?
                .f_sqrt()?,
        })
    }

    /// Log energy of semitone bands `[batch, semitones, frames]`.
    fn in_semitones(&self, linear: &Tensor) -> Result<Tensor> {
        let fine = linear.f_narrow(1, 0, self.config.model.fine_bins)?;
        let energy = self.semitones.f_matmul(&fine.f_square()?)?;
        let floor = self.config.model.floor;
        Ok(energy.f_add_scalar(floor * floor)?.f_log()?.f_mul_scalar(0.5)?)
    }
}

/// Means of neighbouring bands `[batch, broad bands, frames]`.
fn broad(normalised: &Tensor) -> Result<Tensor> {
    let (batch, bands, frames) = normalised.size3()?;
    let count = bands / FLUX_BAND;
    let grouped =
        normalised.f_narrow(1, 0, count * FLUX_BAND)?.f_reshape([batch, count, FLUX_BAND, frames])?;
    Ok(grouped.f_mean_dim([2].as_slice(), false, None)?)
}

/// Changes from frame to frame `[batch, bands, frames - 1]`.
fn changes(bands: &Tensor) -> Result<Tensor> {
    Ok(bands.f_diff::<Tensor>(1, 2, None, None)?)
}

struct Losses {
    log: Tensor,
    semitone: Tensor,
    flux: Tensor,
    flutter: Tensor,
    convergence: Tensor,
}

impl Task for CodecTask {
    fn params(&self) -> &ParamStore {
        self.codec.params()
    }

    fn loss(&mut self, at: &Position) -> musicot_core::Result<StepLoss> {
        let c = &self.config;
        let clips = at.items(c.batch, self.pcm.len());
        let mut places = at.rng.stage("crop").at(at.index());
        let outcome = (|| {
            let samples = loading(|| crops(&self.pcm, &clips, self.crop(), || places.uniform_f64()))?;
            let samples = samples.f_to_device(self.codec.params().device())?;
            let shape = [c.batch as i64, c.model.latent_dim, c.crop_latents];
            let noise = at.rng.stage("noise").normal(at.index(), &shape, samples.device())?;
            self.losses(&samples, Some(&noise.f_mul_scalar(c.model.latent_noise)?))
        })();
        let losses = outcome.map_err(into_core)?;
        let total = losses
            .log
            .f_add(&losses.semitone.f_mul_scalar(c.semitone_weight)?)?
            .f_add(&losses.flux.f_mul_scalar(c.flux_weight)?)?
            .f_add(&losses.flutter.f_mul_scalar(c.flutter_weight)?)?
            .f_add(&losses.convergence.f_mul_scalar(c.convergence_weight)?)?;
        Ok(StepLoss { loss: total, metrics: losses.named()? })
    }

    fn validate(&mut self) -> musicot_core::Result<Vec<(String, f64)>> {
        let count = self.heldout.len().min(VALIDATION_CROPS);
        let clips: Vec<usize> = (0..count).collect();
        let outcome = (|| {
            let samples = crops(&self.heldout, &clips, self.crop(), || 0.4)?;
            self.losses(&samples.f_to_device(self.codec.params().device())?, None)
        })();
        let losses = outcome.map_err(into_core)?;
        Ok(losses.named()?.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl Losses {
    fn named(&self) -> musicot_core::Result<Vec<(&'static str, f64)>> {
        Ok(vec![
            ("log", self.log.f_double_value(&[])?),
            ("semitone", self.semitone.f_double_value(&[])?),
            ("flux", self.flux.f_double_value(&[])?),
            ("flutter", self.flutter.f_double_value(&[])?),
            ("convergence", self.convergence.f_double_value(&[])?),
        ])
    }
}

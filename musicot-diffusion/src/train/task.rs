//! The loss and the validation.

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::train::{Position, StepLoss, Task, loading, start_from};
use musicot_core::{CounterRng, ParamStore};

use super::batch::{self, Batch};
use super::config::DiffusionTrainConfig;
use super::dataset::{DatasetInfo, LatentDataset};
use crate::{Condition, Denoiser, Dit, Error, Result};

/// Times at which the validation measures the loss: the centres of equal bins.
const BINS: usize = 8;

/// A [`Dit`] with its data.
pub struct DiffusionTask {
    model: Dit,
    data: LatentDataset,
    heldout: Option<LatentDataset>,
    config: DiffusionTrainConfig,
    device: Device,
}

impl DiffusionTask {
    /// A new model, its latent statistics measured on the data, or that of [`DiffusionTrainConfig::start_from`].
    ///
    /// # Errors
    /// [`Error::Config`] for settings out of range; a data set that is damaged or does not fit the model, or a model to start from that is
    /// of another shape, is named.
    pub fn new(config: &DiffusionTrainConfig, device: Device) -> Result<Self> {
        config.validate()?;
        let data = open(&config.data, config)?;
        let heldout = config.heldout.as_ref().map(|path| open(path, config)).transpose()?;
        let mut model = Dit::new(config.model.clone(), device, config.train.seed)?;
        if let Some(dir) = &config.start_from {
            start_from(model.params(), Dit::load(dir, device)?.params(), dir)?;
        } else {
            let (mean, deviation) = data.statistics()?;
            model.set_latent_statistics(&mean, &deviation)?;
        }
        Ok(Self { model, data, heldout, config: config.clone(), device })
    }

    /// The model.
    pub fn model(&self) -> &Dit {
        &self.model
    }

    /// The mean squared error of a held-out set at the time of each bin, with the same crops and noise each time.
    fn losses_by_time(&self, data: &LatentDataset, condition: bool) -> Result<Vec<f64>> {
        let (frames, places) = batch::validation_places(data, &self.config);
        let mut sums = vec![0.0; BINS];
        for (chunk, places) in places.chunks(16).enumerate() {
            let batch = batch::read(data, frames, places, self.device)?;
            let latents = self.model.normalize(&batch.latents)?;
            let noise = batch::draw_noise(CounterRng::new(0).stage("validation"), chunk as u64, &latents)?;
            let given = if condition { batch.condition } else { Condition::default() };
            for (bin, sum) in sums.iter_mut().enumerate() {
                let time = (bin as f64 + 0.5) / BINS as f64;
                let time = Tensor::f_full([places.len() as i64], time, (Kind::Float, self.device))?;
                let (x, target) = self.model.objective().batch(&latents, &noise, &time)?;
                let error = self.model.predict(&x, &time, &given)?.f_sub(&target)?.f_square()?;
                *sum += error.f_mean(None)?.f_double_value(&[])? * places.len() as f64;
            }
        }
        Ok(sums.into_iter().map(|sum| sum / places.len() as f64).collect())
    }
}

impl Task for DiffusionTask {
    fn params(&self) -> &ParamStore {
        self.model.params()
    }

    fn loss(&mut self, at: &Position) -> Result<StepLoss> {
        let (index, c) = (at.index(), &self.config);
        let (frames, places) = batch::draw_places(&self.data, &c.crops, at.rng, index);
        let Batch { latents, mut condition } =
            loading(|| batch::read(&self.data, frames, &places, self.device))?;
        let known = batch::draw_known(&c.crops, at.rng, index, (places.len(), frames), self.device)?;
        condition.keep = batch::draw_keep(&c.dropout, at.rng, index, places.len(), self.device)?;
        let latents = self.model.normalize(&latents)?;
        let noise = batch::draw_noise(at.rng, index, &latents)?;
        let time = batch::draw_times(c.times, at.rng, index, places.len(), self.device)?;
        let (x, target) = self.model.objective().batch(&latents, &noise, &time)?;
        let x = latents.f_where_self(&known.f_unsqueeze(1)?, &x)?;
        let unknown = known.f_logical_not()?.f_to_kind(Kind::Float)?;
        condition.known = Some(known);
        // Known frames are not made, so they are not learned.
        let error = |found: &Tensor, wanted: &Tensor| -> Result<Tensor> {
            let per_frame = found.f_sub(wanted)?.f_square()?.f_mean_dim(1, false, Kind::Float)?;
            Ok(per_frame.f_mul(&unknown)?.f_sum(Kind::Float)?.f_div(&unknown.f_sum(Kind::Float)?)?)
        };
        let (prediction, estimate) = self.model.predict_and_estimate(&x, &time, &condition)?;
        let mut loss = error(&prediction, &target)?;
        let mut metrics = vec![("crop_frames", frames as f64)];
        if let Some(estimate) = estimate {
            let estimate = error(&estimate, &latents)?;
            metrics.push(("estimate", estimate.f_double_value(&[])?));
            loss = loss.f_add(&estimate.f_mul_scalar(self.config.estimate_loss)?)?;
        }
        Ok(StepLoss { loss, metrics })
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let Some(heldout) = &self.heldout else { return Ok(Vec::new()) };
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let losses = self.losses_by_time(heldout, true)?;
        let null = self.losses_by_time(heldout, false)?;
        let mut figures = vec![("loss".to_owned(), mean(&losses)), ("loss_null".to_owned(), mean(&null))];
        for (bin, loss) in losses.into_iter().enumerate() {
            figures.push((format!("loss_t{:.4}", (bin as f64 + 0.5) / BINS as f64), loss));
        }
        Ok(figures)
    }
}

fn open(path: &std::path::Path, config: &DiffusionTrainConfig) -> Result<LatentDataset> {
    let data = LatentDataset::open(path)?;
    let expected = DatasetInfo::from(&config.model);
    if *data.info() == expected {
        return Ok(data);
    }
    let reason = format!("expected {expected:?} as in the model's configuration, got {:?}", data.info());
    Err(Error::format(path, reason))
}

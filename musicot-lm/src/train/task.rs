//! The training loop's view of the model.

use std::path::Path;

use musicot_core::ParamStore;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::train::{Observer, Position, RunDir, StepLoss, Summary, Task, fit, loading, start_from};

use super::batch::example;
use super::measure::{NllConfig, PlanSource, audio_nll_per_piece, mean, thought_nll_per_piece};
use super::{LmTrainConfig, TokenDataset, train_tokenizer};
use crate::config::PlanMode;
use crate::lyrics::TOKENIZER_FILE;
use crate::{LyricTokenizer, MusicLm, Result};

/// A model, its data and its loss: cross-entropy of the plan's codes and of the audio tokens, each over its own range of ids.
pub struct LmTask {
    model: MusicLm,
    data: TokenDataset,
    validation: Option<TokenDataset>,
    config: LmTrainConfig,
}

impl LmTask {
    /// A task with fresh weights, or those of [`LmTrainConfig::start_from`].
    ///
    /// # Errors
    /// The configuration is out of range, or a dataset does not fit the model, or the model to start from has parameters that this one lacks.
    pub fn new(
        config: LmTrainConfig,
        data: TokenDataset,
        validation: Option<TokenDataset>,
        tokenizer: Option<LyricTokenizer>,
        device: Device,
    ) -> Result<Self> {
        config.validate()?;
        data.expect(&config.model)?;
        let validation = match validation {
            None => None,
            Some(all) => {
                all.expect(&config.model)?;
                let first = all.pieces().iter().take(config.validation_pieces.max(1)).cloned().collect();
                Some(TokenDataset::new(all.info().clone(), first)?)
            }
        };
        let mut model = MusicLm::new(config.model.clone(), device, config.train.seed)?;
        if let Some(dir) = &config.start_from {
            start_from(model.params(), MusicLm::load(dir, device)?.params(), dir)?;
        }
        if let Some(tokenizer) = tokenizer {
            model.set_tokenizer(tokenizer)?;
        }
        Ok(Self { model, data, validation, config })
    }

    /// The model.
    pub fn model(&self) -> &MusicLm {
        &self.model
    }

    /// Gives up the model.
    pub fn into_model(self) -> MusicLm {
        self.model
    }

    fn batch_step(&self, at: &Position) -> Result<StepLoss> {
        let rng = at.rng.stage("examples");
        let spread = self.config.max_windows - self.config.min_windows + 1;
        let windows = self.config.min_windows + rng.stage("windows").at(at.index()).below(spread);
        let items = at.items(self.config.batch, self.data.pieces().len());
        let songs = items.iter().enumerate().map(|(row, item)| {
            let mut draws = rng.item(at.index()).at(row as u64);
            let song =
                example(&self.data.pieces()[*item], windows, &self.config, self.model.vocab(), &mut draws)?;
            self.model.encode_song(&song)
        });
        let songs = loading(|| songs.collect::<Result<Vec<_>>>())?;
        let loss = self.model.batch_loss(&songs)?;
        let audio = loss.audio.f_mean(Kind::Float)?;
        let mut total = audio.f_mul_scalar(self.config.audio_loss)?;
        let mut metrics = vec![("audio_loss", value(&audio)?)];
        if let Some(thoughts) = loss.thoughts {
            let thoughts = thoughts.f_mean(Kind::Float)?;
            metrics.push(("thought_loss", value(&thoughts)?));
            total = total.f_add(&thoughts.f_mul_scalar(self.config.thought_loss)?)?;
        }
        Ok(StepLoss { loss: total, metrics })
    }

    fn measure(&self) -> Result<Vec<(String, f64)>> {
        let Some(data) = &self.validation else { return Ok(Vec::new()) };
        let config = NllConfig {
            max_windows: self.config.max_windows,
            batch: self.config.batch,
            ..Default::default()
        };
        let mut figures = Vec::new();
        let mut audio = |name: &str, plan| -> Result<()> {
            figures.push((name.to_owned(), mean(&audio_nll_per_piece(&self.model, data, plan, &config)?)));
            Ok(())
        };
        if self.config.model.plan == PlanMode::None {
            audio("audio_loss", PlanSource::None)?;
            return Ok(figures);
        }
        audio("audio_loss", PlanSource::Right)?;
        audio("audio_loss_no_plan", PlanSource::None)?;
        if data.pieces().len() > 1 {
            audio("audio_loss_other_plan", PlanSource::Other)?;
        }
        figures.push(("thought_loss".to_owned(), mean(&thought_nll_per_piece(&self.model, data, &config)?)));
        Ok(figures)
    }
}

fn value(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.f_detach()?.f_double_value(&[])?)
}

impl Task for LmTask {
    fn params(&self) -> &ParamStore {
        self.model.params()
    }

    fn loss(&mut self, at: &Position) -> musicot_core::Result<StepLoss> {
        Ok(self.batch_step(at)?)
    }

    fn validate(&mut self) -> musicot_core::Result<Vec<(String, f64)>> {
        Ok(self.measure()?)
    }
}

/// Trains in a run directory, continuing where an earlier run stopped. A finished run leaves the stage directory in `model/`.
///
/// # Errors
/// The configuration or the data are unusable, or the run directory holds another run.
pub fn train(
    config: &LmTrainConfig,
    run_dir: &Path,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<Summary> {
    config.validate()?;
    let data = TokenDataset::read(&config.data)?;
    let validation = config.validation.as_ref().map(TokenDataset::read).transpose()?;
    let run = RunDir::open(run_dir, config)?;
    let tokenizer = tokenizer(config, &data, run_dir)?;
    let mut task = LmTask::new(config.clone(), data, validation, tokenizer, device)?;
    let summary = fit(&mut task, &config.train, &run, observer)?;
    if summary.finished {
        task.model().save(run_dir.join("model"), config.storage)?;
    }
    Ok(summary)
}

/// The tokenizer of the configuration, of the run so far, or a new one; `None` for a vocabulary or a corpus without lyrics.
fn tokenizer(config: &LmTrainConfig, data: &TokenDataset, run_dir: &Path) -> Result<Option<LyricTokenizer>> {
    if let Some(path) = &config.tokenizer {
        return Ok(Some(LyricTokenizer::load(path)?));
    }
    let kept = run_dir.join(TOKENIZER_FILE);
    if kept.is_file() {
        return Ok(Some(LyricTokenizer::load(kept)?));
    }
    // Sung lines as the model will see them: words joined by spaces.
    let line =
        |piece: &super::TokenPiece| piece.lyrics.iter().map(|l| l.text.trim()).collect::<Vec<_>>().join(" ");
    let lyrics: Vec<String> = data.pieces().iter().map(line).filter(|text| !text.is_empty()).collect();
    if config.model.vocab.lyric_tokens == 0 || lyrics.is_empty() {
        return Ok(None);
    }
    let made = train_tokenizer(lyrics.iter().map(String::as_str), config.model.vocab.lyric_tokens)?;
    made.save(kept)?;
    Ok(Some(made))
}

//! The model a run starts from.

use std::path::Path;

use musicot_core::tch::{Device, Tensor};
use musicot_core::{Error, Result, Storage};

use super::config::ClapTrainConfig;
use super::corpus::Corpus;
use super::text_init::TextStart;
use crate::config::ClapConfig;
use crate::model::Clap;
use crate::text::TextTokenizer;

/// Where the parameters of the text tower are.
const TEXT_TOWER: &str = "text_model.";

/// Windows of each kind from which the statistics of the bands are taken.
const STATISTICS_CLIPS: usize = 256;

/// Opens the model that a run in `dir` begins with, or makes it: random weights and statistics of the bands from the corpus, or what `start_from`
/// has; a text tower from `text_init`.
pub(super) fn model(config: &ClapTrainConfig, dir: &Path, corpus: &Corpus, device: Device) -> Result<Clap> {
    // Written last, so that its presence means the folder is whole.
    if !dir.join("model.safetensors").is_file() {
        make(config, corpus)?.save(dir, Storage::Native)?;
    }
    let model = Clap::load_trainable(dir, device)?;
    if config.freeze_text {
        model.params().freeze(TEXT_TOWER);
    }
    if config.freeze_audio {
        model.params().freeze("audio_");
    }
    Ok(model)
}

fn make(config: &ClapTrainConfig, corpus: &Corpus) -> Result<Clap> {
    let Some(dir) = &config.start_from else {
        let mut model = untrained(config, corpus)?;
        let (mean, variance) = corpus.statistics(STATISTICS_CLIPS)?;
        model.set_statistics(&Tensor::f_from_slice(&mean)?, &Tensor::f_from_slice(&variance)?)?;
        return Ok(model);
    };
    let trained = Clap::load(dir, Device::Cpu)?;
    let sizes = ClapConfig { text_config: config.model.text_config.clone(), ..trained.config().clone() };
    if sizes != config.model {
        return Err(Error::config(
            "start_from",
            format!("`{}` is not of the sizes in `model`", dir.display()),
        ));
    }
    if config.text_init.is_none() {
        return Ok(trained);
    }
    let model = untrained(config, corpus)?;
    // Projections of another width: the text towers differ in size.
    let copied = model.params().copy_from(trained.params(), |name| !name.starts_with(TEXT_TOWER));
    copied.map_err(|e| Error::format(dir, e.to_string()))?;
    Ok(model)
}

/// Random weights but for a text tower from `text_init`; without one a tokenizer that spells.
fn untrained(config: &ClapTrainConfig, corpus: &Corpus) -> Result<Clap> {
    let mut sizes = config.model.clone();
    let (device, seed) = (Device::Cpu, config.train.seed);
    let Some(init) = &config.text_init else {
        let tokenizer = TextTokenizer::characters(sizes.text_config.max_tokens)?;
        return Clap::with_tokenizer(sizes, tokenizer, device, seed);
    };
    let texts: Vec<&str> = corpus.texts.iter().map(String::as_str).collect();
    let start = TextStart::open(init, &texts)?;
    sizes.text_config = start.config.clone();
    let model = Clap::with_tokenizer(sizes, start.tokenizer()?, device, seed)?;
    start.fill(model.params())?;
    Ok(model)
}

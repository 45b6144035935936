//! The model a run starts from.

use std::path::Path;

use musicot_core::tch::{Device, Tensor};
use musicot_core::{Result, Storage};

use super::config::ClapTrainConfig;
use super::corpus::Corpus;
use super::text_init::TextStart;
use crate::model::Clap;
use crate::text::TextTokenizer;

/// Windows of each kind from which the statistics of the bands are taken.
const STATISTICS_CLIPS: usize = 256;

/// Opens the untrained model of a run in `dir`, or makes it: random weights, a text tower from `text_init`, statistics of the bands from
/// the corpus.
pub(super) fn model(config: &ClapTrainConfig, dir: &Path, corpus: &Corpus, device: Device) -> Result<Clap> {
    // Written last, so that its presence means the folder is whole.
    if !dir.join("model.safetensors").is_file() {
        make(config, corpus)?.save(dir, Storage::Native)?;
    }
    let model = Clap::load_trainable(dir, device)?;
    if config.freeze_text {
        model.params().freeze("text_model.");
    }
    Ok(model)
}

fn make(config: &ClapTrainConfig, corpus: &Corpus) -> Result<Clap> {
    let mut sizes = config.model.clone();
    let (device, seed) = (Device::Cpu, config.train.seed);
    let mut model = match &config.text_init {
        None => {
            let tokenizer = TextTokenizer::characters(sizes.text_config.max_tokens)?;
            Clap::with_tokenizer(sizes, tokenizer, device, seed)?
        }
        Some(init) => {
            let texts: Vec<&str> = corpus.texts.iter().map(String::as_str).collect();
            let start = TextStart::open(init, &texts)?;
            sizes.text_config = start.config.clone();
            let model = Clap::with_tokenizer(sizes, start.tokenizer()?, device, seed)?;
            start.fill(model.params())?;
            model
        }
    };
    let (mean, variance) = corpus.statistics(STATISTICS_CLIPS)?;
    model.set_statistics(&Tensor::f_from_slice(&mean)?, &Tensor::f_from_slice(&variance)?)?;
    Ok(model)
}

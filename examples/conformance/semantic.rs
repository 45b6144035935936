//! `semantic`: a wav2vec 2.0, HuBERT or MERT encoder and the centroids of its tokens.

use musicot::codec::KMeansTokenizer;
use musicot::core::tch::Device;
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {
    layer: usize,
}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let options: Options = case.options()?;
    let wav = case.floats_of("wav", 2)?;
    let tokenizer = KMeansTokenizer::load(&case.dir, options.layer, Device::Cpu)?;
    let hidden = tokenizer.encoder().hidden_states(&wav, options.layer)?;
    let tokens = tokenizer.nearest(&hidden)?;
    Ok(vec![("hidden".into(), hidden), ("tokens".into(), tokens)])
}

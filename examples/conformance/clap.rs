//! `clap` and `clap_laion`: a CLAP model in the layout of transformers, or of the original code.

use musicot::clap::laion::quantize;
use musicot::clap::{Clap, ClipFeatures, Crop};
use musicot::core::tch::{Device, Tensor};
use serde::Deserialize;

use crate::Outputs;
use crate::case::Case;
use crate::common::Outcome;

#[derive(Deserialize)]
struct Options {
    texts: Vec<String>,
    /// Where absent, the longest text's, and 77 for the original code.
    max_length: Option<usize>,
    #[serde(default)]
    quantize: bool,
}

pub fn run(case: &Case) -> Outcome<Outputs> {
    let options: Options = case.options()?;
    let clap = match case.kind() {
        "clap_laion" => Clap::load_laion(case.weights(), Device::Cpu)?,
        _ => Clap::load(&case.dir, Device::Cpu)?,
    };
    let (mut outputs, mut embeds) = (Outputs::new(), Vec::new());
    // The first clip must be there, which an error then says.
    for number in (0..).take_while(|number| *number == 0 || case.has(&format!("wav.{number}"))) {
        let clip = features(case, &clap, number, options.quantize)?;
        embeds.push(clap.embed_features(&clip)?);
        outputs.push((format!("mel.{number}"), clip.mel));
    }
    let texts: Vec<&str> = options.texts.iter().map(String::as_str).collect();
    let usual = (case.kind() == "clap_laion").then_some(clap.config().text_config.max_tokens as usize);
    let tokens = match options.max_length.or(usual) {
        Some(length) => clap.tokenizer().encode_to(&texts, length, Device::Cpu)?,
        None => clap.tokenizer().encode(&texts, Device::Cpu)?,
    };
    let (audio, text) = (Tensor::f_cat(&embeds, 0)?, clap.embed_tokens(&tokens)?);
    let logits = clap.logits_per_audio(&audio, &text)?;
    outputs.extend([
        ("text_ids".into(), tokens.ids),
        ("audio_embeds".into(), audio),
        ("text_embeds".into(), text),
        ("logits_per_audio".into(), logits),
    ]);
    Ok(outputs)
}

fn features(case: &Case, clap: &Clap, number: usize, is_rounded: bool) -> Outcome<ClipFeatures> {
    let (wav, offset, longer) =
        (format!("wav.{number}"), format!("offset.{number}"), format!("is_longer.{number}"));
    let samples = case.clip(&wav)?;
    let samples = if is_rounded { quantize(&samples)? } else { samples };
    let crop = match case.has(&offset) {
        false => Crop::Default,
        true => match case.integers(&offset)?[..] {
            [start] => Crop::Window(start),
            [front, middle, back] => Crop::Thirds([front, middle, back]),
            ref other => {
                return Err(format!("in.{offset}: expected 1 or 3 starts, got {}", other.len()).into());
            }
        },
    };
    let mut clip = clap.features().clip(&samples, crop)?;
    if case.has(&longer) {
        clip.is_longer = case.integers(&longer)?.iter().any(|mark| *mark != 0);
    }
    Ok(clip)
}

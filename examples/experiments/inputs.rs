//! The language models of the experiments and their token datasets; what is not there is told with the command that makes it.

use std::path::{Path, PathBuf};

use musicot::core::tch::Device;
use musicot::lm::MusicLm;
use musicot::lm::train::{TokenDataset, TokenPiece};

use crate::Context;
use crate::common::Outcome;
use crate::corpus::{heldout_tokens, spread};

const RECIPE: &str = "models/recipe/experiments/recipe.json";

/// The path, or the command that makes it.
fn there(path: PathBuf, proof: &str, step: &str) -> Outcome<PathBuf> {
    if path.join(proof).is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(format!("{path} is not there; `cargo xtask train-mini --recipe {RECIPE} --only {step}` makes it")
        .into())
}

/// One of the language models that the recipe trains.
pub fn lm(context: &Context, name: &str) -> Outcome<MusicLm> {
    let dir = there(context.options.runs.join(name).join("model"), "config.json", name)?;
    Ok(MusicLm::load(dir, Device::Cpu)?)
}

/// The second language model of `sampling`: the one that is named, else the reduced one.
pub fn second_lm(context: &Context) -> Outcome<MusicLm> {
    match &context.options.second_lm {
        Some(dir) => Ok(MusicLm::load(dir, Device::Cpu)?),
        None => lm(context, "lm-thoughts"),
    }
}

/// Held-out pieces in the tokens that a model was trained on: `kind` is a folder of `--data`, or `thoughts` for the bundle's own.
pub fn heldout(context: &Context, kind: &str) -> Outcome<TokenDataset> {
    if kind == "thoughts" {
        return heldout_tokens(context);
    }
    let dir =
        there(context.options.data.join(kind).join("heldout"), "dataset.json", &format!("{kind}-heldout"))?;
    let all = TokenDataset::read(dir)?;
    let pieces: Vec<TokenPiece> = spread(all.pieces(), context.options.pieces).into_iter().cloned().collect();
    Ok(TokenDataset::new(all.info().clone(), pieces)?)
}

/// Tokens of the pieces trained on, where they were encoded.
pub fn training(context: &Context) -> Outcome<TokenDataset> {
    let dir: &Path = context.options.encoded.as_deref().ok_or("needs --encoded DIR")?;
    Ok(TokenDataset::read(dir.join("train/tokens"))?)
}

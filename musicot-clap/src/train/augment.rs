//! Batches of log-mel windows with random changes.

use musicot_core::tch::Tensor;
use musicot_core::{CounterRng, Result};

use super::config::Augmentation;
use super::corpus::{Corpus, Pair};

/// The floor of the log-mel scale in decibels.
const FLOOR_DB: f64 = -100.0;

/// Log-mel windows `[batch, frames, bands]` of the pairs, each shifted, amplified and coloured at random.
pub(super) fn windows(
    corpus: &Corpus,
    pairs: &[Pair],
    config: &Augmentation,
    hop_secs: f64,
    rng: CounterRng,
) -> Result<Tensor> {
    let rows = pairs
        .iter()
        .map(|pair| window(corpus, pair, config, hop_secs, rng.stage("augment").item(pair.index)));
    Ok(Tensor::f_stack(&rows.collect::<Result<Vec<_>>>()?, 0)?)
}

fn window(
    corpus: &Corpus,
    pair: &Pair,
    config: &Augmentation,
    hop_secs: f64,
    rng: CounterRng,
) -> Result<Tensor> {
    let mut draws = rng.at(0);
    let mut signed = |size: f64| size * (2.0 * draws.uniform_f64() - 1.0);
    let shift = (signed(config.shift_secs) / hop_secs).round() as i64;
    let (gain, tilt, ripple) = (signed(config.gain_db), signed(config.tilt_db), signed(config.ripple_db));
    let (periods, phase) = (1.0 + signed(1.0), signed(std::f64::consts::PI));
    let source = pair.source;
    let start = (source.start + shift).clamp(0, source.last_start);
    let mel = corpus.cache.crop(&source.name, start, corpus.window_frames)?;
    let bands = mel.size()[1];
    let curve: Vec<f32> = (0..bands)
        .map(|band| {
            let along = band as f64 / (bands - 1).max(1) as f64;
            let wave = (std::f64::consts::TAU * periods * along + phase).cos();
            (gain + tilt * (2.0 * along - 1.0) + ripple * wave) as f32
        })
        .collect();
    Ok(mel.f_add(&Tensor::f_from_slice(&curve)?)?.f_clamp_min(FLOOR_DB)?)
}

//! Notes kept: chroma and onsets of a copy against its original.

use musicot::core::tch::Tensor;
use musicot::core::{AudioBuffer, CounterRng, tensor};
use musicot_eval::chroma::{self, Chroma};
use musicot_eval::onsets::{onset_f1, onset_times};
use musicot_eval::statistics::paired_difference;

use crate::common::Outcome;
use crate::figure::Figure;

/// Onsets within so many seconds are the same.
const TOLERANCE_SECS: f64 = 0.05;

/// What is compared of a recording.
pub struct Heard {
    chroma: Chroma,
    onsets: Vec<f64>,
}

impl Heard {
    pub fn of(audio: &AudioBuffer) -> Outcome<Self> {
        Ok(Self { chroma: Chroma::of(audio)?, onsets: onset_times(audio)? })
    }
}

/// Likeness of copies, one value per piece.
#[derive(Default)]
pub struct Likeness {
    pub chroma: Vec<f64>,
    pub onsets: Vec<f64>,
}

impl Likeness {
    pub fn push(&mut self, original: &Heard, copy: &AudioBuffer) -> Outcome {
        let copy = Heard::of(copy)?;
        self.chroma.push(chroma::similarity(&original.chroma, &copy.chroma)?);
        self.onsets.push(onset_f1(&original.onsets, &copy.onsets, TOLERANCE_SECS)?.f1);
        Ok(())
    }

    /// Means of both, with their targets.
    pub fn figures(&self, prefix: &str, least: Option<(f64, f64)>) -> Outcome<[Figure; 2]> {
        let chroma = Figure::mean_of(format!("{prefix}: chroma"), &self.chroma)?;
        let onsets = Figure::mean_of(format!("{prefix}: onset F1"), &self.onsets)?;
        Ok(match least {
            Some((of_chroma, of_onsets)) => [chroma.at_least(of_chroma), onsets.at_least(of_onsets)],
            None => [chroma, onsets],
        })
    }

    /// By how much these copies are more alike than others.
    pub fn figures_above(&self, other: &Self, name: &str) -> Outcome<[Figure; 2]> {
        let above = |what: &str, own: &[f64], other: &[f64]| -> Outcome<Figure> {
            let name = format!("{what} above {name}");
            Ok(Figure::mean(name, paired_difference(own, other, rng())?).surely_positive())
        };
        Ok([above("chroma", &self.chroma, &other.chroma)?, above("onset F1", &self.onsets, &other.onsets)?])
    }
}

/// What copies that know nothing of the notes would score.
pub fn chance(originals: &[Heard]) -> Outcome<Vec<Figure>> {
    let (mut shuffled, mut constant, mut onsets) = (Vec::new(), Vec::new(), Vec::new());
    for (index, heard) in originals.iter().enumerate() {
        let chance = chroma::chance(&heard.chroma, rng().item(index as u64))?;
        shuffled.push(chance.shuffled);
        constant.push(chance.constant);
        if originals.len() > 1 {
            let other = &originals[(index + 1) % originals.len()];
            onsets.push(onset_f1(&heard.onsets, &other.onsets, TOLERANCE_SECS)?.f1);
        }
    }
    let mut figures = vec![
        Figure::mean_of("chance, own frames shuffled: chroma", &shuffled)?,
        Figure::mean_of("chance, best constant: chroma", &constant)?,
    ];
    figures.push(match onsets.is_empty() {
        true => Figure::missing("chance, another piece: onset F1", "needs at least two pieces"),
        false => Figure::mean_of("chance, another piece: onset F1", &onsets)?,
    });
    Ok(figures)
}

/// One channel of a decoded waveform `[1, 1, samples]`, as long as the original.
pub fn as_long_as(original: &AudioBuffer, waveform: &Tensor) -> Outcome<AudioBuffer> {
    let mut samples = tensor::to_vec(waveform)?;
    samples.resize(original.frames(), 0.0);
    Ok(AudioBuffer::mono(samples, original.sample_rate_hz())?)
}

/// The stream of every resampling: figures are the same each time.
pub fn rng() -> CounterRng {
    CounterRng::new(0).stage("evaluate")
}

//! Clips of single instruments: the stems of a corpus.

use std::collections::BTreeMap;

use musicot::clap::windows::{repeat_pad, starts};
use musicot::core::AudioBuffer;
use musicot::core::train::{Dataset, Record, Stem};

use crate::common::{Outcome, note};
use crate::corpus::{audio, spread};

/// Tells how far it is after so many stems.
const TOLD_EVERY: usize = 50;

/// A stem's clip.
pub struct Solo {
    pub family: String,
    pub program: Option<u8>,
    pub audio: AudioBuffer,
}

/// Which clips there are to be.
pub struct Cut {
    pub rate_hz: u32,
    /// Samples of a clip.
    pub window: usize,
    /// At most so many of each family, evenly spread.
    pub per_family: Option<usize>,
}

/// Hands over the loudest window of each stem, one at a time: all together would fill the memory. None of a silent one.
pub fn each(
    dataset: &Dataset,
    records: &[&Record],
    cut: &Cut,
    mut take: impl FnMut(Solo) -> Outcome,
) -> Outcome {
    let mut families: BTreeMap<&str, Vec<&Stem>> = BTreeMap::new();
    for stem in records.iter().flat_map(|record| &record.stems) {
        families.entry(&stem.family).or_default().push(stem);
    }
    let stems: Vec<&Stem> =
        families.values().flat_map(|stems| spread(stems, cut.per_family)).copied().collect();
    for (index, stem) in stems.iter().enumerate() {
        if index.is_multiple_of(TOLD_EVERY) {
            note(format_args!("stem {} of {}", index + 1, stems.len()));
        }
        let recording = audio(dataset, &stem.audio, cut.rate_hz)?;
        let samples: Vec<f32> = recording.into_samples().into_iter().collect();
        if let Some(clip) = loudest(&samples, cut.window)? {
            let audio = AudioBuffer::mono(clip, cut.rate_hz)?;
            take(Solo { family: stem.family.clone(), program: stem.program, audio })?;
        }
    }
    Ok(())
}

/// The window with the most energy, of one every quarter window; none of a silent stem.
fn loudest(samples: &[f32], window: usize) -> Outcome<Option<Vec<f32>>> {
    let (mut best, mut most) = (None, 0.0_f64);
    for start in starts(samples.len(), window, (window / 4).max(1))? {
        let clip = &samples[start..samples.len().min(start + window)];
        let energy = clip.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        if energy > most {
            (best, most) = (Some(clip), energy);
        }
    }
    Ok(best.map(|clip| repeat_pad(clip, window)))
}

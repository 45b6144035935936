//! How loud each instrument family is, from stems, and from mixes by a probe that was fitted to stems.

use std::collections::{BTreeMap, BTreeSet};

use musicot::core::AudioBuffer;
use musicot::core::train::{Dataset, Record};
use musicot_eval::loudness::{level_curve_db, rms_db};
use musicot_eval::probe::{Regressor, r2};
use musicot_eval::statistics::{Interval, bootstrap};
use musicot_eval::timbre::{FEATURES, features};
use ndarray::Array2;

use crate::common::{Outcome, recordings};
use crate::corpus::{audio, spread};
use crate::heard::cut;
use crate::rng;

/// This far below the mix an instrument counts as not heard.
const UNHEARD_DB: f64 = -40.0;

/// Weight of the ridge: the best by cross-validation on 400 rendered pieces.
const L2: f64 = 0.1;

/// What a family's probe must reach on held-out mixes to be read in generated audio.
pub const READABLE_R2: f64 = 0.3;

/// Enough for timbre, and a third of the work of the full rate.
const RATE_HZ: u32 = 24_000;

/// A piece as windows: the features of its mix, and how loud each family is relative to it.
pub struct Volumes {
    pub id: String,
    features: Vec<Vec<f32>>,
    levels: BTreeMap<String, Vec<f64>>,
}

impl Volumes {
    /// Decibels below the mix in each window `[windows]`; an absent family is not heard.
    pub fn of(&self, family: &str) -> Vec<f64> {
        self.levels.get(family).cloned().unwrap_or_else(|| vec![UNHEARD_DB; self.features.len()])
    }
}

/// Pieces with stems, evenly spread.
pub fn read(dataset: &Dataset, most: usize, window_secs: f64) -> Outcome<Vec<Volumes>> {
    let records: Vec<&Record> = dataset.records().iter().filter(|record| !record.stems.is_empty()).collect();
    if records.is_empty() {
        return Err("no piece has stems".into());
    }
    let records = spread(&records, Some(most));
    let mut all = Vec::new();
    for (index, record) in records.iter().enumerate() {
        all.push(measure(dataset, record, window_secs)?);
        recordings(index + 1, records.len());
    }
    Ok(all)
}

fn measure(dataset: &Dataset, record: &Record, window_secs: f64) -> Outcome<Volumes> {
    let mix = cut(&audio(dataset, &record.audio, RATE_HZ)?, window_secs)?;
    let mixes = mix.iter().map(rms_db).collect::<Result<Vec<_>, _>>()?;
    let mut powers: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for stem in &record.stems {
        let curve = level_curve_db(&audio(dataset, &stem.audio, RATE_HZ)?, window_secs).unwrap_or_default();
        let sums = powers.entry(stem.family.clone()).or_insert_with(|| vec![0.0; mix.len()]);
        for (sum, level) in sums.iter_mut().zip(curve) {
            *sum += 10_f64.powf(level / 10.0);
        }
    }
    let relative = |powers: Vec<f64>| {
        let below = |(power, mix): (f64, &f64)| (10.0 * power.max(1e-12).log10() - mix).max(UNHEARD_DB);
        powers.into_iter().zip(&mixes).map(below).collect()
    };
    Ok(Volumes {
        id: record.id.clone(),
        features: mix.iter().map(heard).collect(),
        levels: powers.into_iter().map(|(family, powers)| (family, relative(powers))).collect(),
    })
}

/// Timbre of a window; silence has none, and zeros stand in.
fn heard(window: &AudioBuffer) -> Vec<f32> {
    features(window).unwrap_or_else(|_| vec![0.0; FEATURES])
}

/// The families that sound in some pieces.
pub fn families(pieces: &[Volumes]) -> Vec<String> {
    let all: BTreeSet<String> = pieces.iter().flat_map(|piece| piece.levels.keys().cloned()).collect();
    all.into_iter().collect()
}

/// Tells levels of a family from mixes.
pub struct Probe {
    regressor: Regressor,
    /// On mixes it was not fitted to.
    pub r2: Interval,
}

impl Probe {
    /// Fits to some pieces and validates on others, whose resampling gives the interval.
    pub fn fit(family: &str, train: &[Volumes], heldout: &[Volumes]) -> Outcome<Self> {
        let truth: Vec<f64> = train.iter().flat_map(|piece| piece.of(family)).collect();
        let regressor =
            Regressor::fit(rows(train.iter().flat_map(|piece| &piece.features))?.view(), &truth, L2)?;
        let predicted = heldout
            .iter()
            .map(|piece| Ok((piece.of(family), regressor.predict(rows(piece.features.iter())?.view())?)))
            .collect::<Outcome<Vec<_>>>()?;
        let r2 = bootstrap(predicted.len(), 1000, rng(), |items| {
            let (truth, guess): (Vec<_>, Vec<_>) = items.iter().map(|item| predicted[*item].clone()).unzip();
            // A resample in which the family never varies tells nothing.
            Ok(r2(&truth.concat(), &guess.concat()).unwrap_or(0.0))
        })?;
        Ok(Self { regressor, r2 })
    }

    /// Levels of the windows of a recording.
    pub fn levels(&self, audio: &AudioBuffer, window_secs: f64) -> Outcome<Vec<f64>> {
        let audio = musicot::codec::resample(&audio.to_mono(), RATE_HZ)?;
        let windows: Vec<Vec<f32>> = cut(&audio, window_secs)?.iter().map(heard).collect();
        Ok(self.regressor.predict(rows(windows.iter())?.view())?)
    }
}

fn rows<'a>(features: impl Iterator<Item = &'a Vec<f32>>) -> Outcome<Array2<f32>> {
    let all: Vec<f32> = features.flatten().copied().collect();
    Ok(Array2::from_shape_vec((all.len() / FEATURES, FEATURES), all)?)
}

//! Probes of instruments that do not use CLAP: trained on the stems and mixes of one corpus, judged on another.
//!
//! `cargo run --release -p musicot-eval --example corpus_probe -- TRAIN HELDOUT [SAVED.json]`: accuracy of the instrument family of
//! stems (windows of 10 s, and whole stems by their mean probabilities), and R2 of the level of each family in mixes.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Result, figure, pieces, wav, windows};
use musicot_eval::Table;
use musicot_eval::loudness::rms_db;
use musicot_eval::probe::{Classifier, Regressor, r2};
use musicot_eval::timbre::{FEATURES, features};
use ndarray::{Array2, Axis};

const WINDOW_SECS: f64 = 10.0;

/// Below this level a stem's window is silence; below this level relative to the mix a stem is not heard.
const SILENT_DB: f64 = -55.0;
const UNHEARD_DB: f64 = -40.0;

/// The best by cross-validation on 400 rendered pieces.
const CLASSIFIER_L2: f64 = 1e-3;
const REGRESSOR_L2: f64 = 0.1;

#[derive(Default)]
struct Rows {
    features: Vec<f32>,
    /// Family and stem of each window of a stem.
    families: Vec<String>,
    stems: Vec<usize>,
}

/// Windows of mixes, and the level of each family in each, in decibels relative to the mix.
#[derive(Default)]
struct Mixes {
    features: Vec<f32>,
    levels: Vec<BTreeMap<String, f64>>,
}

fn main() -> Result<()> {
    musicot_eval::tch::set_num_threads(1);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [train, heldout, ..] = &args[..] else {
        return Err("usage: corpus_probe TRAIN HELDOUT [SAVED.json]".into());
    };
    let ((train, train_mixes), (test, test_mixes)) = (read(Path::new(train))?, read(Path::new(heldout))?);
    let probe = Classifier::fit(matrix(&train.features)?.view(), &train.families, CLASSIFIER_L2)?;
    if let Some(path) = args.get(2) {
        std::fs::write(path, serde_json::to_string(&probe)?)?;
    }
    classify(&probe, &train, &test)?;
    regress(probe.labels(), &train_mixes, &test_mixes)
}

fn matrix(features: &[f32]) -> Result<Array2<f32>> {
    Ok(Array2::from_shape_vec((features.len() / FEATURES, FEATURES), features.to_vec())?)
}

fn read(folder: &Path) -> Result<(Rows, Mixes)> {
    let (mut rows, mut mixes) = (Rows::default(), Mixes::default());
    let mut stem = 0;
    for piece in pieces(folder)? {
        let parts = windows(&wav(&folder.join(&piece.audio))?, WINDOW_SECS)?;
        let mut levels = vec![BTreeMap::new(); parts.len()];
        for part in &parts {
            mixes.features.extend(features(part)?);
        }
        for source in &piece.stems {
            for (index, window) in
                windows(&wav(&folder.join(&source.audio))?, WINDOW_SECS)?.iter().enumerate()
            {
                let level = rms_db(window)?;
                if let Some(mix) = parts.get(index) {
                    levels[index].insert(source.family.clone(), (level - rms_db(mix)?).max(UNHEARD_DB));
                }
                if level > SILENT_DB {
                    rows.features.extend(features(window)?);
                    rows.families.push(source.family.clone());
                    rows.stems.push(stem);
                }
            }
            stem += 1;
        }
        mixes.levels.extend(levels);
    }
    Ok((rows, mixes))
}

fn classify(probe: &Classifier, train: &Rows, test: &Rows) -> Result<()> {
    let features = matrix(&test.features)?;
    let probabilities = probe.probabilities(features.view())?;
    let mut stems: BTreeMap<usize, (usize, Vec<f64>)> = BTreeMap::new();
    for ((row, stem), family) in probabilities.rows().into_iter().zip(&test.stems).zip(&test.families) {
        let truth = probe.labels().iter().position(|label| label == family).unwrap_or(usize::MAX);
        let sums = &mut stems.entry(*stem).or_insert((truth, vec![0.0; row.len()])).1;
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let best = |sums: &[f64]| (0..sums.len()).max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(0);
    let mut table = Table::new(["Family", "Stems", "Right", "Most often taken for"]);
    let mut hits = Vec::new();
    for (family, label) in probe.labels().iter().enumerate() {
        let found: Vec<usize> =
            stems.values().filter(|stem| stem.0 == family).map(|stem| best(&stem.1)).collect();
        let right: Vec<f64> = found.iter().map(|found| f64::from(*found == family)).collect();
        let mut wrong = vec![0; probe.labels().len()];
        found.iter().filter(|found| **found != family).for_each(|found| wrong[*found] += 1);
        let worst = (0..wrong.len()).max_by_key(|other| wrong[*other]).filter(|other| wrong[*other] > 0);
        let name = worst
            .map_or_else(|| "-".to_owned(), |other| format!("{} ({})", probe.labels()[other], wrong[other]));
        table.row([label.clone(), found.len().to_string(), figure(&right)?, name])?;
        hits.extend(right);
    }
    let seen = probe.accuracy(matrix(&train.features)?.view(), &train.families)?;
    let unseen = probe.accuracy(features.view(), &test.families)?;
    println!(
        "windows of 10 s: {seen:.3} of {} seen, {unseen:.3} of {} unseen",
        train.stems.len(),
        test.stems.len()
    );
    println!("unseen stems: {}\n{table}", figure(&hits)?);
    Ok(())
}

fn regress(families: &[String], train: &Mixes, test: &Mixes) -> Result<()> {
    let (seen, unseen) = (matrix(&train.features)?, matrix(&test.features)?);
    let mut table =
        Table::new(["Family", "R2 of all windows", "R2 where it plays", "Windows", "where it plays"]);
    for family in families {
        let levels = |mixes: &Mixes| -> Vec<f64> {
            mixes.levels.iter().map(|levels| *levels.get(family).unwrap_or(&UNHEARD_DB)).collect()
        };
        let truth = levels(test);
        let predicted = Regressor::fit(seen.view(), &levels(train), REGRESSOR_L2)?.predict(unseen.view())?;
        let plays = |mixes: &Mixes| -> Vec<usize> {
            let heard =
                |levels: &BTreeMap<String, f64>| levels.get(family).is_some_and(|level| *level > UNHEARD_DB);
            (0..mixes.levels.len()).filter(|window| heard(&mixes.levels[*window])).collect()
        };
        let pick =
            |values: &[f64], windows: &[usize]| windows.iter().map(|w| values[*w]).collect::<Vec<f64>>();
        let (own, others) = (plays(train), plays(test));
        let probe =
            Regressor::fit(seen.select(Axis(0), &own).view(), &pick(&levels(train), &own), REGRESSOR_L2)?;
        let within = r2(&pick(&truth, &others), &probe.predict(unseen.select(Axis(0), &others).view())?)?;
        let (all, count) = (r2(&truth, &predicted)?, truth.len());
        table.row([
            family.clone(),
            format!("{all:.3}"),
            format!("{within:.3}"),
            count.to_string(),
            others.len().to_string(),
        ])?;
    }
    print!("{table}");
    Ok(())
}

//! Tempo, key and structure of a rendered corpus against what its manifest says.
//!
//! `cargo run -p musicot-eval --example corpus_pieces -- FOLDER`: one JSON object per piece on the standard output, means with
//! intervals on the standard error. `tests/reference/eval_music.py agree` compares the rows with librosa.

mod common;

use std::path::Path;

use common::{Result, figure, pieces, wav};
use musicot_eval::Table;
use musicot_eval::chroma::Chroma;
use musicot_eval::key::{Key, KeyScores};
use musicot_eval::structure::{SelfSimilarity, boundary_f1};
use musicot_eval::tempo::{TempoCurve, within};

const TOLERANCE: f64 = 0.08;
const REACH_SECS: usize = 10;

fn main() -> Result<()> {
    musicot_eval::tch::set_num_threads(1);
    let folder = std::env::args().nth(1).ok_or("usage: corpus_pieces FOLDER")?;
    let folder = Path::new(&folder);
    let mut columns: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut add = |name, value: f64| match columns.iter_mut().find(|(known, _)| *known == name) {
        Some((_, values)) => values.push(value),
        None => columns.push((name, vec![value])),
    };
    let pieces = pieces(folder)?;
    for (index, piece) in pieces.iter().enumerate() {
        let audio = wav(&folder.join(&piece.audio))?;
        let tempo = TempoCurve::of(&audio)?.tempo();
        let hit = |octaves| match tempo {
            Some(tempo) => within(tempo.bpm, piece.tags.tempo_bpm, TOLERANCE, octaves),
            None => Ok(false),
        };
        add("tempo within 8 %", f64::from(hit(false)?));
        add("tempo within 8 %, octaves allowed", f64::from(hit(true)?));
        let (key, asked) = (KeyScores::of(&Chroma::of(&audio)?)?, piece.tags.key.parse::<Key>()?);
        add("key, tonic and mode", f64::from(key.best == asked));
        add("key, MIREX score", key.best.mirex_score(asked));
        let (similarity, plan) = (SelfSimilarity::every(&audio, 1.0)?, piece.plan());
        let found = similarity.boundaries(REACH_SECS)?;
        let expected: Vec<f64> = plan.iter().map(|section| section.start_secs).collect();
        for (name, chance, tolerance) in
            [("boundary F1, 3 s", "its chance", 3.0), ("boundary F1, 1 s", "its chance, 1 s", 1.0)]
        {
            let score = boundary_f1(&expected, &found, audio.duration_secs(), tolerance)?;
            add(name, score.score.f1);
            add(chance, score.chance_f1);
        }
        let mut labels = None;
        // A piece of one label cannot be judged.
        if let Ok(fit) = similarity.fit(&plan) {
            labels = Some(fit);
            add("same label less other", fit.labels.found);
            add("its chance, labels", fit.labels.chance);
            add("labels: p <= 0.05", f64::from(fit.labels.p <= 0.05));
            let other = pieces[(index + 1) % pieces.len()].plan_over(audio.duration_secs());
            if let Ok(other) = similarity.fit(&other) {
                add("same label less other, by another's plan", other.labels.found);
                add("labels: p <= 0.05, by another's plan", f64::from(other.labels.p <= 0.05));
            }
            if let Some(repeats) = fit.repeats {
                add("repeats less other", repeats.found);
                add("its chance, repeats", repeats.chance);
                add("repeats: p <= 0.05", f64::from(repeats.p <= 0.05));
            }
        }
        println!(
            "{}",
            serde_json::json!({ "id": piece.id, "tempo": tempo, "key": key.best.to_string(), "fit": labels, "boundaries_secs": found })
        );
    }
    let mut table = Table::new(["Measure", "Mean [95 %]", "Pieces"]);
    for (name, values) in &columns {
        table.row([(*name).to_owned(), figure(values)?, values.len().to_string()])?;
    }
    eprint!("{table}");
    Ok(())
}

//! What the listeners of the page said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use musicot::core::files::read_json;
use musicot_eval::listening::{Choice, Rating, Vote, opinions, preference};
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, row};
use crate::common::Outcome;
use crate::report::Report;
use crate::{Context, rng};

/// What a trial is about; it stays behind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    pub ablation: String,
    /// The system of each clip, in the order of the trial.
    pub systems: Vec<String>,
}

/// What every trial is about.
#[derive(Debug, Serialize, Deserialize)]
pub struct Key {
    pub trials: BTreeMap<String, Secret>,
}

/// A file that the page made.
#[derive(Debug, Deserialize)]
struct Results {
    listener: String,
    answers: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Score { trial: String, score: f64 },
    Choice { trial: String, choice: String },
}

/// The key lies beside the page's folder, which can be handed out.
pub fn key_path(context: &Context) -> PathBuf {
    context.options.out.join("listening-key.json")
}

/// What the listeners of some files said.
pub fn sum_up(context: &Context, report: &mut Report<'_>) -> Outcome {
    let path = key_path(context);
    let key: Key = read_json(&path).map_err(|e| format!("{e}; the key is made with the page"))?;
    let mut ratings: BTreeMap<String, Vec<Rating>> = BTreeMap::new();
    let mut votes: BTreeMap<(String, String, String), Vec<Vote>> = BTreeMap::new();
    for file in &context.options.results {
        let Results { listener, answers } = read_json(file)?;
        for answer in answers {
            count(&key, file, &listener, answer, &mut ratings, &mut votes)?;
        }
    }
    report.text(format!(
        "Ratings of {} files. Each listener counts once; intervals are over listeners.",
        context.options.results.len()
    ));
    let mut rows = Vec::new();
    for (ablation, ratings) in &ratings {
        for opinion in opinions(ratings, rng())? {
            rows.push(row![
                ablation.as_str(),
                opinion.system,
                opinion.score,
                opinion.listeners,
                opinion.ratings
            ]);
        }
    }
    report.table(
        "Mean opinion scores, 1 to 5",
        ["ablation", "system", "score", "listeners", "ratings"],
        rows,
    )?;
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for ((ablation, first, second), votes) in &votes {
        let found = preference(votes, rng())?;
        rows.push(row![
            ablation.as_str(),
            format!("{first} over {second}"),
            found.share,
            found.p,
            found.listeners,
            found.votes
        ]);
    }
    report.table(
        "Preferences (0.5: none)",
        ["ablation", "share for", "share", "p", "listeners", "votes"],
        rows,
    )
}

/// Files an answer under the systems that it is about.
fn count(
    key: &Key,
    file: &Path,
    listener: &str,
    answer: Answer,
    ratings: &mut BTreeMap<String, Vec<Rating>>,
    votes: &mut BTreeMap<(String, String, String), Vec<Vote>>,
) -> Outcome {
    let (Answer::Score { trial, .. } | Answer::Choice { trial, .. }) = &answer;
    let wrong = |reason: &str| format!("{}: trial `{trial}`: {reason}", file.display());
    let secret = key.trials.get(trial).ok_or_else(|| wrong("is not in the key"))?;
    match (&answer, secret.systems.as_slice()) {
        (Answer::Score { score, .. }, [system]) => ratings
            .entry(secret.ablation.clone())
            .or_default()
            .push(Rating { listener: listener.to_owned(), system: system.clone(), score: *score }),
        (Answer::Choice { choice, .. }, [a, b]) => {
            // Pairs were turned at random: the first system of a table is the first in the alphabet.
            let is_turned = a > b;
            let choice = match (choice.as_str(), is_turned) {
                ("tie", _) => Choice::Tie,
                ("a", false) | ("b", true) => Choice::First,
                ("b", false) | ("a", true) => Choice::Second,
                _ => return Err(wrong("expected a, b or tie").into()),
            };
            let (first, second) = if is_turned { (b, a) } else { (a, b) };
            let pair = (secret.ablation.clone(), first.clone(), second.clone());
            votes.entry(pair).or_default().push(Vote { listener: listener.to_owned(), choice });
        }
        _ => return Err(wrong("has an answer of another kind").into()),
    }
    Ok(())
}

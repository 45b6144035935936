//! The terms of the budget: what each stage loses.

use musicot_eval::statistics::{bootstrap, paired_difference};

use super::chain::{Chain, MEASURES, SPACES};
use super::judge::{Judge, Space};
use crate::common::Outcome;
use crate::compare::rng;
use crate::figure::Figure;
use crate::report::Measured;
use crate::wide::{Cell, Wide};

/// A term: what is lost from one chain (its place in `CHAINS`) to another.
struct Term {
    name: &'static str,
    from: usize,
    to: usize,
    /// Whether it is a stage's own loss; the others say what a condition is worth.
    is_stage: bool,
}

const fn stage(name: &'static str, from: usize, to: usize) -> Term {
    Term { name, from, to, is_stage: true }
}

const fn condition(name: &'static str, to: usize) -> Term {
    Term { name, from: 2, to, is_stage: false }
}

const TERMS: [Term; 7] = [
    stage("codec", 0, 1),
    stage("tokens and diffusion", 1, 2),
    stage("LM: tokens of the true plan", 2, 6),
    stage("LM: plan", 6, 7),
    condition("worth of the thoughts to the diffusion", 3),
    condition("worth of the text to the diffusion", 4),
    condition("worth of both to the diffusion", 5),
];

/// Resamples of a difference of Frechet distances: each takes two of them, and they take long.
const RESAMPLES: usize = 100;

/// What every term loses, and for each measure the greatest loss of a stage.
pub fn figures(chains: &[Chain], judge: &Judge) -> Outcome<Measured> {
    let names: Vec<&'static str> = MEASURES.into_iter().chain(SPACES.map(|(name, _)| name)).collect();
    let mut table = Wide::new("lost by (more is worse)", &names);
    for term in &TERMS {
        table.row(term.name, losses(term, chains, judge)?);
    }
    let figures = names.iter().enumerate().filter_map(|(column, name)| largest(&table, column, name));
    Ok(Measured { figures: figures.collect(), tables: vec![table] })
}

/// The loss in each measure; `None` where the two chains cannot be compared.
fn losses(term: &Term, chains: &[Chain], judge: &Judge) -> Outcome<Vec<Option<Cell>>> {
    let (from, to) = (&chains[term.from], &chains[term.to]);
    let mut cells = Vec::new();
    for measure in 0..MEASURES.len() {
        let (before, after) = (from.values(measure), to.values(measure));
        cells.push(match before.is_empty() || after.is_empty() {
            true => None,
            false => Some(paired_difference(&before, &after, rng())?.into()),
        });
    }
    for (_, space) in SPACES {
        cells.push(added_distance(from, to, space, judge)?);
    }
    Ok(cells)
}

/// By how much the second chain is further from the corpus, the same clips of both being drawn.
fn added_distance(from: &Chain, to: &Chain, space: Space, judge: &Judge) -> Outcome<Option<Cell>> {
    if judge.reference(space).is_none() {
        return Ok(None);
    }
    let added = |clips: &[usize]| {
        let distance = |chain: &Chain| -> musicot_eval::Result<f64> {
            Ok(chain.distance(space, judge, clips)?.unwrap_or(0.0))
        };
        Ok(distance(to)? - distance(from)?)
    };
    Ok(Some(bootstrap(from.clips.len(), RESAMPLES, rng(), added)?.into()))
}

/// The greatest of a column's losses by a stage.
fn largest(table: &Wide, column: usize, measure: &str) -> Option<Figure> {
    let stages = TERMS.iter().zip(&table.rows).filter(|(term, _)| term.is_stage);
    let losses = stages.filter_map(|(term, row)| Some((term.name, row.cells[column]?)));
    let (name, cell) = losses.max_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    let figure = Figure::of(format!("largest loss of {measure}: {name}"), cell.value);
    Some(Figure { interval: cell.interval, ..figure })
}

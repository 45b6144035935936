//! The first phase: a plan, code by code.

use ndarray::Array2;

use musicot_sampling::PhaseConfig;

use super::rows::{Rows, RowsShape, logits};
use super::{Chooser, expect_songs, song_streams};
use crate::conditions::Conditions;
use crate::config::PlanMode;
use crate::plan::{FixedThoughts, Plan};
use crate::vocab::{Emission, ThoughtCode, TokenId};
use crate::{Error, MusicLm, Result};

/// Plans to be made together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanRequest {
    /// The songs of the batch.
    pub songs: Vec<PlanSong>,
    /// Thoughts of each plan.
    pub windows: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// A song to be planned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanSong {
    /// What it is to be like.
    pub conditions: Conditions,
    /// Number of the song for the random draws: the same number gives the same draws in any batch.
    pub number: u64,
    /// Codes that are given.
    pub fixed: FixedThoughts,
}

/// The codes of one place of the plan, one per song.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThoughtStep {
    /// Window, from 0.
    pub window: usize,
    /// Level, from 0.
    pub level: usize,
    /// A code per song.
    pub codes: Vec<ThoughtCode>,
}

/// Yields the codes of plans in the order of the sequence; see [`MusicLm::thoughts`].
pub struct Thoughts<'a> {
    model: &'a MusicLm,
    rows: Rows<'a>,
    chooser: Chooser,
    fixed: Vec<FixedThoughts>,
    windows: usize,
    next: usize,
    /// Per level and song: codes so far.
    history: Vec<Vec<Vec<i64>>>,
    failed: bool,
}

impl MusicLm {
    /// Starts planning.
    ///
    /// # Errors
    /// The model has no plan, or something of the request or the policy is out of range.
    pub fn thoughts(&self, request: &PlanRequest, policy: &PhaseConfig) -> Result<Thoughts<'_>> {
        if self.config().plan == PlanMode::None {
            return Err(Error::input("plan", "this model was trained without one"));
        }
        expect_songs(request.songs.len())?;
        if !(1..=100_000).contains(&request.windows) {
            return Err(Error::input(
                "plan",
                format!("expected 1 to 100000 windows, got {}", request.windows),
            ));
        }
        for song in &request.songs {
            song.fixed.validate(request.windows, self.vocab())?;
        }
        let streams = song_streams(request.seed, "thoughts", request.songs.iter().map(|song| song.number));
        let songs: Vec<&Conditions> = request.songs.iter().map(|song| &song.conditions).collect();
        let chooser = Chooser::new(policy, &songs, streams)?;
        let starts: Vec<_> = chooser
            .branches
            .encode(self, &songs)?
            .into_iter()
            .map(|conditions| (conditions, vec![TokenId::COT_BOS.value()]))
            .collect();
        let shape = RowsShape { more_prefix: self.config().plan_positions(request.windows), window: 0 };
        Ok(Thoughts {
            model: self,
            rows: Rows::new(self, &starts, None, &shape)?,
            chooser,
            fixed: request.songs.iter().map(|song| song.fixed.clone()).collect(),
            windows: request.windows,
            next: 0,
            history: vec![vec![Vec::new(); request.songs.len()]; self.config().vocab.levels],
            failed: false,
        })
    }
}

impl Thoughts<'_> {
    /// Number of steps in all.
    pub fn steps(&self) -> usize {
        self.model.config().plan_positions(self.windows)
    }

    /// Runs to the end; one plan per song.
    ///
    /// # Errors
    /// What a step raises; [`Error::Core`] when steps were taken before.
    pub fn finish(self) -> Result<Vec<Plan>> {
        if self.next > 0 {
            return Err(Error::input(
                "plan",
                "steps were taken already, so that the plan would be incomplete",
            ));
        }
        let vocab = self.model.vocab();
        let mut plans = vec![Array2::zeros((self.windows, vocab.config().levels)); self.fixed.len()];
        for step in self {
            let step = step?;
            for (plan, code) in plans.iter_mut().zip(&step.codes) {
                plan[[step.window, step.level]] = i64::from(code.0);
            }
        }
        plans.into_iter().map(|codes| Plan::new(codes, vocab)).collect()
    }

    fn step(&mut self) -> Result<ThoughtStep> {
        let levels = self.model.config().vocab.levels;
        let (window, level) = self.model.config().thought_order.place(self.next, self.windows, levels);
        let given: Vec<Option<ThoughtCode>> =
            self.fixed.iter().map(|fixed| fixed.get(window, level)).collect();
        let codes: Vec<ThoughtCode> = match given.iter().copied().collect() {
            Some(all_given) => all_given,
            None => {
                let drawn = self.draw(window, level)?;
                let keep =
                    |(given, drawn): (&Option<ThoughtCode>, i64)| given.unwrap_or(ThoughtCode(drawn as u32));
                given.iter().zip(drawn).map(keep).collect()
            }
        };
        for (history, code) in self.history[level].iter_mut().zip(&codes) {
            history.push(i64::from(code.0));
        }
        let vocab = self.model.vocab();
        let ids = codes.iter().map(|code| vocab.thought(level, *code)).collect::<Result<Vec<_>>>()?;
        self.rows.push(&self.chooser.branches.repeated(&ids))?;
        Ok(ThoughtStep { window, level, codes })
    }

    fn draw(&mut self, window: usize, level: usize) -> Result<Vec<i64>> {
        let hidden = self.rows.hidden()?;
        let logits = logits(self.model, &hidden, self.model.vocab().emits(Emission::Thought { level })?)?;
        // The place, not the order, keys the draw.
        let position = window * self.model.config().vocab.levels + level;
        self.chooser.choose(self.chooser.branches.combine(logits)?, &self.history[level], position as u64)
    }
}

impl Iterator for Thoughts<'_> {
    type Item = Result<ThoughtStep>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next >= self.steps() {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        self.next += 1;
        Some(step)
    }
}

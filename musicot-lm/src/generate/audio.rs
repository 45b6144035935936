//! The second phase: semantic audio tokens under a plan.

use musicot_core::tch::Tensor;
use musicot_core::tensor;
use musicot_sampling::PhaseConfig;

use super::branches::{Branch, Branches};
use super::rows::{Rows, RowsShape, logits};
use super::told::{Told, ToldRow};
use super::{Chooser, expect_songs, song_streams};
use crate::conditions::Conditions;
use crate::config::{NullBranch, PlanMode};
use crate::plan::Plan;
use crate::vocab::{AudioToken, Emission};
use crate::{Error, MusicLm, Result};

/// How many tokens a song may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLength {
    min_tokens: usize,
    max_tokens: usize,
}

impl AudioLength {
    /// Exactly so many: the model cannot end earlier or later. Where it would end earlier, it goes on with another token than its last.
    pub fn exact(tokens: usize) -> Self {
        Self { min_tokens: tokens, max_tokens: tokens }
    }

    /// The model may end once `min_tokens` are there; at `max_tokens` it has to.
    pub fn between(min_tokens: usize, max_tokens: usize) -> Self {
        Self { min_tokens, max_tokens }
    }

    /// Most tokens.
    pub fn max_tokens(self) -> usize {
        self.max_tokens
    }

    /// The number of tokens, where it is no choice.
    fn settled(self) -> Option<usize> {
        (self.min_tokens == self.max_tokens).then_some(self.max_tokens)
    }

    fn validate(self) -> Result<()> {
        if self.max_tokens == 0 || self.min_tokens > self.max_tokens || self.max_tokens > 1 << 32 {
            let (min, max) = (self.min_tokens, self.max_tokens);
            return Err(Error::input("length", format!("expected 1 to 2^32 tokens, got {min} to {max}")));
        }
        Ok(())
    }

    /// Whether the end is a choice for the token of this index.
    fn may_end(self, index: usize) -> bool {
        (self.min_tokens..self.max_tokens).contains(&index)
    }
}

/// Songs to be written together.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioRequest {
    /// The songs of the batch.
    pub songs: Vec<AudioSong>,
    /// Length of each.
    pub length: AudioLength,
    /// Seed of the draws.
    pub seed: u64,
}

/// A song to be written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AudioSong {
    /// What it is to be like.
    pub conditions: Conditions,
    /// Number of the song for the random draws: the same number gives the same draws in any batch.
    pub number: u64,
    /// The plan; `None` with a model that has none. All songs of a batch have as many windows.
    pub plan: Option<Plan>,
}

/// The tokens of one position, one per song.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioStep {
    /// Position, from 0.
    pub index: usize,
    /// A token per song; `None` for a song that has ended.
    pub tokens: Vec<Option<AudioToken>>,
}

/// Yields audio tokens; see [`MusicLm::audio`].
pub struct AudioTokens<'a> {
    model: &'a MusicLm,
    rows: Rows<'a>,
    chooser: Chooser,
    length: AudioLength,
    told: Told<'a>,
    /// Ids of the last step, to be read before the next.
    last: Option<Vec<i64>>,
    history: Vec<Vec<i64>>,
    ended: Vec<bool>,
    next: usize,
    failed: bool,
    /// Whether the chain needs all earlier tokens.
    keeps_history: bool,
}

impl MusicLm {
    /// Starts writing audio tokens under plans.
    ///
    /// # Errors
    /// Something of the request or the policy is out of range; a plan is missing, or not of the length's number of windows.
    pub fn audio(&self, request: &AudioRequest, policy: &PhaseConfig) -> Result<AudioTokens<'_>> {
        expect_songs(request.songs.len())?;
        request.length.validate()?;
        let plans = self.expect_plans(request)?;
        let streams = song_streams(request.seed, "audio", request.songs.iter().map(|song| song.number));
        let songs: Vec<&Conditions> = request.songs.iter().map(|song| &song.conditions).collect();
        let chooser = Chooser::new(policy, &songs, streams)?;
        let encoded = chooser.branches.encode(self, &songs)?;
        // Which plan each row has; the unconditional branch may have none.
        let null_has_plan = self.config().null_branch == NullBranch::Text;
        let plan_of = |row: usize| match chooser.branches.of(row, songs.len()) {
            (Branch::Nothing, _) if !null_has_plan => None,
            (_, song) => plans.get(song).copied(),
        };
        let starts = encoded
            .into_iter()
            .enumerate()
            .map(|(row, conditions)| Ok((conditions, self.audio_start(plan_of(row))?)));
        let starts = starts.collect::<Result<Vec<_>>>()?;
        // The unconditional branch is not told the length, as it is not told the tempo.
        let length_of = |row: usize| match chooser.branches.of(row, songs.len()) {
            (Branch::Nothing, _) => None,
            _ => request.length.settled(),
        };
        let rows = starts.iter().enumerate().map(|(row, (conditions, _))| ToldRow {
            conditions,
            plan: plan_of(row),
            length: length_of(row),
        });
        let mut told = Told::new(self, &rows.collect::<Vec<_>>())?;
        let shape = RowsShape { more_prefix: 0, window: self.config().attention_tokens() };
        Ok(AudioTokens {
            model: self,
            rows: Rows::new(self, &starts, told.at(0)?.as_ref(), &shape)?,
            chooser,
            length: request.length,
            told,
            last: None,
            history: vec![Vec::new(); request.songs.len()],
            ended: vec![false; request.songs.len()],
            next: 0,
            failed: false,
            keeps_history: policy.sampling.repetition_penalty != 1.0,
        })
    }

    /// Writes whole songs, however many: as many at once as the decoder is fastest with ([`crate::CausalLm::rows_at_once`]), one after the other. The same tokens as
    /// those of [`MusicLm::audio`].
    ///
    /// # Errors
    /// See [`MusicLm::audio`].
    pub fn write(&self, request: &AudioRequest, policy: &PhaseConfig) -> Result<Vec<Vec<AudioToken>>> {
        expect_songs(request.songs.len())?;
        self.expect_plans(request)?;
        let conditions: Vec<&Conditions> = request.songs.iter().map(|song| &song.conditions).collect();
        let together = (self.lm.rows_at_once() / Branches::new(policy, &conditions).count()).max(1);
        let mut songs = Vec::with_capacity(request.songs.len());
        for part in request.songs.chunks(together) {
            let part = AudioRequest { songs: part.to_vec(), length: request.length, seed: request.seed };
            songs.extend(self.audio(&part, policy)?.finish()?);
        }
        Ok(songs)
    }

    /// The plans of a request, which all songs have, or none.
    fn expect_plans<'r>(&self, request: &'r AudioRequest) -> Result<Vec<&'r Plan>> {
        let plans: Vec<&Plan> = request.songs.iter().filter_map(|song| song.plan.as_ref()).collect();
        if self.config().plan == PlanMode::None {
            return match plans.is_empty() {
                true => Ok(plans),
                false => Err(Error::input("plan", "this model was trained without one")),
            };
        }
        if plans.len() != request.songs.len() {
            return Err(Error::input("plan", "every song needs one"));
        }
        let tokens = request.length.max_tokens();
        let window = self.config().window_tokens();
        let fitting = (tokens / window).max(1)..=tokens.div_ceil(window);
        for plan in &plans {
            if plan.windows() != plans[0].windows() || !fitting.contains(&plan.windows()) {
                let reason = format!(
                    "{tokens} tokens need a plan of {} to {} windows, the same for all songs; got {}",
                    fitting.start(),
                    fitting.end(),
                    plan.windows()
                );
                return Err(Error::input("plan", reason));
            }
            // A plan of another vocabulary would have been accepted by that one.
            Plan::new(plan.codes().clone(), self.vocab())?;
        }
        Ok(plans)
    }
}

impl AudioTokens<'_> {
    /// Runs to the end; the tokens of each song.
    ///
    /// # Errors
    /// What a step raises; [`Error::Core`] when steps were taken before.
    pub fn finish(self) -> Result<Vec<Vec<AudioToken>>> {
        if self.next > 0 {
            return Err(Error::input(
                "audio tokens",
                "steps were taken already, so that songs would be incomplete",
            ));
        }
        let mut songs = vec![Vec::new(); self.ended.len()];
        for step in self {
            for (song, token) in songs.iter_mut().zip(step?.tokens) {
                song.extend(token);
            }
        }
        Ok(songs)
    }

    /// The next tokens; `None` when all songs have ended.
    fn step(&mut self) -> Result<Option<AudioStep>> {
        let last = self.last.take();
        let hidden = match &last {
            None => self.rows.hidden()?,
            Some(ids) => {
                let told = self.told.at(self.next)?;
                self.rows.roll(ids, told.as_ref())?
            }
        };
        let range = self.model.vocab().emits(Emission::Audio { may_end: true })?;
        let start = range.start;
        let guided = self.chooser.branches.combine(logits(self.model, &hidden, range)?)?;
        let mut chosen = self.chooser.choose(guided.shallow_clone(), &self.history, self.next as u64)?;
        if !self.length.may_end(self.next) {
            let last: Vec<i64> = last.iter().flatten().map(|id| id - start).collect();
            self.go_on(&guided, &last, &mut chosen)?;
        }
        let tokens = self.take_in(&chosen);
        if tokens.iter().all(Option::is_none) {
            return Ok(None);
        }
        let vocab = self.model.vocab();
        // A song that has ended goes on unheard, with a token of no consequence.
        let ids = tokens.iter().map(|token| vocab.audio(token.unwrap_or(AudioToken(0))));
        self.last = Some(self.chooser.branches.repeated(&ids.collect::<Result<Vec<_>>>()?));
        Ok(Some(AudioStep { index: self.next, tokens }))
    }

    /// Other choices for songs that would end where they may not. A song comes to its end by way of the silence behind a last note, and were
    /// nothing but the end forbidden, it would stay there: so it leaves the token that it is on as well.
    fn go_on(&self, guided: &Tensor, last: &[i64], chosen: &mut [i64]) -> Result<()> {
        let end = self.model.config().vocab.audio_tokens as i64;
        if chosen.iter().all(|choice| *choice < end) {
            return Ok(());
        }
        let others = tensor::copy(guided)?;
        let _ = others.f_narrow(1, end, 1)?.f_fill_(f64::NEG_INFINITY)?;
        for (song, token) in last.iter().take(chosen.len()).enumerate().filter(|_| end > 1) {
            let _ = others.f_narrow(0, song as i64, 1)?.f_narrow(1, *token, 1)?.f_fill_(f64::NEG_INFINITY)?;
        }
        let others = self.chooser.choose(others, &self.history, self.next as u64)?;
        for (choice, other) in chosen.iter_mut().zip(others).filter(|(choice, _)| **choice >= end) {
            *choice = other;
        }
        Ok(())
    }

    /// Choices to tokens; notes which songs end.
    fn take_in(&mut self, chosen: &[i64]) -> Vec<Option<AudioToken>> {
        let end = self.model.config().vocab.audio_tokens as i64;
        let mut tokens = Vec::with_capacity(chosen.len());
        for (song, choice) in chosen.iter().enumerate() {
            self.ended[song] |= *choice >= end;
            if self.keeps_history && !self.ended[song] {
                self.history[song].push(*choice);
            }
            tokens.push((!self.ended[song]).then_some(AudioToken(*choice as u32)));
        }
        tokens
    }
}

impl Iterator for AudioTokens<'_> {
    type Item = Result<AudioStep>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next >= self.length.max_tokens() || self.ended.iter().all(|ended| *ended) {
            return None;
        }
        let step = self.step().transpose();
        self.failed = matches!(step, Some(Err(_)));
        self.next += 1;
        step
    }
}

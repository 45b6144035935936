//! Whole sequences at once: for training and for scoring.
//!
//! Rows of different lengths are filled at their ends, where causality hides the filling. A mask is needed only where a song is
//! longer than the attention window.

use musicot_core::tch::{Kind, Reduction, Tensor};
use musicot_core::tensor;

use crate::conditions::EncodedConditions;
use crate::inputs::{Align, ClockRow};
use crate::plan::Plan;
use crate::vocab::{AudioToken, Emission, TokenId};
use crate::{Conditions, Error, MusicLm, Result, ThoughtCode, mask};

/// A complete song: conditions, plan, audio tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Song {
    /// What it is like.
    pub conditions: Conditions,
    /// Its plan; `None` without one.
    pub plan: Option<Plan>,
    /// Its tokens, at least one.
    pub audio: Vec<AudioToken>,
    /// How many tokens of the piece come before them, of which the beat follows: 0 for a piece from its beginning.
    pub start: usize,
    /// Whether it ends after them; otherwise they are a part of something longer.
    pub ends: bool,
    /// How many tokens the piece has after them (0 where it ends), which a model with an end clock is told; `None` leaves it untold.
    pub rest: Option<usize>,
}

/// How well the model predicts a song, in nats (negative log-likelihood).
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Per code of the plan, in the order of the sequence.
    pub thoughts: Vec<f32>,
    /// Per audio token, and for the end where the song has one.
    pub audio: Vec<f32>,
}

/// A song with its conditions encoded and its tokens as ids.
#[derive(Debug, Clone)]
pub(crate) struct EncodedSong {
    pub(crate) conditions: EncodedConditions,
    pub(crate) plan: Option<Plan>,
    pub(crate) audio: Vec<i64>,
    pub(crate) start: usize,
    pub(crate) ends: bool,
    pub(crate) rest: Option<usize>,
}

impl EncodedSong {
    /// Audio tokens that are read: the last one only to predict the end.
    fn tail(&self) -> usize {
        self.audio.len() - usize::from(!self.ends)
    }

    /// Codes of the plan.
    fn codes(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.codes().len())
    }
}

/// Losses of a batch, in nats.
pub(crate) struct BatchLoss {
    /// Per code of the plans, song by song; `None` where no song has a plan.
    pub(crate) thoughts: Option<Tensor>,
    /// Per audio token and end, song by song.
    pub(crate) audio: Tensor,
}

/// Where things are in the rows of a batch.
struct Layout {
    /// Positions up to the start of the audio, that included.
    prefixes: Vec<usize>,
    /// Positions of each row.
    columns: usize,
}

impl MusicLm {
    /// How well the model predicts songs; all are read in one batch.
    ///
    /// # Errors
    /// A song has no token, one out of range, or more than the configured reach; or its conditions are out of range.
    pub fn score(&self, songs: &[Song]) -> Result<Vec<Score>> {
        let _no_grad = musicot_core::tch::no_grad_guard();
        let encoded = songs.iter().map(|song| self.encode_song(song)).collect::<Result<Vec<_>>>()?;
        if encoded.is_empty() {
            return Ok(Vec::new());
        }
        let loss = self.batch_loss(&encoded)?;
        let mut audio = tensor::to_vec(&loss.audio)?.into_iter();
        let thoughts = loss.thoughts.map(|thoughts| tensor::to_vec(&thoughts)).transpose()?;
        let mut thoughts = thoughts.unwrap_or_default().into_iter();
        let score = |song: &EncodedSong| Score {
            thoughts: thoughts.by_ref().take(song.codes()).collect(),
            audio: audio.by_ref().take(song.tail() + 1).collect(),
        };
        Ok(encoded.iter().map(score).collect())
    }

    pub(crate) fn encode_song(&self, song: &Song) -> Result<EncodedSong> {
        let audio = song
            .audio
            .iter()
            .map(|token| Ok(self.vocab().audio(*token)?.value()))
            .collect::<Result<Vec<_>>>()?;
        if audio.is_empty() || audio.len() > self.config().reach_tokens() {
            let (reach, found) = (self.config().reach_tokens(), audio.len());
            return Err(Error::input("song", format!("expected 1 to {reach} audio tokens, got {found}")));
        }
        if let Some(plan) = &song.plan {
            // A plan of another vocabulary would have been accepted by that one.
            Plan::new(plan.codes().clone(), self.vocab())?;
        }
        let &Song { start, ends, rest, .. } = song;
        Ok(EncodedSong {
            conditions: self.encode(&song.conditions)?,
            plan: song.plan.clone(),
            audio,
            start,
            ends,
            rest,
        })
    }

    /// The losses of all positions of a batch of at least one song.
    pub(crate) fn batch_loss(&self, songs: &[EncodedSong]) -> Result<BatchLoss> {
        let (embeddings, layout) = self.embed_songs(songs)?;
        let longest = songs.iter().map(EncodedSong::tail).max().unwrap_or(0);
        let window = self.config().attention_tokens();
        let mask = match longest > window {
            true => Some(
                mask::windowed(&layout.prefixes, layout.columns, window, self.lm.device())?.f_unsqueeze(1)?,
            ),
            false => None,
        };
        let hidden = self.lm.forward(&embeddings, mask.as_ref())?.f_flatten(0, 1)?;
        let audio = self.audio_loss(songs, &hidden, &layout)?;
        Ok(BatchLoss { thoughts: self.thought_loss(songs, &hidden, &layout)?, audio })
    }

    /// Embeddings `[songs, columns, dim]`.
    fn embed_songs(&self, songs: &[EncodedSong]) -> Result<(Tensor, Layout)> {
        let mut prefixes = Vec::with_capacity(songs.len());
        let mut rows = Vec::with_capacity(songs.len());
        for song in songs {
            let mut ids = self.inputs.condition_ids(&song.conditions);
            ids.extend(self.audio_start(song.plan.as_ref())?);
            prefixes.push(ids.len());
            ids.extend(&song.audio[..song.tail()]);
            rows.push((&song.conditions, ids));
        }
        let (embedded, _) = self.inputs.rows(self.lm.as_ref(), &rows, Align::Start)?;
        let layout = Layout { prefixes, columns: embedded.size()[1] as usize };
        let told = self.add_windows(songs, &embedded, &layout)?;
        Ok((self.add_clocks(songs, told, &layout)?, layout))
    }

    /// Tells each audio position the plan window of the token that it predicts, and the tags.
    fn add_windows(&self, songs: &[EncodedSong], embedded: &Tensor, layout: &Layout) -> Result<Tensor> {
        let rows: Vec<(&EncodedConditions, Option<&Plan>)> =
            songs.iter().map(|song| (&song.conditions, song.plan.as_ref())).collect();
        let Some(vectors) = self.audio_vectors(&rows)? else { return Ok(embedded.shallow_clone()) };
        let windows = vectors.size()[1] as usize;
        let vectors = vectors.f_flatten(0, 1)?;
        // One more row, of zeros, for the positions that belong to no window.
        let nothing = (songs.len() * windows) as i64;
        let vectors = vectors.f_constant_pad_nd([0, 0, 0, 1])?;
        let mut index = vec![nothing; songs.len() * layout.columns];
        for (row, song) in songs.iter().enumerate() {
            let start = row * layout.columns + layout.prefixes[row] - 1;
            for (n, place) in index[start..=start + song.tail()].iter_mut().enumerate() {
                let window = (n / self.config().window_tokens()).min(windows - 1);
                *place = (row * windows + window) as i64;
            }
        }
        Ok(embedded.f_add(&self.select(&vectors, &index)?.f_view_as(embedded)?)?)
    }

    /// Tells each audio position the beat of the token that it predicts, and how far the end is.
    fn add_clocks(&self, songs: &[EncodedSong], embedded: Tensor, layout: &Layout) -> Result<Tensor> {
        let row = |(song, prefix): (&EncodedSong, &usize)| ClockRow {
            tempo_bpm: song.conditions.tempo_bpm,
            column: prefix - 1,
            token: song.start,
            left: song.rest.map(|rest| rest.saturating_add(song.audio.len())),
        };
        let rows: Vec<ClockRow> = songs.iter().zip(&layout.prefixes).map(row).collect();
        Ok(match self.inputs.clocks(&rows, layout.columns)? {
            Some(clocks) => embedded.f_add(&clocks)?,
            None => embedded,
        })
    }

    /// What is added to the audio positions of each window, `[rows, windows, dim]`: its thought, and the tags where the model is
    /// told them everywhere. `None` where that is nothing.
    pub(crate) fn audio_vectors(
        &self,
        rows: &[(&EncodedConditions, Option<&Plan>)],
    ) -> Result<Option<Tensor>> {
        let (conditions, plans): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        let tags =
            self.inputs.tags(self.lm.as_ref(), &conditions)?.map(|tags| tags.f_unsqueeze(1)).transpose()?;
        let windows = plans.iter().flatten().map(|plan| plan.windows()).max().unwrap_or(0);
        if windows == 0 {
            return Ok(tags);
        }
        let thoughts = self.plan_vectors(&plans, windows)?;
        Ok(Some(match tags {
            Some(tags) => thoughts.f_add(&tags)?,
            None => thoughts,
        }))
    }

    /// What each window's thought adds to the audio positions in it, `[rows, windows, dim]`: zeros for rows without a plan; windows beyond a
    /// plan's last are as its last.
    pub(crate) fn plan_vectors(&self, plans: &[Option<&Plan>], windows: usize) -> Result<Tensor> {
        let levels = self.config().vocab.levels;
        let mut ids = Vec::with_capacity(plans.len() * windows * levels);
        for plan in plans {
            let own = plan.map(|plan| self.window_ids(plan)).transpose()?.unwrap_or_default();
            for window in 0..windows {
                let start = (window * levels).min(own.len().saturating_sub(levels));
                match own.get(start..start + levels) {
                    Some(codes) => ids.extend(codes),
                    None => ids.resize(ids.len() + levels, TokenId::PAD.value()),
                }
            }
        }
        let shape = [plans.len() as i64, windows as i64, levels as i64];
        let ids = Tensor::f_from_slice(&ids)?.f_reshape(shape)?.f_to_device(self.lm.device())?;
        let vectors = self.inputs.windows(self.lm.as_ref(), &ids)?;
        if plans.iter().all(Option::is_some) {
            return Ok(vectors);
        }
        let has_plan: Vec<f32> = plans.iter().map(|plan| if plan.is_some() { 1.0 } else { 0.0 }).collect();
        let has_plan =
            Tensor::f_from_slice(&has_plan)?.f_reshape([-1, 1, 1])?.f_to_device(self.lm.device())?;
        Ok(vectors.f_mul(&has_plan.f_to_kind(vectors.kind())?)?)
    }

    /// Losses of all audio tokens and ends; `hidden [songs * columns, dim]`.
    fn audio_loss(&self, songs: &[EncodedSong], hidden: &Tensor, layout: &Layout) -> Result<Tensor> {
        let range = self.vocab().emits(Emission::Audio { may_end: true })?;
        let (mut places, mut targets) = (Vec::new(), Vec::new());
        for (row, song) in songs.iter().enumerate() {
            // A token is predicted one position before its own; the first one at the start of the audio.
            let first = (row * layout.columns + layout.prefixes[row] - 1) as i64;
            places.extend(first..=first + song.tail() as i64);
            targets.extend(song.audio.iter().map(|id| id - range.start));
            if song.ends {
                targets.push(self.vocab().eos().value() - range.start);
            }
        }
        cross_entropy(&self.lm.logits(&self.select(hidden, &places)?, range)?, &targets)
    }

    /// Losses of all codes, in the order of the sequence; `hidden [songs * columns, dim]`.
    fn thought_loss(
        &self,
        songs: &[EncodedSong],
        hidden: &Tensor,
        layout: &Layout,
    ) -> Result<Option<Tensor>> {
        let levels = self.config().vocab.levels;
        let mut places: Vec<Vec<i64>> = vec![Vec::new(); levels];
        let mut targets: Vec<Vec<i64>> = vec![Vec::new(); levels];
        // Level and number within it of each code.
        let mut order = Vec::new();
        for (row, song) in songs.iter().enumerate() {
            let Some(plan) = &song.plan else { continue };
            // Behind the plan come its end and the start of the audio; a code is predicted one position before its own.
            let first = row * layout.columns + layout.prefixes[row] - 3 - song.codes();
            for n in 0..song.codes() {
                let (window, level) = self.config().thought_order.place(n, plan.windows(), levels);
                order.push((level, places[level].len()));
                places[level].push((first + n) as i64);
                targets[level].push(plan.codes()[[window, level]]);
            }
        }
        if order.is_empty() {
            return Ok(None);
        }
        let (mut losses, mut starts, mut start) = (Vec::new(), Vec::new(), 0);
        for (level, (places, targets)) in places.iter().zip(&targets).enumerate() {
            let range = self.vocab().emits(Emission::Thought { level })?;
            losses.push(cross_entropy(&self.lm.logits(&self.select(hidden, places)?, range)?, targets)?);
            starts.push(start);
            start += targets.len();
        }
        let order: Vec<i64> = order.into_iter().map(|(level, n)| (starts[level] + n) as i64).collect();
        Ok(Some(self.select(&Tensor::f_cat(&losses, 0)?, &order)?))
    }

    /// Rows of a tensor.
    fn select(&self, rows: &Tensor, index: &[i64]) -> Result<Tensor> {
        Ok(rows.f_index_select(0, &Tensor::f_from_slice(index)?.f_to_device(self.lm.device())?)?)
    }

    /// Ids from the end of the conditions to the start of the audio.
    pub(crate) fn audio_start(&self, plan: Option<&Plan>) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        if let Some(plan) = plan {
            ids.push(TokenId::COT_BOS.value());
            ids.extend(self.thought_ids(plan)?);
            ids.push(TokenId::COT_EOS.value());
        }
        ids.push(TokenId::AUDIO_BOS.value());
        Ok(ids)
    }

    /// Ids of a plan's codes in the order of the sequence.
    pub(crate) fn thought_ids(&self, plan: &Plan) -> Result<Vec<i64>> {
        let (windows, levels) = plan.codes().dim();
        let id = |n| {
            let (window, level) = self.config().thought_order.place(n, windows, levels);
            Ok(self.vocab().thought(level, ThoughtCode(plan.codes()[[window, level]] as u32))?.value())
        };
        (0..windows * levels).map(id).collect()
    }

    /// Ids of a plan's codes `[windows * levels]`, window by window whatever the order of the sequence.
    fn window_ids(&self, plan: &Plan) -> Result<Vec<i64>> {
        let id = |((_, level), code): ((usize, usize), &i64)| {
            Ok(self.vocab().thought(level, ThoughtCode(*code as u32))?.value())
        };
        plan.codes().indexed_iter().map(id).collect()
    }
}

/// Per row of `logits [rows, choices]`, in f32.
fn cross_entropy(logits: &Tensor, targets: &[i64]) -> Result<Tensor> {
    let targets = Tensor::f_from_slice(targets)?.f_to_device(logits.device())?;
    let logits = logits.f_to_kind(Kind::Float)?;
    Ok(logits.f_cross_entropy_loss::<&Tensor>(&targets, None, Reduction::None, -100, 0.0)?)
}

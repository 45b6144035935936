//! Whole sequences at once: for training and for scoring.

use std::cell::RefCell;
use std::collections::BTreeMap;

use musicot_core::tch::{Kind, Reduction, Tensor};

use crate::conditions::EncodedConditions;
use crate::plan::Plan;
use crate::vocab::{AudioToken, Emission, TokenId};
use crate::{Conditions, Error, MusicLm, Result, mask};

/// A complete song: conditions, plan, audio tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Song {
    /// What it is like.
    pub conditions: Conditions,
    /// Its plan; `None` without one.
    pub plan: Option<Plan>,
    /// Its tokens, at least one.
    pub audio: Vec<AudioToken>,
    /// Whether it ends after them; otherwise they are a part of something longer.
    pub ends: bool,
}

/// How well the model predicts a song, in nats (negative log-likelihood).
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Per code of the plan, in the order of the sequence.
    pub thoughts: Vec<f32>,
    /// Per audio token, and for the end where the song has one.
    pub audio: Vec<f32>,
}

/// A song with its conditions encoded.
#[derive(Debug, Clone)]
pub(crate) struct EncodedSong {
    pub(crate) conditions: EncodedConditions,
    pub(crate) plan: Option<Plan>,
    pub(crate) audio: Vec<i64>,
    pub(crate) ends: bool,
}

/// Loss terms of a batch of songs; `None` where no song has a plan.
pub(crate) struct BatchLoss {
    /// `[plan codes of all songs that have a plan]`, song by song.
    pub(crate) thoughts: Option<Tensor>,
    /// `[songs, positions]`, 0 beyond a song's end.
    pub(crate) audio: Tensor,
    /// Audio positions that count.
    pub(crate) audio_count: usize,
}

/// Masks by prefix and tail length; few shapes occur, because prefixes are padded to multiples of [`GRAIN`].
#[derive(Default)]
pub(crate) struct MaskCache {
    masks: RefCell<BTreeMap<(i64, i64), Tensor>>,
}

/// Prefixes are padded to a multiple of this.
const GRAIN: usize = 16;
/// Masks kept.
const KEPT_MASKS: usize = 16;
/// Marks a target that does not count.
const IGNORED: i64 = -100;

impl MaskCache {
    fn get(&self, model: &MusicLm, prefix: i64, tail: i64) -> Result<Tensor> {
        let mut masks = self.masks.borrow_mut();
        if let Some(found) = masks.get(&(prefix, tail)) {
            return Ok(found.shallow_clone());
        }
        if masks.len() >= KEPT_MASKS {
            masks.clear();
        }
        let window = model.config().attention_tokens() as i64;
        let made = mask::windowed(prefix, tail, window, model.lm.device())?;
        masks.insert((prefix, tail), made.shallow_clone());
        Ok(made)
    }
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
        let loss = self.batch_loss(&encoded, &MaskCache::default())?;
        let columns = loss.audio.size()[1] as usize;
        let audio = musicot_core::tensor::to_vec(&loss.audio)?;
        let thoughts = loss.thoughts.map(|t| musicot_core::tensor::to_vec(&t)).transpose()?.unwrap_or_default();
        let mut thoughts = thoughts.into_iter();
        let score = |(row, song): (usize, &EncodedSong)| Score {
            thoughts: thoughts.by_ref().take(song.plan.as_ref().map_or(0, |plan| plan.codes().len())).collect(),
            audio: audio[row * columns..][..song.audio.len() + usize::from(song.ends)].to_vec(),
        };
        Ok(encoded.iter().enumerate().map(score).collect())
    }

    pub(crate) fn encode_song(&self, song: &Song) -> Result<EncodedSong> {
        let audio = song.audio.iter().map(|token| Ok(self.vocab().audio(*token)?.value())).collect::<Result<Vec<_>>>()?;
        if let Some(plan) = &song.plan {
            Plan::new(plan.codes().clone(), self.vocab())?;
        }
        let conditions = self.encode(&song.conditions)?;
        Ok(EncodedSong { conditions, plan: song.plan.clone(), audio, ends: song.ends })
    }

    /// The losses of all positions of a batch.
    pub(crate) fn batch_loss(&self, songs: &[EncodedSong], masks: &MaskCache) -> Result<BatchLoss> {
        let longest = songs.iter().map(|song| song.audio.len()).max().unwrap_or(0);
        if songs.iter().any(|song| song.audio.is_empty()) || longest > self.config().reach_tokens() {
            let reach = self.config().reach_tokens();
            return Err(Error::input("song", format!("expected 1 to {reach} audio tokens, got up to {longest}")));
        }
        // The last token is read only to predict the end.
        let tail = songs.iter().map(|song| song.audio.len() - usize::from(!song.ends)).max().unwrap_or(0);
        let (embeddings, padding) = self.embed_songs(songs, tail)?;
        let prefix = embeddings.size()[1] - tail as i64;
        let mask = self.batch_mask(masks, &padding, prefix, tail as i64)?;
        let hidden = self.lm.forward(&embeddings, Some(&mask))?;
        let (audio, audio_count) = self.audio_loss(songs, &hidden.f_narrow(1, prefix - 1, tail as i64 + 1)?)?;
        Ok(BatchLoss { thoughts: self.thought_loss(songs, &hidden, prefix)?, audio, audio_count })
    }

    /// Embeddings `[songs, prefix + tail, dim]` and the padding of each row's prefix.
    fn embed_songs(&self, songs: &[EncodedSong], tail: usize) -> Result<(Tensor, Vec<i64>)> {
        let rows = songs.iter().map(|song| {
            let mut ids = self.inputs.condition_ids(&song.conditions);
            ids.extend(self.audio_start(song.plan.as_ref())?);
            Ok((&song.conditions, ids))
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let (prefix, padding) = self.inputs.prefix(self.lm.as_ref(), &rows, GRAIN)?;
        let before = prefix.f_narrow(1, 0, prefix.size()[1] - 1)?;
        let mut audio = prefix.f_narrow(1, -1, 1)?;
        if tail > 0 {
            audio = Tensor::f_cat(&[audio, self.embed_tail(songs, tail)?], 1)?;
        }
        let plans: Vec<Option<&Plan>> = songs.iter().map(|song| song.plan.as_ref()).collect();
        let windows = plans.iter().flatten().map(|plan| plan.windows()).max().unwrap_or(0);
        if windows > 0 {
            // Each position is told the window of the token that it predicts.
            let last = windows as i64 - 1;
            let index: Vec<i64> = (0..=tail).map(|t| ((t / self.config().window_tokens()) as i64).min(last)).collect();
            let index = Tensor::f_from_slice(&index)?.f_to_device(self.lm.device())?;
            audio = audio.f_add(&self.plan_vectors(&plans, windows)?.f_index_select(1, &index)?)?;
        }
        Ok((Tensor::f_cat(&[before, audio], 1)?, padding))
    }

    /// Embeddings `[songs, tail, dim]` of the audio tokens that are read.
    fn embed_tail(&self, songs: &[EncodedSong], tail: usize) -> Result<Tensor> {
        let mut ids = Vec::with_capacity(songs.len() * tail);
        for song in songs {
            let read = &song.audio[..song.audio.len().min(tail)];
            ids.extend(read);
            ids.resize(ids.len() + tail - read.len(), TokenId::PAD.value());
        }
        let ids = Tensor::f_from_slice(&ids)?.f_reshape([songs.len() as i64, tail as i64])?;
        self.lm.embed(&ids.f_to_device(self.lm.device())?)
    }

    /// What each window adds to the audio positions in it, `[rows, windows, dim]`: zeros for rows without a plan; windows beyond a
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
        let has_plan = Tensor::f_from_slice(&has_plan)?.f_reshape([-1, 1, 1])?.f_to_device(self.lm.device())?;
        Ok(vectors.f_mul(&has_plan.f_to_kind(vectors.kind())?)?)
    }

    /// `[songs, 1, positions, positions]`.
    fn batch_mask(&self, masks: &MaskCache, padding: &[i64], prefix: i64, tail: i64) -> Result<Tensor> {
        let common = masks.get(self, prefix, tail)?;
        if padding.iter().all(|pad| *pad == 0) {
            return Ok(common.f_unsqueeze(0)?.f_unsqueeze(0)?);
        }
        let positions = prefix + tail;
        let hidden = mask::padding(padding, positions, self.lm.device())?.f_unsqueeze(1)?;
        // A padded position sees itself, or its row would have no finite score.
        let own = mask::only_self(positions, positions, self.lm.device())?;
        Ok(common.f_add(&hidden)?.f_maximum(&own)?.f_unsqueeze(1)?)
    }

    /// `hidden [songs, tail + 1, dim]` of the audio positions to losses `[songs, tail + 1]`, and how many of them count.
    fn audio_loss(&self, songs: &[EncodedSong], hidden: &Tensor) -> Result<(Tensor, usize)> {
        let columns = hidden.size()[1] as usize;
        let range = self.vocab().emits(Emission::Audio { may_end: true })?;
        let mut targets = Vec::with_capacity(songs.len() * columns);
        for song in songs {
            let start = targets.len();
            targets.extend(song.audio.iter().map(|id| id - range.start));
            if song.ends {
                targets.push(self.vocab().eos().value() - range.start);
            }
            targets.resize(start + columns, IGNORED);
        }
        let count = targets.iter().filter(|target| **target != IGNORED).count();
        let logits = self.lm.logits(hidden, range)?;
        let loss = cross_entropy(&logits.f_flatten(0, 1)?, &targets)?;
        Ok((loss.f_reshape([songs.len() as i64, columns as i64])?, count))
    }

    fn thought_loss(&self, songs: &[EncodedSong], hidden: &Tensor, prefix: i64) -> Result<Option<Tensor>> {
        let (positions, levels) = (hidden.size()[1], self.config().vocab.levels);
        let mut places: Vec<Vec<i64>> = vec![Vec::new(); levels];
        let mut targets: Vec<Vec<i64>> = vec![Vec::new(); levels];
        // Level and number within it of each code, in the order of the sequence.
        let mut order = Vec::new();
        for (row, song) in songs.iter().enumerate() {
            let Some(plan) = &song.plan else { continue };
            let count = plan.codes().len();
            // The plan is followed by its end and by the start of the audio; a code is predicted one position before its own.
            let first = row as i64 * positions + prefix - 3 - count as i64;
            for n in 0..count {
                let (window, level) = self.config().thought_order.place(n, plan.windows(), levels);
                order.push((level, places[level].len()));
                places[level].push(first + n as i64);
                targets[level].push(plan.codes()[[window, level]]);
            }
        }
        if order.is_empty() {
            return Ok(None);
        }
        let flat = hidden.f_flatten(0, 1)?;
        let (mut losses, mut starts, mut start) = (Vec::new(), Vec::new(), 0);
        for level in 0..levels {
            let index = Tensor::f_from_slice(&places[level])?.f_to_device(self.lm.device())?;
            let logits = self.lm.logits(&flat.f_index_select(0, &index)?, self.vocab().emits(Emission::Thought { level })?)?;
            losses.push(cross_entropy(&logits, &targets[level])?);
            starts.push(start);
            start += targets[level].len();
        }
        let order: Vec<i64> = order.into_iter().map(|(level, n)| (starts[level] + n) as i64).collect();
        let order = Tensor::f_from_slice(&order)?.f_to_device(self.lm.device())?;
        Ok(Some(Tensor::f_cat(&losses, 0)?.f_index_select(0, &order)?))
    }
}

/// Per row of `logits [rows, choices]`, in f32; 0 where the target is [`IGNORED`].
fn cross_entropy(logits: &Tensor, targets: &[i64]) -> Result<Tensor> {
    let targets = Tensor::f_from_slice(targets)?.f_to_device(logits.device())?;
    let logits = logits.f_to_kind(Kind::Float)?;
    Ok(logits.f_cross_entropy_loss::<&Tensor>(&targets, None, Reduction::None, IGNORED, 0.0)?)
}

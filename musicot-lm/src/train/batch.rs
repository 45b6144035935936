//! From pieces to crops with conditions.

use std::ops::Range;

use musicot_core::rng::Draws;
use ndarray::{Array1, s};

use super::{LmTrainConfig, TokenPiece};
use crate::config::PlanMode;
use crate::{Conditions, MusicLmConfig, MusicVocab, Plan, Result, SectionSpan, Song, Tags};

/// Plan windows of a piece with everything that belongs to them.
pub(super) struct Crop<'a> {
    piece: &'a TokenPiece,
    windows: Range<usize>,
    tokens: Range<usize>,
}

impl<'a> Crop<'a> {
    /// `count` windows from `start` on; the last window of a piece takes what follows it along, as far as the model reaches.
    pub(super) fn new(piece: &'a TokenPiece, start: usize, count: usize, config: &MusicLmConfig) -> Self {
        let window = config.window_tokens();
        let (first, end) = (start * window, start + count);
        let last = match end >= piece.thoughts.nrows() {
            true => piece.audio.len().min(first + config.reach_tokens()),
            false => end * window,
        };
        Self { piece, windows: start..end, tokens: first..last.min(piece.audio.len()) }
    }

    /// A random crop of `count` windows, or the whole of a shorter piece.
    pub(super) fn draw(
        piece: &'a TokenPiece,
        count: usize,
        config: &MusicLmConfig,
        draws: &mut Draws,
    ) -> Self {
        let count = count.min(piece.thoughts.nrows());
        let start = draws.below(piece.thoughts.nrows() - count + 1);
        Self::new(piece, start, count, config)
    }

    /// The crop with its own plan and all of its conditions; `clap` as given.
    pub(super) fn song(&self, clap: Array1<f32>, config: &MusicLmConfig, vocab: &MusicVocab) -> Result<Song> {
        let plan = match config.plan {
            PlanMode::None => None,
            PlanMode::Thoughts => {
                Some(Plan::new(self.piece.thoughts.slice(s![self.windows.clone(), ..]).to_owned(), vocab)?)
            }
        };
        Ok(Song {
            conditions: Conditions {
                clap: Some(clap),
                tags: self.piece.tags.clone(),
                sections: self.sections(config),
                lyrics: self.lyrics(config),
            },
            plan,
            audio: self.piece.audio[self.tokens.clone()].to_vec(),
            start: self.tokens.start,
            ends: self.tokens.end == self.piece.audio.len(),
            rest: Some(self.piece.audio.len() - self.tokens.end),
        })
    }

    /// The section at the middle of each window, equal neighbours joined: lengths add up to the crop's.
    fn sections(&self, config: &MusicLmConfig) -> Vec<SectionSpan> {
        let mut spans: Vec<(usize, SectionSpan)> = Vec::new();
        for window in self.windows.clone() {
            let middle = (window as f64 + 0.5) * config.plan_window_secs;
            let at = self.piece.sections.iter().position(|s| s.start_secs <= middle && middle < s.end_secs);
            let Some(index) = at else { continue };
            match spans.last_mut() {
                Some((last, span)) if *last == index => span.windows += 1,
                _ => spans.push((
                    index,
                    SectionSpan { label: self.piece.sections[index].label.clone(), windows: 1 },
                )),
            }
        }
        spans.into_iter().map(|(_, span)| span).collect()
    }

    fn lyrics(&self, config: &MusicLmConfig) -> String {
        let secs = |token: usize| token as f64 / config.token_rate_hz;
        let time = secs(self.tokens.start)..secs(self.tokens.end);
        let inside = self.piece.lyrics.iter().filter(|line| time.contains(&line.start_secs));
        inside.map(|line| line.text.trim()).collect::<Vec<_>>().join(" ")
    }
}

/// A training example: a random crop, with one of the piece's embeddings and what is not dropped.
pub(super) fn example(
    piece: &TokenPiece,
    windows: usize,
    config: &LmTrainConfig,
    vocab: &MusicVocab,
    draws: &mut Draws,
) -> Result<Song> {
    let crop = Crop::draw(piece, windows, &config.model, draws);
    let by_text = chance(draws, config.text_clap_share);
    let caption = draws.below(piece.text_clap.nrows());
    let clap = match by_text && piece.text_clap.nrows() > 0 {
        true => piece.text_clap.row(caption).to_owned(),
        false => piece.audio_clap.clone(),
    };
    let mut song = crop.song(clap, &config.model, vocab)?;
    drop_some(&mut song, config, draws);
    Ok(song)
}

fn drop_some(song: &mut Song, config: &LmTrainConfig, draws: &mut Draws) {
    let drop = &config.drop;
    let all = chance(draws, drop.all);
    let conditions = &mut song.conditions;
    // Every chance is drawn, whatever the others say, so that the draws do not shift.
    let (clap, tags) = (chance(draws, drop.each), chance(draws, drop.each));
    let (sections, lyrics) = (chance(draws, drop.each), chance(draws, drop.each));
    let thin = chance(draws, drop.thin_tags);
    if all || clap {
        conditions.clap = None;
    }
    if all || tags {
        conditions.tags = Tags::default();
    } else if thin {
        thin_out(&mut conditions.tags, draws);
    }
    if all || sections {
        conditions.sections.clear();
    }
    if all || lyrics {
        conditions.lyrics.clear();
    }
    if chance(draws, if all { drop.plan_with_all } else { drop.plan }) {
        song.plan = None;
    }
    if chance(draws, drop.each) || all {
        song.rest = None;
    }
}

fn thin_out(tags: &mut Tags, draws: &mut Draws) {
    let mut keep = || chance(draws, 0.5);
    tags.tempo_bpm = tags.tempo_bpm.filter(|_| keep());
    tags.key = tags.key.filter(|_| keep());
    tags.style = tags.style.take().filter(|_| keep());
    tags.mood = tags.mood.take().filter(|_| keep());
    tags.instruments.retain(|_| keep());
}

fn chance(draws: &mut Draws, probability: f64) -> bool {
    draws.uniform_f64() < probability
}

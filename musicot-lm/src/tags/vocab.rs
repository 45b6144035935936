//! Which tags have a token.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Key, Tags};
use crate::{Error, Result};

/// Names and buckets of all tags. The defaults are those of the embedded model's corpus: our choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TagVocab {
    /// Tempo, rounded to the nearest bucket.
    pub tempo: TempoBuckets,
    /// Styles.
    pub styles: Vec<String>,
    /// Moods.
    pub moods: Vec<String>,
    /// Instrument families.
    pub instruments: Vec<String>,
}

/// Evenly spaced tempi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TempoBuckets {
    /// Slowest, beats per minute.
    pub low_bpm: u32,
    /// Fastest; a slower or faster tempo is given as the end of the range.
    pub high_bpm: u32,
    /// Distance.
    pub step_bpm: u32,
}

impl Default for TempoBuckets {
    fn default() -> Self {
        Self { low_bpm: 40, high_bpm: 220, step_bpm: 5 }
    }
}

impl TempoBuckets {
    fn len(&self) -> usize {
        (self.high_bpm.saturating_sub(self.low_bpm) / self.step_bpm.max(1)) as usize + 1
    }

    /// The nearest tempo of the range.
    pub(crate) fn within(self, bpm: f64) -> f64 {
        bpm.max(f64::from(self.low_bpm)).min(f64::from(self.high_bpm))
    }

    fn index(&self, bpm: f64) -> Result<usize> {
        if !(bpm.is_finite() && bpm > 0.0) {
            return Err(Error::input(
                "tempo",
                format!("expected a positive number of beats per minute, got {bpm}"),
            ));
        }
        let steps = (bpm - f64::from(self.low_bpm)) / f64::from(self.step_bpm.max(1));
        Ok((steps.round().max(0.0) as usize).min(self.len() - 1))
    }
}

impl Default for TagVocab {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Self {
            tempo: TempoBuckets::default(),
            styles: names(&[
                "pop",
                "rock",
                "jazz",
                "classical",
                "electronic",
                "folk",
                "latin",
                "ambient",
                "funk",
                "blues",
                "lofi",
                "reggae",
            ]),
            moods: names(&[
                "calm",
                "peaceful",
                "warm",
                "tender",
                "bright",
                "happy",
                "hopeful",
                "cheerful",
                "joyful",
                "lively",
                "playful",
                "triumphant",
                "sad",
                "melancholic",
                "dark",
                "mysterious",
                "moody",
                "tense",
                "wistful",
                "serious",
                "dramatic",
                "urgent",
                "intense",
                "restless",
                "catchy",
                "powerful",
                "gritty",
                "sophisticated",
                "smoky",
                "elegant",
                "stately",
                "energetic",
                "hypnotic",
                "heartfelt",
                "rustic",
                "sultry",
                "festive",
                "dreamy",
                "floating",
                "groovy",
                "strutting",
                "soulful",
                "weary",
                "relaxed",
                "cosy",
                "laid-back",
                "easygoing",
            ]),
            instruments: names(&[
                "piano", "organ", "guitar", "bass", "strings", "brass", "woodwind", "lead", "pad", "mallets",
                "choir", "drums",
            ]),
        }
    }
}

impl TagVocab {
    /// The names that occur in some tags, sorted, with default tempo buckets.
    pub fn collect<'a>(tags: impl IntoIterator<Item = &'a Tags>) -> Self {
        let (mut styles, mut moods, mut instruments) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for tag in tags {
            styles.extend(tag.style.iter().map(|name| normal(name)));
            moods.extend(tag.mood.iter().map(|name| normal(name)));
            instruments.extend(tag.instruments.iter().map(|name| normal(name)));
        }
        let list = |names: BTreeSet<String>| names.into_iter().filter(|name| !name.is_empty()).collect();
        Self {
            tempo: TempoBuckets::default(),
            styles: list(styles),
            moods: list(moods),
            instruments: list(instruments),
        }
    }

    /// Checks buckets and names.
    pub(crate) fn validate(&self) -> Result<()> {
        let tempo = self.tempo;
        if tempo.low_bpm == 0
            || tempo.high_bpm < tempo.low_bpm
            || tempo.step_bpm == 0
            || tempo.high_bpm > 10_000
        {
            let reason = format!("expected 0 < low <= high <= 10000 and a positive step, got {tempo:?}");
            return Err(Error::config("vocab.tags.tempo", reason));
        }
        expect_names("vocab.tags.styles", &self.styles)?;
        expect_names("vocab.tags.moods", &self.moods)?;
        expect_names("vocab.tags.instruments", &self.instruments)
    }

    /// Number of tag tokens.
    pub(crate) fn len(&self) -> usize {
        self.styles_start() + self.styles.len() + self.moods.len() + self.instruments.len()
    }

    /// Indices below [`TagVocab::len`], and the values that have none.
    pub(crate) fn indices(&self, tags: &Tags) -> Result<(Vec<usize>, Vec<String>)> {
        let (mut indices, mut unknown) = (Vec::new(), Vec::new());
        if let Some(bpm) = tags.tempo_bpm {
            indices.push(self.tempo.index(bpm)?);
        }
        indices.extend(tags.key.map(|key| self.tempo.len() + key.index()));
        let mut add = |kind: &str, names: &[String], start: usize, value: &str| match names
            .iter()
            .position(|name| normal(name) == normal(value))
        {
            Some(index) if indices.contains(&(start + index)) => {}
            Some(index) => indices.push(start + index),
            None => unknown.push(format!("{kind} `{}`", value.trim())),
        };
        let styles = self.styles_start();
        let moods = styles + self.styles.len();
        let instruments = moods + self.moods.len();
        tags.style.iter().for_each(|value| add("style", &self.styles, styles, value));
        tags.mood.iter().for_each(|value| add("mood", &self.moods, moods, value));
        tags.instruments.iter().for_each(|value| add("instrument", &self.instruments, instruments, value));
        Ok((indices, unknown))
    }

    /// The tag of an index, in words.
    pub(crate) fn name(&self, index: usize) -> Option<String> {
        let mut rest = index;
        if rest < self.tempo.len() {
            return Some(format!("tempo {}", self.tempo.low_bpm + rest as u32 * self.tempo.step_bpm));
        }
        rest -= self.tempo.len();
        if let Some(key) = Key::from_index(rest) {
            return Some(format!("key {key}"));
        }
        rest -= Key::COUNT;
        for (kind, names) in
            [("style", &self.styles), ("mood", &self.moods), ("instrument", &self.instruments)]
        {
            match names.get(rest) {
                Some(name) => return Some(format!("{kind} {name}")),
                None => rest -= names.len(),
            }
        }
        None
    }

    fn styles_start(&self) -> usize {
        self.tempo.len() + Key::COUNT
    }
}

/// Names are compared without case and surrounding space.
pub(super) fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Checks that names are not empty and differ.
pub(crate) fn expect_names(field: &str, names: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if normal(name).is_empty() {
            return Err(Error::config(field, "expected names, got an empty one"));
        }
        if !seen.insert(normal(name)) {
            return Err(Error::config(field, format!("`{name}` occurs twice")));
        }
    }
    Ok(())
}

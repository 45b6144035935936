//! What there is to train on: windows of recordings and of their parts, with captions.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use musicot_core::train::{Dataset, Position, Record, Section};
use musicot_core::{CounterRng, Error, Result, tensor};

use super::LoadAudio;
use super::captions;
use super::config::ClapTrainConfig;
use super::mel_cache::{MelCache, name_of};

/// A caption: which text, and a key that it shares with captions that say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caption {
    pub text: usize,
    pub key: usize,
}

/// A window of a file, in frames.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub name: String,
    pub start: i64,
    /// The last start at which a window still fits.
    pub last_start: i64,
}

/// A window of a whole recording. At least one of the lists holds a caption.
#[derive(Debug)]
pub(super) struct MixClip {
    pub source: Source,
    pub record: usize,
    pub section: Vec<Caption>,
    pub piece: Vec<Caption>,
    pub composed: Vec<Caption>,
}

impl MixClip {
    /// The lists that are not empty.
    fn lists(&self) -> Vec<&[Caption]> {
        let lists = [self.section.as_slice(), &self.piece, &self.composed];
        lists.into_iter().filter(|list| !list.is_empty()).collect()
    }
}

/// A window of a single part.
#[derive(Debug)]
pub(super) struct SoloClip {
    pub source: Source,
    pub program: Option<u8>,
}

/// The single parts of one family.
#[derive(Debug)]
pub(super) struct Family {
    pub name: String,
    pub captions: Vec<Caption>,
    pub clips: Vec<SoloClip>,
}

/// A drawn pair.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub source: &'a Source,
    pub caption: Caption,
    /// The recording, for windows of whole recordings.
    pub record: Option<usize>,
    /// Number of the pair in the run, for further draws.
    pub index: u64,
}

impl Pair<'_> {
    /// Whether two pairs may describe each other, so that they are no contrast: equal captions, or windows of one recording.
    pub(super) fn may_match(&self, other: &Self) -> bool {
        self.caption.key == other.caption.key || (self.record.is_some() && self.record == other.record)
    }
}

/// Windows and captions of a manifest.
pub(super) struct Corpus {
    pub cache: MelCache,
    pub mixes: Vec<MixClip>,
    pub families: Vec<Family>,
    pub texts: Vec<String>,
    pub window_frames: i64,
}

impl Corpus {
    /// Reads a manifest, makes or opens its cache, and lists the windows.
    pub(super) fn open(
        manifest: &Path,
        cache: &Path,
        config: &ClapTrainConfig,
        load_audio: &LoadAudio,
    ) -> Result<Self> {
        let dataset = Dataset::open(manifest)?;
        let cache = MelCache::open(cache, manifest, &dataset, &config.model, load_audio)?;
        let mut listing = Listing::new(&cache, config);
        for (index, record) in dataset.records().iter().enumerate() {
            listing.add(index, record)?;
        }
        let Listing { mixes, families, texts, window_frames, .. } = listing;
        if mixes.is_empty() && families.is_empty() {
            return Err(Error::format(manifest, "holds no window that is not silent and has a caption"));
        }
        Ok(Self {
            cache,
            mixes,
            families: families.into_values().collect(),
            texts: texts.names,
            window_frames,
        })
    }

    /// All windows.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        let solos = self.families.iter().flat_map(|family| family.clips.iter().map(|clip| &clip.source));
        self.mixes.iter().map(|clip| &clip.source).chain(solos)
    }

    /// The pairs of a micro-batch: single parts, each family in turn, and windows of recordings.
    pub(super) fn draw(&self, at: &Position, batch: usize, solo_share: f64) -> Vec<Pair<'_>> {
        let wanted = (batch as f64 * solo_share).round() as usize;
        let solos = match (self.families.is_empty(), self.mixes.is_empty()) {
            (true, _) => 0,
            (_, true) => batch,
            _ => wanted.min(batch),
        };
        let mut pairs: Vec<Pair> =
            (0..solos).map(|slot| self.draw_solo(at, (at.index() * solos as u64) + slot as u64)).collect();
        let items = at.items(batch - solos, self.mixes.len());
        pairs.extend(items.iter().enumerate().map(|(slot, item)| {
            self.draw_mix(at, &self.mixes[*item], at.index() * (batch - solos) as u64 + slot as u64)
        }));
        pairs
    }

    fn draw_solo(&self, at: &Position, index: u64) -> Pair<'_> {
        let family = &self.families[(index % self.families.len() as u64) as usize];
        let mut draws = at.rng.stage("solo").item(index).at(0);
        Pair {
            source: &family.clips[draws.below(family.clips.len())].source,
            caption: family.captions[draws.below(family.captions.len())],
            record: None,
            index: 2 * index,
        }
    }

    fn draw_mix<'a>(&self, at: &Position, clip: &'a MixClip, index: u64) -> Pair<'a> {
        let mut draws = at.rng.stage("mix").item(index).at(0);
        let lists = clip.lists();
        let list = lists[draws.below(lists.len())];
        Pair {
            source: &clip.source,
            caption: list[draws.below(list.len())],
            record: Some(clip.record),
            index: 2 * index + 1,
        }
    }
}

/// Numbers for names.
#[derive(Default)]
struct Interner {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Interner {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }
}

/// The corpus while it is listed.
struct Listing<'a> {
    cache: &'a MelCache,
    config: &'a ClapTrainConfig,
    window_frames: i64,
    texts: Interner,
    keys: Interner,
    mixes: Vec<MixClip>,
    families: BTreeMap<String, Family>,
}

impl<'a> Listing<'a> {
    fn new(cache: &'a MelCache, config: &'a ClapTrainConfig) -> Self {
        Self {
            cache,
            config,
            window_frames: config.model.features.window_frames(),
            texts: Interner::default(),
            keys: Interner::default(),
            mixes: Vec::new(),
            families: BTreeMap::new(),
        }
    }

    fn add(&mut self, index: usize, record: &Record) -> Result<()> {
        let mix = self.levels(&record.audio)?;
        let mut parts = Vec::new();
        for stem in &record.stems {
            let levels = self.levels(&stem.audio)?;
            self.add_solos(&stem.family, stem.program, &name_of(&stem.audio), &levels);
            parts.push((stem.family.as_str(), levels));
        }
        for (window, (source, level)) in mix.into_iter().enumerate() {
            if level < self.config.silence_db {
                continue;
            }
            let floor = (level + self.config.audible_db).max(self.config.silence_db);
            let is_audible = |levels: &Levels| levels.get(window).is_some_and(|(_, own)| *own >= floor);
            let mut audible: Vec<&str> =
                parts.iter().filter(|(_, l)| is_audible(l)).map(|(f, _)| *f).collect();
            audible.sort_unstable();
            audible.dedup();
            self.add_mix(index, record, source, &audible);
        }
        Ok(())
    }

    fn add_solos(&mut self, family: &str, program: Option<u8>, name: &str, levels: &Levels) {
        let heard = levels.iter().filter(|(_, level)| *level >= self.config.silence_db);
        let clips: Vec<SoloClip> =
            heard.map(|(source, _)| SoloClip { source: source.clone(), program }).collect();
        debug_assert!(clips.iter().all(|clip| clip.source.name == name));
        if clips.is_empty() {
            return;
        }
        if !self.families.contains_key(family) {
            let key = self.keys.number(&families_key(&[family]));
            let texts = captions::solo(family);
            let captions = texts.iter().map(|text| Caption { text: self.texts.number(text), key }).collect();
            let empty = Family { name: family.to_owned(), captions, clips: Vec::new() };
            self.families.insert(family.to_owned(), empty);
        }
        if let Some(family) = self.families.get_mut(family) {
            family.clips.extend(clips);
        }
    }

    fn add_mix(&mut self, index: usize, record: &Record, source: Source, audible: &[&str]) {
        let rng = CounterRng::new(self.config.train.seed).stage("captions").item(self.mixes.len() as u64);
        let composed = match audible {
            [] => Vec::new(),
            families => captions::together(families, rng),
        };
        let key = self.keys.number(&families_key(audible));
        let composed = composed.iter().map(|text| Caption { text: self.texts.number(text), key }).collect();
        let section = self.section_at(record, &source).and_then(|section| section.caption.as_deref());
        let section = section.map(|text| self.plain(text)).into_iter().collect();
        let piece = record.captions.iter().map(|text| self.plain(text)).collect();
        let clip = MixClip { source, record: index, section, piece, composed };
        if !clip.lists().is_empty() {
            self.mixes.push(clip);
        }
    }

    /// A caption that only equals itself.
    fn plain(&mut self, text: &str) -> Caption {
        Caption { text: self.texts.number(text), key: self.keys.number(&format!("text:{text}")) }
    }

    /// The section in the middle of a window.
    fn section_at<'r>(&self, record: &'r Record, source: &Source) -> Option<&'r Section> {
        let features = &self.config.model.features;
        let middle = source.start * features.hop_samples + features.window_samples / 2;
        let secs = middle as f64 / f64::from(features.sample_rate_hz);
        record.sections.iter().find(|section| section.start_secs <= secs && secs < section.end_secs)
    }

    /// The windows of a file, side by side, the last one moved back to end with the file, and their levels.
    fn levels(&self, path: &Path) -> Result<Levels> {
        let name = name_of(path);
        let last_start = (self.cache.frames(&name)? - self.window_frames).max(0);
        let all = self.cache.read(&name)?;
        // Neighbours share their edge frame.
        let hop = (self.window_frames - 1).max(1);
        let mut windows = Vec::new();
        for step in 0..=last_start.div_euclid(hop) + i64::from(last_start % hop > hop / 2) {
            let start = (step * hop).min(last_start);
            let power =
                (all.f_narrow(0, start, self.window_frames)?.f_mul_scalar(std::f64::consts::LN_10 / 10.0)?)
                    .f_exp()?;
            let mean =
                power.f_sum_dim_intlist([1].as_slice(), false, None)?.f_mean(None)?.f_double_value(&[])?;
            let source = Source { name: name.clone(), start, last_start };
            windows.push((source, 10.0 * mean.max(1e-12).log10()));
        }
        Ok(windows)
    }
}

/// Windows of a file with their levels in decibels.
type Levels = Vec<(Source, f64)>;

/// One name for a set of families, however it is worded.
fn families_key(families: &[&str]) -> String {
    format!("families:{}", families.join("+"))
}

impl Corpus {
    /// Mean and variance `[bands]` of the log-mel values of up to `clips` windows of each kind.
    pub(super) fn statistics(&self, clips: usize) -> Result<(Vec<f64>, Vec<f64>)> {
        let mixes = self.mixes.iter().map(|clip| &clip.source);
        let solos = self.families.iter().flat_map(|family| family.clips.iter().map(|clip| &clip.source));
        let chosen = spread(mixes.collect(), clips).into_iter().chain(spread(solos.collect(), clips));
        let (mut count, mut sum, mut squares) = (0.0, Vec::new(), Vec::new());
        for source in chosen {
            let mel = tensor::to_array(&self.cache.crop(&source.name, source.start, self.window_frames)?)?;
            let bands = mel.shape()[1];
            sum.resize(bands, 0.0);
            squares.resize(bands, 0.0);
            for row in mel.rows() {
                count += 1.0;
                for (band, value) in row.iter().enumerate() {
                    sum[band] += f64::from(*value);
                    squares[band] += f64::from(*value).powi(2);
                }
            }
        }
        let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
        let variance = squares.iter().zip(&mean).map(|(s, m)| (s / count - m * m).max(1e-3)).collect();
        Ok((mean, variance))
    }
}

/// At most `count` of the items, evenly spread.
pub(super) fn spread<T>(items: Vec<T>, count: usize) -> Vec<T> {
    let total = items.len();
    let kept = count.min(total);
    let mut next = 0;
    let mut is_kept = |index: usize| {
        let hit = next < kept && index == next * total / kept;
        next += usize::from(hit);
        hit
    };
    items.into_iter().enumerate().filter(|(index, _)| is_kept(*index)).map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_evenly() {
        assert_eq!(spread((0..10).collect(), 3), [0, 3, 6]);
        assert_eq!(spread((0..3).collect(), 5), [0, 1, 2]);
        assert!(spread(Vec::<i32>::new(), 5).is_empty());
    }
}

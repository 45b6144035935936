//! Log-mel frames of a corpus, computed once.
//!
//! One half-precision tensor `[frames, bands]` per audio file, in safetensors shards that are memory-mapped; `stamp.json`, written last, says of
//! which manifest, files and front end they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use musicot_core::files::{read_json, write_json};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::train::Dataset;
use musicot_core::{Checkpoint, Error, Result, Storage, checkpoint};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::LoadAudio;
use crate::config::ClapConfig;
use crate::features::LogMel;

/// Frames in a shard, about 16 MB of 64 bands; bounds memory while the cache is made.
const SHARD_FRAMES: i64 = 125_000;

/// Log-mel frames of every audio file of a corpus, by the path in the manifest.
pub(super) struct MelCache {
    checkpoint: Checkpoint,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Stamp {
    fingerprint: String,
}

impl MelCache {
    /// Opens the cache in `dir`, made anew when the manifest, an audio file's size or the front end has changed.
    pub(super) fn open(
        dir: &Path,
        manifest: &Path,
        dataset: &Dataset,
        config: &ClapConfig,
        load_audio: &LoadAudio,
    ) -> Result<Self> {
        let files = audio_files(dataset);
        let stamp = Stamp { fingerprint: fingerprint(manifest, &files, config)? };
        let stamp_path = dir.join("stamp.json");
        let is_current =
            stamp_path.is_file() && read_json::<Stamp>(&stamp_path).is_ok_and(|found| found == stamp);
        if !is_current {
            if stamp_path.exists() {
                fs::remove_file(&stamp_path).map_err(Error::io(&stamp_path))?;
            }
            build(dir, &files, config, load_audio)?;
            write_json(&stamp_path, &stamp)?;
        }
        Ok(Self { checkpoint: Checkpoint::open(dir)? })
    }

    /// Frames of a file.
    pub(super) fn frames(&self, name: &str) -> Result<i64> {
        let info = self.checkpoint.info(name);
        let frames = info.and_then(|info| info.shape.first().copied());
        frames.ok_or_else(|| Error::format(self.checkpoint.path(), format!("holds no frames of `{name}`")))
    }

    /// All frames of a file `[frames, bands]`, f32.
    pub(super) fn read(&self, name: &str) -> Result<Tensor> {
        Ok(self.checkpoint.tensor(name)?.f_to_kind(Kind::Float)?)
    }

    /// Some frames of a file `[count, bands]`, f32.
    pub(super) fn crop(&self, name: &str, start: i64, count: i64) -> Result<Tensor> {
        Ok(self.checkpoint.tensor(name)?.f_narrow(0, start, count)?.f_to_kind(Kind::Float)?)
    }
}

/// Every audio file of the manifest: name there, and path.
fn audio_files(dataset: &Dataset) -> BTreeMap<String, PathBuf> {
    let records = dataset.records().iter();
    let paths = records.flat_map(|r| std::iter::once(&r.audio).chain(r.stems.iter().map(|stem| &stem.audio)));
    let unique: BTreeSet<&PathBuf> = paths.collect();
    unique.into_iter().map(|path| (name_of(path), dataset.resolve(path))).collect()
}

/// Name of a file's frames.
pub(super) fn name_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A hash of everything the frames depend on, the files themselves by their size.
fn fingerprint(manifest: &Path, files: &BTreeMap<String, PathBuf>, config: &ClapConfig) -> Result<String> {
    let mut hash = Fnv::default();
    hash.add(&fs::read(manifest).map_err(Error::io(manifest))?);
    let front_end = json!([config.features, config.audio_config.num_mel_bins]);
    hash.add(front_end.to_string().as_bytes());
    for (name, path) in files {
        let size = fs::metadata(path).map_err(Error::io(path))?.len();
        hash.add(name.as_bytes());
        hash.add(&size.to_le_bytes());
    }
    Ok(format!("{:016x}", hash.0))
}

/// FNV-1a, 64 bits: the same on every machine and compiler.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01B3));
    }
}

fn build(
    dir: &Path,
    files: &BTreeMap<String, PathBuf>,
    config: &ClapConfig,
    load_audio: &LoadAudio,
) -> Result<()> {
    let mel = LogMel::new(&config.features, config.audio_config.num_mel_bins, Device::Cpu)?;
    let mut shards = Shards { dir, held: Vec::new(), frames: 0, written: BTreeMap::new(), count: 0 };
    for (name, path) in files {
        shards.add(name, frames_of(path, &mel, config, load_audio)?)?;
    }
    shards.flush()?;
    write_json(dir.join("model.safetensors.index.json"), &json!({ "weight_map": shards.written }))
}

/// Frames of one file; a file shorter than a window is filled up to one.
fn frames_of(path: &Path, mel: &LogMel, config: &ClapConfig, load_audio: &LoadAudio) -> Result<Tensor> {
    let audio = load_audio(path)?;
    let rate = config.features.sample_rate_hz;
    if audio.sample_rate_hz() != rate || audio.frames() == 0 {
        let found = format!("{} samples at {} Hz", audio.frames(), audio.sample_rate_hz());
        return Err(Error::format(path, format!("expected audio at {rate} Hz, got {found}")));
    }
    let mono: Vec<f32> = audio.to_mono().into_samples().into_iter().collect();
    let window = config.features.window_samples as usize;
    let samples = if mono.len() < window { config.features.padding.fill(&mono, window) } else { mono };
    let frames = mel.forward(&Tensor::f_from_slice(&samples)?.f_unsqueeze(0)?);
    let frames = frames.map_err(|e| Error::format(path, e.to_string()))?;
    Ok(frames.f_squeeze_dim(0)?.f_to_kind(Kind::Half)?)
}

/// Writes tensors to files of bounded size.
struct Shards<'a> {
    dir: &'a Path,
    held: Vec<(String, Tensor)>,
    frames: i64,
    written: BTreeMap<String, String>,
    count: usize,
}

impl Shards<'_> {
    fn add(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        self.frames += tensor.size()[0];
        self.held.push((name.to_owned(), tensor));
        if self.frames >= SHARD_FRAMES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let file = format!("mel-{:05}.safetensors", self.count);
        checkpoint::write(self.dir.join(&file), &self.held, Storage::Native)?;
        self.written.extend(self.held.drain(..).map(|(name, _)| (name, file.clone())));
        self.count += 1;
        self.frames = 0;
        Ok(())
    }
}

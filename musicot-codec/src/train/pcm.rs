//! Decoded audio on disk, so that a crop costs one short read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use musicot_core::files::write_atomic;
use musicot_core::train::{Dataset, Record};

use crate::{Error, Result};

/// Mono 16-bit samples of every record of a manifest at one rate, one raw file each.
#[derive(Debug, Clone)]
pub struct PcmCache {
    clips: Vec<Clip>,
    sample_rate_hz: u32,
}

#[derive(Debug, Clone)]
struct Clip {
    path: PathBuf,
    frames: usize,
}

impl PcmCache {
    /// Decodes what is not there yet into the folder `pcm` beside the manifest.
    ///
    /// # Errors
    /// A recording that cannot be decoded, or a folder that cannot be written.
    pub fn build(dataset: &Dataset, sample_rate_hz: u32) -> Result<Self> {
        let clip = |record: &Record| {
            let path = dataset.resolve(Path::new("pcm")).join(format!("{}-{sample_rate_hz}.i16", record.id));
            if !path.is_file() {
                decode(&dataset.resolve(&record.audio), &path, sample_rate_hz)?;
            }
            let bytes = std::fs::metadata(&path).map_err(musicot_core::Error::io(&path))?.len();
            Ok(Clip { path, frames: bytes as usize / 2 })
        };
        let clips = dataset.records().iter().map(clip).collect::<Result<_>>()?;
        Ok(Self { clips, sample_rate_hz })
    }

    /// Number of recordings.
    pub fn len(&self) -> usize {
        self.clips.len()
    }

    /// Whether there are no recordings.
    pub fn is_empty(&self) -> bool {
        self.clips.is_empty()
    }

    /// Samples of a recording.
    pub fn frames(&self, clip: usize) -> usize {
        self.clips[clip].frames
    }

    /// Samples per second.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// `count` samples from `start`; silence beyond the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, clip: usize, start: usize, count: usize) -> Result<Vec<f32>> {
        let Clip { path, frames } = &self.clips[clip];
        let io = |e| Error::Core(musicot_core::Error::io(path)(e));
        let held = frames.saturating_sub(start).min(count);
        let mut bytes = vec![0; held * 2];
        let mut file = File::open(path).map_err(io)?;
        file.seek(SeekFrom::Start(start as u64 * 2)).map_err(io)?;
        file.read_exact(&mut bytes).map_err(io)?;
        let mut samples = vec![0.0; count];
        for (sample, pair) in samples.iter_mut().zip(bytes.chunks_exact(2)) {
            *sample = f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
        }
        Ok(samples)
    }
}

fn decode(source: &Path, target: &Path, sample_rate_hz: u32) -> Result<()> {
    let audio = crate::resample(&crate::read_audio(source)?.to_mono(), sample_rate_hz)?;
    write_atomic(target, |file| {
        audio.samples().iter().try_for_each(|sample| {
            let value = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            file.write_all(&value.to_le_bytes())
        })
    })?;
    Ok(())
}

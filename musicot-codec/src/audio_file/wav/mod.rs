//! Writing wav files.

mod encode;
mod quantize;

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use musicot_core::files::AtomicFile;
use musicot_core::{AudioBuffer, CounterRng};

use crate::{Error, Result};
use encode::Encoder;

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WavFormat {
    /// 16-bit integers.
    #[default]
    Int16,
    /// 24-bit integers.
    Int24,
    /// 32-bit floats: samples are stored unchanged, also beyond full scale.
    Float32,
}

/// Options of [`write_wav`] and [`WavWriter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WavOptions {
    /// How samples are stored. Default: 16-bit integers.
    pub format: WavFormat,
    /// Adds triangular dither of two steps' width before rounding to integers, drawn per frame and channel from this
    /// stream. Default: none, and nearest rounding.
    pub dither: Option<CounterRng>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WavReport {
    /// Frames written.
    pub frames: u64,
    /// Samples outside `[-1, 1]` that were stored as the nearest integer there is; always 0 for floats.
    pub clipped_samples: u64,
}

/// Writes a clip as a wav file, atomically; see [`WavWriter`].
///
/// ```
/// use musicot_codec::{WavOptions, read_audio, write_wav};
/// use musicot_core::AudioBuffer;
/// let path = std::env::temp_dir().join("musicot-write-wav-doctest.wav");
/// let clip = AudioBuffer::mono(vec![0.0, 0.5, -1.0, 1.25], 48_000)?;
/// let report = write_wav(&path, &clip, WavOptions::default())?;
/// assert_eq!((report.frames, report.clipped_samples), (4, 1));
/// assert_eq!(read_audio(&path)?.samples().as_slice(), Some(&[0.0, 0.5, -1.0, 32_767.0 / 32_768.0][..]));
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), musicot_codec::Error>(())
/// ```
///
/// # Errors
/// See [`WavWriter::append`] and [`WavWriter::finish`].
pub fn write_wav(path: impl AsRef<Path>, audio: &AudioBuffer, options: WavOptions) -> Result<WavReport> {
    let mut writer = WavWriter::create(path, audio.sample_rate_hz(), audio.channels(), options)?;
    writer.append(audio)?;
    writer.finish()
}

/// Writes a wav file block by block. The file appears, whole, at [`WavWriter::finish`]; until then, and
/// after any error, there is no file (or still the old one), and nothing is left behind.
///
/// Integers: a sample is multiplied by 2^(bits-1), rounded to nearest, and saturated; saturated samples are counted.
#[derive(Debug)]
pub struct WavWriter {
    encoder: Encoder<BufWriter<AtomicFile>>,
    path: PathBuf,
    sample_rate_hz: u32,
    channels: usize,
    failed: bool,
}

impl WavWriter {
    /// Starts a file. Parent directories are created.
    ///
    /// # Errors
    /// [`Error::Core`] when the directory cannot be written to, the rate is 0, or the channels are not
    /// within 1 to 64.
    pub fn create(
        path: impl AsRef<Path>,
        sample_rate_hz: u32,
        channels: usize,
        options: WavOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        encode::check(sample_rate_hz, channels, options.format)?;
        let file = BufWriter::new(AtomicFile::create(path)?);
        let encoder = Encoder::start(file, sample_rate_hz, channels, options).map_err(io(path))?;
        Ok(Self { encoder, path: path.to_owned(), sample_rate_hz, channels, failed: false })
    }

    /// Appends a block.
    ///
    /// # Errors
    /// [`Error::Core`] when its rate or channels are not the file's, a sample is not finite, or writing fails;
    /// [`Error::TooLong`] when the file would exceed 4 GiB. After an error the file cannot be finished.
    pub fn append(&mut self, block: &AudioBuffer) -> Result<()> {
        let result = self.try_append(block);
        self.failed |= result.is_err();
        result
    }

    /// Completes the file and moves it into place.
    ///
    /// # Errors
    /// [`Error::Core`] when writing fails, or when an append failed before.
    pub fn finish(self) -> Result<WavReport> {
        if self.failed {
            return Err(Error::input(
                format!("wav file {}", self.path.display()),
                "it cannot be finished: an earlier block was not written",
            ));
        }
        let (file, report) = self.encoder.finish().map_err(io(&self.path))?;
        let file = file.into_inner().map_err(|e| io(&self.path)(e.into_error()))?;
        file.commit()?;
        Ok(report)
    }

    fn try_append(&mut self, block: &AudioBuffer) -> Result<()> {
        if (block.sample_rate_hz(), block.channels()) != (self.sample_rate_hz, self.channels) {
            return Err(Error::input(
                format!("block for {}", self.path.display()),
                format!(
                    "expected {} channels at {} Hz, got {} at {} Hz",
                    self.channels,
                    self.sample_rate_hz,
                    block.channels(),
                    block.sample_rate_hz()
                ),
            ));
        }
        block.expect_finite()?;
        let frames = self.encoder.frames() + block.frames() as u64;
        let limit_frames = self.encoder.limit_frames();
        if frames > limit_frames {
            return Err(Error::TooLong { path: self.path.clone(), frames, limit_frames });
        }
        self.encoder.append(block).map_err(io(&self.path))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |e| Error::Core(musicot_core::Error::io(path)(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_4_gib_are_refused_and_leave_nothing() {
        let dir = tempfile::TempDir::new().unwrap();
        let options = WavOptions { format: WavFormat::Float32, dither: None };
        let mut writer = WavWriter::create(dir.path().join("long.wav"), 8_000, 1, options).unwrap();
        writer.encoder.pretend_frames((1 << 30) - 20);
        let block = AudioBuffer::mono(vec![0.0; 100], 8_000).unwrap();
        let error = writer.append(&block).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error:?}");
        assert!(error.to_string().contains("long.wav"), "{error}");
        assert!(writer.finish().is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

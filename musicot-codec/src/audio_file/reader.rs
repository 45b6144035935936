//! The public reader: blocks of the wanted length, rate and channels.

use std::fmt;
use std::path::Path;

use musicot_core::AudioBuffer;

use super::channels::Mix;
use super::source::Source;
use super::{Channels, DecodeReport, Tolerance};
use crate::resample::{Planar, Stream};
use crate::{Error, Result};

/// Frames of a block where nothing else is asked for: 0.34 s at 48 kHz.
const BLOCK_FRAMES: usize = 16_384;

/// Decodes a whole file at its own sample rate and channels. Damage within the default [`Tolerance`] is accepted
/// silently; an [`AudioReader`] reports it.
///
/// ```no_run
/// let song = musicot_codec::read_audio("song.flac")?;
/// println!("{:.1} s at {} Hz", song.duration_secs(), song.sample_rate_hz());
/// # Ok::<(), musicot_codec::Error>(())
/// ```
///
/// # Errors
/// See [`AudioReader::open`] and [`AudioReader::read_all`].
pub fn read_audio(path: impl AsRef<Path>) -> Result<AudioBuffer> {
    AudioReader::open(path)?.read_all()
}

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioInfo {
    /// Short name of the container, such as `wave` or `isomp4`.
    pub container: &'static str,
    /// Short name of the codec, such as `flac` or `aac`.
    pub codec: &'static str,
    /// The file's own sample rate.
    pub sample_rate_hz: u32,
    /// The file's own channels.
    pub channels: usize,
    /// Announced length at the file's own rate; `None` where the format announces none.
    pub frames: Option<u64>,
}

/// Decodes a file in blocks, as an iterator, in memory that does not grow with the file's length.
///
/// Every block but the last has the same number of frames. After an error the iterator ends.
///
/// ```no_run
/// use musicot_codec::{AudioReader, Channels};
/// let mut peak = 0.0_f32;
/// for block in AudioReader::open("song.mp3")?.with_target(48_000, Channels::Mono)? {
///     peak = block?.samples().iter().fold(peak, |peak, sample| peak.max(sample.abs()));
/// }
/// # Ok::<(), musicot_codec::Error>(())
/// ```
pub struct AudioReader {
    source: Source,
    info: AudioInfo,
    mix: Mix,
    stream: Stream,
    sample_rate_hz: u32,
    pending: Planar,
    block_frames: usize,
    ended: bool,
}

impl AudioReader {
    /// Opens a file with the default [`Tolerance`] for damage.
    ///
    /// # Errors
    /// [`Error::Core`] when it is missing or cannot be read, [`Error::NotAudio`], [`Error::Unsupported`],
    /// [`Error::Empty`], and, where the damage is at the start, those of [`AudioReader::read_all`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Tolerance::default())
    }

    /// Opens a file with the given tolerance for damage.
    ///
    /// # Errors
    /// See [`AudioReader::open`].
    pub fn open_with(path: impl AsRef<Path>, tolerance: Tolerance) -> Result<Self> {
        let source = Source::open(path.as_ref(), tolerance)?;
        let (rate, channels) = (source.spec().sample_rate_hz, source.spec().layout.count());
        let info = AudioInfo {
            container: source.container(),
            codec: source.codec(),
            sample_rate_hz: rate,
            channels,
            frames: source.declared_frames(),
        };
        let mix = Mix::new(Channels::Keep, &source.spec().layout);
        Ok(Self {
            source,
            info,
            mix,
            stream: Stream::through(rate, channels),
            sample_rate_hz: rate,
            pending: Planar::new(channels),
            block_frames: BLOCK_FRAMES,
            ended: false,
        })
    }

    /// Converts to a sample rate and channels on the way; see [`Resampler`](crate::resample::Resampler).
    ///
    /// # Errors
    /// [`Error::SampleRates`] when the two rates cannot be converted; [`Error::Core`] after the first block was taken.
    pub fn with_target(mut self, sample_rate_hz: u32, channels: Channels) -> Result<Self> {
        self.expect_untouched("the target")?;
        self.mix = Mix::new(channels, &self.source.spec().layout);
        let channels = self.mix.outputs(self.info.channels);
        self.stream = Stream::new(self.info.sample_rate_hz, sample_rate_hz, channels)?;
        self.sample_rate_hz = sample_rate_hz;
        self.pending = Planar::new(channels);
        Ok(self)
    }

    /// Sets the number of frames of a block (default 16 384), after conversion.
    ///
    /// # Errors
    /// [`Error::Core`] when it is 0.
    pub fn with_block_frames(mut self, frames: usize) -> Result<Self> {
        if frames == 0 {
            return Err(Error::input("block_frames", "expected at least one frame, got 0"));
        }
        self.block_frames = frames;
        Ok(self)
    }

    /// What the file says about itself, before conversion.
    pub fn info(&self) -> &AudioInfo {
        &self.info
    }

    /// Sample rate of the blocks.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Channels of the blocks.
    pub fn channels(&self) -> usize {
        self.mix.outputs(self.info.channels)
    }

    /// Announced length in seconds; `None` where the format announces none.
    pub fn duration_secs(&self) -> Option<f64> {
        self.info.frames.map(|frames| frames as f64 / f64::from(self.info.sample_rate_hz))
    }

    /// The damage met so far; complete once the last block was taken.
    pub fn report(&self) -> DecodeReport {
        self.source.report()
    }

    /// Decodes all that is left.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Truncated`] beyond the tolerance, [`Error::NonFinite`], [`Error::Unsupported`] when
    /// the rate or the channels change on the way, and [`Error::Core`] when reading fails.
    pub fn read_all(&mut self) -> Result<AudioBuffer> {
        let rest = Planar::new(self.channels());
        let mut all = std::mem::replace(&mut self.pending, rest);
        while let Some(more) = self.convert_next()? {
            all.append(&more);
        }
        all.into_buffer(self.sample_rate_hz)
    }

    fn expect_untouched(&self, what: &str) -> Result<()> {
        if self.source.is_at_start() {
            return Ok(());
        }
        Err(Error::input(what, "expected it to be set before the first block is taken"))
    }

    /// Converted frames of the next packet, possibly none; `None` at the end.
    fn convert_next(&mut self) -> Result<Option<Planar>> {
        if self.ended {
            return Ok(None);
        }
        let next = self.source.next().and_then(|planes| match planes {
            Some(planes) => Ok((self.stream.push(self.mix.apply(planes))?, false)),
            None => Ok((self.stream.finish()?, true)),
        });
        self.ended = next.as_ref().map_or(true, |(_, last)| *last);
        next.map(|(converted, _)| Some(converted))
    }

    fn next_block(&mut self) -> Result<Option<AudioBuffer>> {
        while self.pending.frames() < self.block_frames {
            match self.convert_next()? {
                Some(more) => self.pending.append(&more),
                None => break,
            }
        }
        if self.pending.frames() == 0 {
            return Ok(None);
        }
        self.pending.split_front(self.block_frames).into_buffer(self.sample_rate_hz).map(Some)
    }
}

impl Iterator for AudioReader {
    type Item = Result<AudioBuffer>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.next_block();
        if block.is_err() {
            self.pending = Planar::new(self.channels());
        }
        block.transpose()
    }
}

impl fmt::Debug for AudioReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioReader")
            .field("info", &self.info)
            .field("sample_rate_hz", &self.sample_rate_hz)
            .field("channels", &self.channels())
            .finish_non_exhaustive()
    }
}

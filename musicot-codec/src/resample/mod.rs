//! Sample rate conversion by a fixed ratio, of whole clips and of streams.
//!
//! The converter is a linear-phase low-pass filter (a windowed sinc of at least 2048 taps at the lower of the two
//! rates, applied by FFT), flat to 98 % of the lower Nyquist frequency. Its delay is removed: an event at time t of the input is at time t
//! of the output. Before the first and after the last sample the input counts as silence. Block sizes never change the
//! result: streamed and whole conversion give the same samples, bit for bit.

mod fft;
mod planar;

pub(crate) use planar::Planar;

use musicot_core::AudioBuffer;

use crate::{Error, Result};
use fft::FftConverter;

/// Largest accepted sample rate in Hz (our choice: the highest rate of common PCM hardware).
pub const MAX_SAMPLE_RATE_HZ: u32 = 768_000;
/// Largest accepted ratio between the two rates (our choice; from 3 kHz to 768 kHz).
pub const MAX_RATIO: u32 = 256;

/// Number of frames that `frames` at `from_hz` become at `to_hz`: the exact length, rounded half up.
///
/// ```
/// assert_eq!(musicot_codec::resample::resampled_frames(44_100, 44_100, 48_000), 48_000);
/// assert_eq!(musicot_codec::resample::resampled_frames(1, 44_100, 48_000), 1);
/// ```
pub fn resampled_frames(frames: u64, from_hz: u32, to_hz: u32) -> u64 {
    let from = u128::from(from_hz.max(1));
    let scaled = (u128::from(frames) * u128::from(to_hz) + from / 2) / from;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Converts a whole clip to another sample rate; the result has [`resampled_frames`] frames.
///
/// ```
/// use musicot_codec::resample::resample;
/// use musicot_core::AudioBuffer;
/// let clip = AudioBuffer::mono(vec![0.5; 441], 44_100)?;
/// let clip = resample(&clip, 48_000)?;
/// assert_eq!((clip.frames(), clip.sample_rate_hz()), (480, 48_000));
/// # Ok::<(), musicot_codec::Error>(())
/// ```
///
/// # Errors
/// [`Error::SampleRates`] when a rate is 0 or above [`MAX_SAMPLE_RATE_HZ`], or their ratio above [`MAX_RATIO`].
pub fn resample(audio: &AudioBuffer, to_hz: u32) -> Result<AudioBuffer> {
    if audio.sample_rate_hz() == to_hz {
        return Ok(audio.clone());
    }
    let mut stream = Stream::new(audio.sample_rate_hz(), to_hz, audio.channels())?;
    let mut converted = stream.push(Planar::from_buffer(audio))?;
    converted.append(&stream.finish()?);
    converted.into_buffer(to_hz)
}

/// Converts a stream block by block, in memory that does not grow with its length.
///
/// ```
/// use musicot_codec::resample::Resampler;
/// use musicot_core::AudioBuffer;
/// let mut resampler = Resampler::new(48_000, 16_000, 1)?;
/// let mut frames = 0;
/// for _ in 0..10 {
///     frames += resampler.push(&AudioBuffer::mono(vec![0.0; 4_800], 48_000)?)?.frames();
/// }
/// frames += resampler.finish()?.frames();
/// assert_eq!(frames, 16_000);
/// # Ok::<(), musicot_codec::Error>(())
/// ```
#[derive(Debug)]
pub struct Resampler {
    stream: Stream,
}

impl Resampler {
    /// A converter for streams of `channels` channels.
    ///
    /// # Errors
    /// [`Error::SampleRates`], see [`resample`]; [`Error::Core`] when there is no channel.
    pub fn new(from_hz: u32, to_hz: u32, channels: usize) -> Result<Self> {
        if channels == 0 {
            return Err(Error::input("channels", "expected at least one channel, got none"));
        }
        Ok(Self { stream: Stream::new(from_hz, to_hz, channels)? })
    }

    /// Takes the next block, of any length, and returns what is ready: possibly more or fewer frames than
    /// the block stands for, possibly none.
    ///
    /// # Errors
    /// [`Error::Core`] when the block's rate or channel count is not the stream's.
    pub fn push(&mut self, block: &AudioBuffer) -> Result<AudioBuffer> {
        let Stream { from_hz, to_hz, channels, .. } = self.stream;
        if block.sample_rate_hz() != from_hz || block.channels() != channels {
            return Err(Error::input(
                "block",
                format!(
                    "expected {channels} channels at {from_hz} Hz, got {} at {} Hz",
                    block.channels(),
                    block.sample_rate_hz()
                ),
            ));
        }
        self.stream.push(Planar::from_buffer(block))?.into_buffer(to_hz)
    }

    /// Ends the stream and returns its remaining frames: all blocks together then have [`resampled_frames`] frames.
    ///
    /// # Errors
    /// None that an input can cause.
    pub fn finish(mut self) -> Result<AudioBuffer> {
        let to_hz = self.stream.to_hz;
        self.stream.finish()?.into_buffer(to_hz)
    }
}

/// [`Resampler`] over bare planes.
#[derive(Debug)]
pub(crate) struct Stream {
    from_hz: u32,
    to_hz: u32,
    channels: usize,
    /// Absent where the two rates are equal.
    converter: Option<FftConverter>,
    taken: u64,
    given: u64,
}

impl Stream {
    pub(crate) fn new(from_hz: u32, to_hz: u32, channels: usize) -> Result<Self> {
        check_rates(from_hz, to_hz)?;
        let converter =
            if from_hz == to_hz { None } else { Some(FftConverter::new(from_hz, to_hz, channels)?) };
        Ok(Self { from_hz, to_hz, channels, converter, taken: 0, given: 0 })
    }

    /// No conversion, at any rate.
    pub(crate) fn through(rate_hz: u32, channels: usize) -> Self {
        Self { from_hz: rate_hz, to_hz: rate_hz, channels, converter: None, taken: 0, given: 0 }
    }

    pub(crate) fn push(&mut self, block: Planar) -> Result<Planar> {
        self.taken += block.frames() as u64;
        let ready = match &mut self.converter {
            None => block,
            Some(converter) => converter.push(&block)?,
        };
        self.given += ready.frames() as u64;
        Ok(ready)
    }

    pub(crate) fn finish(&mut self) -> Result<Planar> {
        let missing = resampled_frames(self.taken, self.from_hz, self.to_hz).saturating_sub(self.given);
        match &mut self.converter {
            None => Ok(Planar::new(self.channels)),
            Some(converter) => converter.flush(missing as usize),
        }
    }
}

fn check_rates(from_hz: u32, to_hz: u32) -> Result<()> {
    let refuse = |reason: String| Err(Error::SampleRates { from_hz, to_hz, reason });
    let (low, high) = (from_hz.min(to_hz), from_hz.max(to_hz));
    if low == 0 || high > MAX_SAMPLE_RATE_HZ {
        return refuse(format!("expected rates within 1..={MAX_SAMPLE_RATE_HZ} Hz"));
    }
    if high.div_ceil(low) > MAX_RATIO {
        return refuse(format!("expected rates at most a factor of {MAX_RATIO} apart"));
    }
    Ok(())
}

//! The bytes of a wav file (RIFF WAVE; format tags 1, 3 and 0xFFFE).

use std::io::{Result, Seek, SeekFrom, Write};

use musicot_core::AudioBuffer;

use super::super::channels::MAX_CHANNELS;
use super::quantize::Quantizer;
use super::{WavFormat, WavOptions, WavReport};
use crate::Error;

const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_EXTENSIBLE: u16 = 0xFFFE;
/// What follows the tag in the identifier of an extensible subformat.
const SUBFORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];

impl WavFormat {
    fn bytes(self) -> usize {
        match self {
            Self::Int16 => 2,
            Self::Int24 => 3,
            Self::Float32 => 4,
        }
    }
}

/// Refuses what the header's fields cannot express.
pub(super) fn check(sample_rate_hz: u32, channels: usize, format: WavFormat) -> crate::Result<()> {
    if sample_rate_hz == 0 {
        return Err(Error::input("wav sample rate", "expected a positive rate, got 0"));
    }
    if channels == 0 || channels > MAX_CHANNELS {
        return Err(Error::input("wav channels", format!("expected 1 to {MAX_CHANNELS}, got {channels}")));
    }
    let frame_bytes = channels * format.bytes();
    if u64::from(sample_rate_hz) * frame_bytes as u64 > u64::from(u32::MAX) {
        return Err(Error::input(
            "wav format",
            format!("{channels} channels at {sample_rate_hz} Hz are more than 4 GiB per second"),
        ));
    }
    Ok(())
}

/// Encodes into anything that can be written and, for the sizes at the end, sought.
#[derive(Debug)]
pub(super) struct Encoder<W: Write + Seek> {
    sink: W,
    options: WavOptions,
    channels: usize,
    header_bytes: u32,
    quantizer: Quantizer,
    frames: u64,
    scratch: Vec<u8>,
}

impl<W: Write + Seek> Encoder<W> {
    /// Writes a header without sizes. [`check`] has passed.
    pub(super) fn start(
        mut sink: W,
        sample_rate_hz: u32,
        channels: usize,
        options: WavOptions,
    ) -> Result<Self> {
        let header = header(sample_rate_hz, channels, options.format);
        sink.write_all(&header)?;
        Ok(Self {
            sink,
            options,
            channels,
            header_bytes: header.len() as u32,
            quantizer: Quantizer::new(if options.format == WavFormat::Int24 { 24 } else { 16 }),
            frames: 0,
            scratch: Vec::new(),
        })
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames that the 32-bit sizes can express, with the pad byte.
    pub(super) fn limit_frames(&self) -> u64 {
        u64::from(u32::MAX - self.header_bytes) / self.frame_bytes()
    }

    #[cfg(test)]
    pub(super) fn pretend_frames(&mut self, frames: u64) {
        self.frames = frames;
    }

    fn frame_bytes(&self) -> u64 {
        (self.channels * self.options.format.bytes()) as u64
    }

    /// Appends a block of finite samples with the right channels.
    pub(super) fn append(&mut self, block: &AudioBuffer) -> Result<()> {
        let samples = block.samples();
        // In pieces, so that the scratch does not grow with the block.
        for start in (0..block.frames()).step_by(4096) {
            self.scratch.clear();
            for frame in start..block.frames().min(start + 4096) {
                self.encode_frame(samples.column(frame).iter().copied());
            }
            self.sink.write_all(&self.scratch)?;
        }
        Ok(())
    }

    fn encode_frame(&mut self, samples: impl Iterator<Item = f32>) {
        let mut draws = self.options.dither.map(|rng| rng.at(self.frames));
        for sample in samples {
            match self.options.format {
                WavFormat::Float32 => self.scratch.extend(sample.to_le_bytes()),
                format => {
                    let integer = self.quantizer.quantize(sample, draws.as_mut());
                    self.scratch.extend(&integer.to_le_bytes()[..format.bytes()]);
                }
            }
        }
        self.frames += 1;
    }

    /// Pads the data to an even length and writes the sizes.
    pub(super) fn finish(mut self) -> Result<(W, WavReport)> {
        let data_bytes = self.frames * self.frame_bytes();
        if data_bytes % 2 == 1 {
            self.sink.write_all(&[0])?;
        }
        let padded = data_bytes + data_bytes % 2;
        self.write_at(4, u64::from(self.header_bytes) - 8 + padded)?;
        self.write_at(self.header_bytes - 4, data_bytes)?;
        if self.options.format == WavFormat::Float32 {
            self.write_at(self.header_bytes - 12, self.frames)?;
        }
        self.sink.flush()?;
        Ok((self.sink, WavReport { frames: self.frames, clipped_samples: self.quantizer.clipped }))
    }

    fn write_at(&mut self, position: u32, value: u64) -> Result<()> {
        self.sink.seek(SeekFrom::Start(position.into()))?;
        self.sink.write_all(&(value as u32).to_le_bytes())
    }
}

/// Everything before the samples, sizes left 0. Floats have a `fact` chunk with the number of frames.
fn header(sample_rate_hz: u32, channels: usize, format: WavFormat) -> Vec<u8> {
    let tag = if format == WavFormat::Float32 { TAG_FLOAT } else { TAG_PCM };
    let (bits, frame_bytes) = (format.bytes() as u16 * 8, (channels * format.bytes()) as u32);
    // More than two channels need the extensible form; a speaker mask of 0 leaves their places open.
    let extensible = channels > 2;
    let mut fmt = Vec::new();
    fmt.extend(if extensible { TAG_EXTENSIBLE } else { tag }.to_le_bytes());
    fmt.extend((channels as u16).to_le_bytes());
    fmt.extend(sample_rate_hz.to_le_bytes());
    fmt.extend((sample_rate_hz * frame_bytes).to_le_bytes());
    fmt.extend((frame_bytes as u16).to_le_bytes());
    fmt.extend(bits.to_le_bytes());
    if extensible {
        fmt.extend(22_u16.to_le_bytes());
        fmt.extend(bits.to_le_bytes());
        fmt.extend(0_u32.to_le_bytes());
        fmt.extend(tag.to_le_bytes());
        fmt.extend(SUBFORMAT_TAIL);
    } else if tag == TAG_FLOAT {
        fmt.extend(0_u16.to_le_bytes());
    }
    let mut header = Vec::from(*b"RIFF\0\0\0\0WAVEfmt ");
    header.extend((fmt.len() as u32).to_le_bytes());
    header.extend(fmt);
    if tag == TAG_FLOAT {
        header.extend(*b"fact\x04\0\0\0\0\0\0\0");
    }
    header.extend(*b"data\0\0\0\0");
    header
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Error, ErrorKind};

    use super::*;

    /// A disk with room for a number of bytes.
    struct SmallDisk {
        inner: Cursor<Vec<u8>>,
        room: u64,
    }

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            if self.inner.position() + bytes.len() as u64 > self.room {
                return Err(Error::from(ErrorKind::StorageFull));
            }
            self.inner.write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    impl Seek for SmallDisk {
        fn seek(&mut self, position: SeekFrom) -> Result<u64> {
            self.inner.seek(position)
        }
    }

    fn encode_on(room: u64) -> Result<u64> {
        let disk = SmallDisk { inner: Cursor::new(Vec::new()), room };
        let block = AudioBuffer::mono(vec![0.25; 100], 8_000).unwrap();
        let mut encoder = Encoder::start(disk, 8_000, 1, WavOptions::default())?;
        encoder.append(&block)?;
        encoder.append(&block)?;
        Ok(encoder.finish()?.1.frames)
    }

    #[test]
    fn a_full_disk_is_an_error_wherever_it_fills_up() {
        assert_eq!(encode_on(44 + 400).unwrap(), 200);
        for room in [0, 43, 44, 200, 244, 443] {
            assert_eq!(encode_on(room).unwrap_err().kind(), ErrorKind::StorageFull, "room for {room} bytes");
        }
    }

    #[test]
    fn sizes_and_padding() {
        let options = WavOptions { format: WavFormat::Int24, ..Default::default() };
        let mut encoder = Encoder::start(Cursor::new(Vec::new()), 8_000, 1, options).unwrap();
        encoder.append(&AudioBuffer::mono(vec![0.0; 3], 8_000).unwrap()).unwrap();
        let bytes = encoder.finish().unwrap().0.into_inner();
        assert_eq!(bytes.len(), 44 + 9 + 1);
        assert_eq!(u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize, bytes.len() - 8);
        assert_eq!(u32::from_le_bytes(bytes[40..44].try_into().unwrap()), 9);
    }

    #[test]
    fn the_limit_is_what_the_sizes_can_express() {
        for (format, frame_bytes) in [(WavFormat::Int16, 2), (WavFormat::Int24, 3), (WavFormat::Float32, 4)] {
            let options = WavOptions { format, dither: None };
            let encoder = Encoder::start(Cursor::new(Vec::new()), 8_000, 1, options).unwrap();
            let riff_bytes = |frames: u64| {
                let data = frames * frame_bytes;
                u64::from(encoder.header_bytes) - 8 + data + data % 2
            };
            let limit = encoder.limit_frames();
            assert!(riff_bytes(limit) <= u64::from(u32::MAX), "{format:?}");
            assert!(riff_bytes(limit + 4) > u64::from(u32::MAX) - 16, "{format:?} leaves little unused");
        }
    }

    #[test]
    fn header_fields_that_overflow_are_refused() {
        assert!(check(48_000, 2, WavFormat::Int16).is_ok());
        assert!(check(0, 2, WavFormat::Int16).is_err());
        assert!(check(48_000, 0, WavFormat::Int16).is_err());
        assert!(check(8_000, MAX_CHANNELS + 1, WavFormat::Int16).is_err());
        assert!(check(u32::MAX, 2, WavFormat::Int16).is_err());
    }
}

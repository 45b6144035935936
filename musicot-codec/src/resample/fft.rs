//! The block converter behind the stream: rubato's FFT resampler, fed whole blocks, its delay dropped.

use std::fmt;

use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::Planar;
use crate::{Error, Result};

/// Filter length in samples at the lower of the two rates (our choice: flat to 98 % of its Nyquist frequency).
const MIN_TAPS: usize = 2048;

/// Converts blocks of `block_in` frames to blocks of `block_out` frames. In f64, so that only the rounding of the f32 samples
/// themselves is left (150 dB below a tone).
pub(super) struct FftConverter {
    fft: Fft<f64>,
    block_in: usize,
    block_out: usize,
    input: Vec<Vec<f64>>,
    output: Vec<Vec<f64>>,
    waiting: Planar,
    /// Leading output frames that are the filter's delay.
    delay_left: usize,
}

impl FftConverter {
    pub(super) fn new(from_hz: u32, to_hz: u32, channels: usize) -> Result<Self> {
        let refuse = |e: &dyn fmt::Display| Error::SampleRates { from_hz, to_hz, reason: e.to_string() };
        let divisor = gcd(from_hz, to_hz);
        let (unit_in, unit_out) = ((from_hz / divisor) as usize, (to_hz / divisor) as usize);
        // The filter's centre is half a block into it. An even number of units puts that centre on a sample
        // of both rates, so that the delay is a whole number of output frames and can be removed exactly.
        let units = MIN_TAPS.div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
        let (block_in, block_out) = (units * unit_in, units * unit_out);
        let fft = Fft::new_custom(
            from_hz as usize,
            to_hz as usize,
            block_in,
            1,
            channels,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|e| refuse(&e))?;
        if (fft.fft_size_in(), fft.fft_size_out()) != (block_in, block_out) {
            return Err(refuse(&"the converter chose another block size"));
        }
        let delay_left = block_out / 2;
        Ok(Self {
            fft,
            block_in,
            block_out,
            input: vec![vec![0.0; block_in]; channels],
            output: vec![vec![0.0; block_out]; channels],
            waiting: Planar::new(channels),
            delay_left,
        })
    }

    /// Converts every whole block there is.
    pub(super) fn push(&mut self, block: &Planar) -> Result<Planar> {
        self.waiting.append(block);
        let blocks = self.waiting.frames() / self.block_in;
        let mut ready = Planar::new(self.waiting.count());
        for index in 0..blocks {
            self.convert(&mut ready, index)?;
        }
        self.waiting.drop_front(blocks * self.block_in);
        let delay = self.delay_left.min(ready.frames());
        ready.drop_front(delay);
        self.delay_left -= delay;
        Ok(ready)
    }

    /// Feeds silence until `frames` more output frames have come, and returns those.
    pub(super) fn flush(&mut self, frames: usize) -> Result<Planar> {
        let mut rest = Planar::new(self.waiting.count());
        while rest.frames() < frames {
            let padding = self.block_in - self.waiting.frames();
            rest.append(&self.push(&Planar::silence(self.waiting.count(), padding))?);
        }
        rest.truncate(frames);
        Ok(rest)
    }

    /// Appends the conversion of the waiting block of an index.
    fn convert(&mut self, ready: &mut Planar, index: usize) -> Result<()> {
        let internal = |e: &dyn fmt::Display| Error::input("resampling block", e.to_string());
        let start = index * self.block_in;
        for (input, waiting) in self.input.iter_mut().zip(self.waiting.channels()) {
            for (to, from) in input.iter_mut().zip(&waiting[start..]) {
                *to = f64::from(*from);
            }
        }
        let channels = self.input.len();
        let input =
            SequentialSliceOfVecs::new(&self.input, channels, self.block_in).map_err(|e| internal(&e))?;
        let mut output = SequentialSliceOfVecs::new_mut(&mut self.output, channels, self.block_out)
            .map_err(|e| internal(&e))?;
        self.fft.process_into_buffer(&input, &mut output, None).map_err(|e| internal(&e))?;
        for (to, from) in ready.channels_mut().iter_mut().zip(&self.output) {
            to.extend(from.iter().map(|sample| *sample as f32));
        }
        Ok(())
    }
}

impl fmt::Debug for FftConverter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FftConverter")
            .field("block_in", &self.block_in)
            .field("block_out", &self.block_out)
            .finish_non_exhaustive()
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

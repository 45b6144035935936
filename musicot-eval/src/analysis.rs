//! Power spectra, block by block, so that hours of audio need little memory beyond their samples.

use std::ops::Range;

use musicot_core::dsp::{Padding, Stft};
use musicot_core::tch::{Device, Tensor};
use musicot_core::tensor;
use ndarray::{Array2, Axis, concatenate};

use crate::{Error, Result};

/// Frames per block; a block of 4096 bins takes 16 MB.
const BLOCK_FRAMES: usize = 1024;

/// A transform of centred Hann windows, optionally followed by a bank of bands. Power 1 (0 dB) is the peak of a full-scale sine.
#[derive(Debug)]
pub(crate) struct Analysis {
    stft: Stft,
    bank: Option<Tensor>,
    n_fft: usize,
    hop: usize,
    rate: f64,
}

impl Analysis {
    /// Windows and hops in seconds, rounded to samples (windows to an even number).
    pub(crate) fn new(sample_rate_hz: u32, window_secs: f64, hop_secs: f64) -> Result<Self> {
        let rate = f64::from(sample_rate_hz);
        let n_fft = 2 * (rate * window_secs / 2.0).round() as usize;
        let hop = (rate * hop_secs).round() as usize;
        let stft = Stft::new(n_fft as i64, hop as i64, Padding::Center, Device::Cpu)?;
        Ok(Self { stft, bank: None, n_fft, hop, rate })
    }

    /// Sums the bins by weights `[bands, bins]`.
    pub(crate) fn with_bank(mut self, weights: &Array2<f32>) -> Result<Self> {
        self.bank = Some(tensor::from_array(weights.view(), Device::Cpu)?);
        Ok(self)
    }

    pub(crate) fn n_fft(&self) -> usize {
        self.n_fft
    }

    pub(crate) fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    pub(crate) fn bin_hz(&self) -> f64 {
        self.rate / self.n_fft as f64
    }

    pub(crate) fn frame_rate_hz(&self) -> f64 {
        self.rate / self.hop as f64
    }

    /// Number of frames of so many samples; frame t is centred on sample `t * hop`.
    pub(crate) fn frames(&self, samples: usize) -> usize {
        samples / self.hop + 1
    }

    /// The frames whose windows lie within so many samples.
    pub(crate) fn whole_frames(&self, samples: usize) -> Range<usize> {
        let end = if samples < self.n_fft { 0 } else { (samples - self.n_fft / 2) / self.hop + 1 };
        (self.n_fft / 2).div_ceil(self.hop).min(end)..end
    }

    /// The ranges of frames to be read one after the other.
    pub(crate) fn blocks(&self, samples: usize) -> impl Iterator<Item = Range<usize>> {
        let frames = self.frames(samples);
        (0..frames).step_by(BLOCK_FRAMES).map(move |start| start..(start + BLOCK_FRAMES).min(frames))
    }

    /// Powers `[frames, bins or bands]` of a range of frames.
    pub(crate) fn power(&self, samples: &[f32], frames: Range<usize>) -> Result<Array2<f32>> {
        // Whole hops before the first frame, so that its window is complete.
        let lead = frames.start.min((self.n_fft / 2).div_ceil(self.hop));
        let start = (frames.start - lead) * self.hop;
        let end = samples.len().min((frames.end - 1) * self.hop + self.n_fft / 2);
        let segment = Tensor::f_from_slice(&samples[start..end])?.f_unsqueeze(0)?;
        let scale = (4.0 / self.n_fft as f64).powi(2);
        let count = frames.len();
        let spectrum = self.stft.forward(&segment)?.f_select(0, 0)?.f_narrow(1, lead as i64, count as i64)?;
        let mut power = spectrum.f_abs()?.f_square()?.f_mul_scalar(scale)?;
        if let Some(bank) = &self.bank {
            power = bank.f_matmul(&power)?;
        }
        let columns = power.size()[0] as usize;
        Array2::from_shape_vec((count, columns), tensor::to_vec(&power.f_transpose(0, 1)?)?)
            .map_err(|e| Error::range("spectrum", e.to_string()))
    }

    /// Powers `[frames, bins or bands]` of all frames.
    pub(crate) fn all(&self, samples: &[f32]) -> Result<Array2<f32>> {
        let blocks =
            self.blocks(samples.len()).map(|range| self.power(samples, range)).collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
        concatenate(Axis(0), &views).map_err(|e| Error::range("spectrum", e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals;

    #[test]
    fn blocks_join_without_a_trace() {
        let samples = signals::noise(3, 8000 * 30);
        let analysis = Analysis::new(8000, 0.1, 0.01).unwrap();
        assert_eq!(analysis.frames(samples.len()), 3001);
        let all = analysis.all(&samples).unwrap();
        assert_eq!(all.dim(), (3001, 401));
        // A range across the border of two blocks, alone; the same sums, so only rounding may differ.
        let part = analysis.power(&samples, 1000..1050).unwrap();
        for (a, b) in part.iter().zip(all.slice(ndarray::s![1000..1050, ..])) {
            assert!((a - b).abs() <= 1e-5 * b.max(1e-3), "{a} {b}");
        }
    }

    #[test]
    fn a_full_scale_sine_has_power_1() {
        let analysis = Analysis::new(48_000, 0.1, 0.05).unwrap();
        let power = analysis.all(&signals::sine(1000.0, 1.0, 1.0, 48_000)).unwrap();
        let peak = power.row(10).iter().copied().fold(0.0, f32::max);
        assert!((peak - 1.0).abs() < 1e-4, "{peak}");
    }

    #[test]
    fn one_sample_is_one_frame() {
        let analysis = Analysis::new(8000, 0.1, 0.01).unwrap();
        assert_eq!(analysis.all(&[0.5]).unwrap().nrows(), 1);
    }
}

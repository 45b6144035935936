//! One song of a stream.

use realfft::num_complex::Complex32;

use super::peaks::Peaks;
use crate::Result;
use crate::dsp::griffin_lim::{Frames, Rounds};

/// Below this a bin has no phase.
const SILENCE: f32 = 1e-18;

pub(super) struct Song {
    /// Magnitudes whose phases are not fixed, `frames * bins`.
    pub pending: Vec<f32>,
    /// Spectra already estimated for the first pending frames.
    estimated: Vec<Complex32>,
    /// Spectrum of the last fixed frame; nothing before there is one.
    last: Vec<Complex32>,
    /// Sums of the fixed frames' samples, and of their squared windows, from the first sample that was not taken.
    sum: Vec<f32>,
    envelope: Vec<f32>,
    /// Samples still to be left out: those before the song.
    skip: usize,
}

impl Song {
    pub fn new(rounds: &Rounds) -> Self {
        let edge = rounds.n_fft() - rounds.hop();
        Self {
            pending: Vec::new(),
            estimated: Vec::new(),
            last: Vec::new(),
            sum: vec![0.0; edge],
            envelope: vec![0.0; edge],
            skip: edge / 2,
        }
    }

    /// Fixes the phases of the first `count` of `frames` pending ones.
    pub fn fix(&mut self, rounds: &Rounds, gain: &[f32], count: usize, frames: usize) -> Result<()> {
        let bins = rounds.bins();
        let mut estimate = self.start(rounds, frames);
        let magnitudes = &self.pending[..frames * bins];
        let before = &self.sum[self.ready(rounds)..];
        rounds.run(Frames { magnitudes, estimate: &mut estimate, before, gain })?;
        self.estimated = estimate.split_off(count * bins);
        self.pending.drain(..count * bins);
        self.add(rounds, &estimate)?;
        self.last = estimate.split_off(estimate.len() - bins);
        Ok(())
    }

    /// Samples at the start of both sums that all their frames have been added to.
    fn ready(&self, rounds: &Rounds) -> usize {
        self.sum.len() - (rounds.n_fft() - rounds.hop())
    }

    /// Adds fixed frames to the sums.
    fn add(&mut self, rounds: &Rounds, spectra: &[Complex32]) -> Result<()> {
        let (hop, frames) = (rounds.hop(), spectra.len() / rounds.bins());
        let first = self.ready(rounds);
        let length = self.sum.len() + frames * hop;
        self.sum.resize(length, 0.0);
        self.envelope.resize(length, 0.0);
        rounds.overlap_add(spectra, &mut self.sum[first..])?;
        for frame in 0..frames {
            rounds.add_window(&mut self.envelope[first + frame * hop..]);
        }
        Ok(())
    }

    /// Samples that are final, whole hops of them, or `all` that are left.
    pub fn take(&mut self, rounds: &Rounds, all: bool) -> Vec<f32> {
        let (hop, edge) = (rounds.hop(), rounds.n_fft() - rounds.hop());
        let end = if all { self.sum.len() - (edge - edge / 2) } else { self.ready(rounds) };
        let count = end.saturating_sub(self.skip) / hop * hop;
        if count == 0 {
            return Vec::new();
        }
        let taken = self.skip..self.skip + count;
        let samples = self.sum[taken.clone()].iter().zip(&self.envelope[taken]);
        let samples = samples.map(|(sum, envelope)| sum / envelope.max(1e-8)).collect();
        self.sum.drain(..self.skip + count);
        self.envelope.drain(..self.skip + count);
        self.skip = 0;
        samples
    }

    /// Spectra of the first `frames` pending ones: known where there is an estimate, then propagated from the last of them.
    fn start(&self, rounds: &Rounds, frames: usize) -> Vec<Complex32> {
        let bins = rounds.bins();
        let known = self.estimated.len().min(frames * bins);
        let mut spectra = self.estimated[..known].to_vec();
        let last = if known > 0 { &spectra } else { &self.last };
        let mut turned: Vec<Complex32> = match last.chunks_exact(bins).next_back() {
            Some(last) => last.iter().map(|value| unit(*value)).collect(),
            // As if a peak at 0 Hz had been everywhere.
            None => (0..bins).map(sign).collect(),
        };
        let mut peaks = Peaks::new(rounds.hop(), rounds.n_fft());
        for magnitudes in self.pending[known..frames * bins].chunks_exact(bins) {
            turned = peaks.propagate(&turned, magnitudes);
            spectra.extend(turned.iter().zip(magnitudes).map(|(turned, magnitude)| turned * magnitude));
        }
        spectra
    }
}

/// Plus for even bins, minus for odd ones.
pub(super) fn sign(bin: usize) -> Complex32 {
    Complex32::new(if bin.is_multiple_of(2) { 1.0 } else { -1.0 }, 0.0)
}

fn unit(value: Complex32) -> Complex32 {
    let length = value.norm();
    if length > SILENCE { value / length } else { Complex32::ONE }
}

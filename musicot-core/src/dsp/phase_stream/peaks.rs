//! How phases go on from a frame to the next: sinusoids at spectral peaks, each with the bins around it.

use std::f32::consts::TAU;

use realfft::num_complex::Complex32;

use super::song::sign;

pub(super) struct Peaks {
    /// Turns in a hop per bin.
    turns: f32,
    /// Peaks of the frame at hand, in rising order.
    found: Vec<usize>,
}

impl Peaks {
    pub fn new(hop: usize, n_fft: usize) -> Self {
        Self { turns: hop as f32 / n_fft as f32, found: Vec::new() }
    }

    /// Unit numbers `[bins]` a hop after others: those of the peaks turn on by their interpolated frequencies, and the bins nearest to a peak
    /// alternate in sign around it, as under a symmetric window. Without a peak every bin turns on by itself.
    pub fn propagate(&mut self, last: &[Complex32], magnitudes: &[f32]) -> Vec<Complex32> {
        self.find(magnitudes);
        if self.found.is_empty() {
            return (0..last.len()).map(|bin| last[bin] * self.turn(magnitudes, bin)).collect();
        }
        let mut next = Vec::with_capacity(last.len());
        for (index, &peak) in self.found.iter().enumerate() {
            // In the middle between two the lower one is taken.
            let end = self.found.get(index + 1).map_or(last.len(), |above| (peak + above) / 2 + 1);
            let here = last[peak] * self.turn(magnitudes, peak) * sign(peak);
            next.extend((next.len()..end).map(|bin| here * sign(bin)));
        }
        next
    }

    fn find(&mut self, magnitudes: &[f32]) {
        self.found.clear();
        let risen = |bin: usize| magnitudes[bin] > magnitudes[bin - 1];
        let falls = |bin: usize| magnitudes.get(bin + 1).is_none_or(|above| magnitudes[bin] >= *above);
        self.found.extend((1..magnitudes.len()).filter(|bin| risen(*bin) && falls(*bin)));
    }

    /// By how much a sinusoid turns in a hop whose frequency is the top of a parabola through the logarithms around a bin.
    fn turn(&self, magnitudes: &[f32], bin: usize) -> Complex32 {
        let log = |bin: usize| (magnitudes[bin.min(magnitudes.len() - 1)] + 1e-9).ln();
        let (below, here, above) = (log(bin.saturating_sub(1)), log(bin), log(bin + 1));
        let curve = (below + above - 2.0 * here).min(-1e-6);
        let shift = (0.5 * (below - above) / curve).clamp(-0.5, 0.5);
        let turns = (bin as f32 + shift) * self.turns;
        Complex32::cis(TAU * turns.fract())
    }
}

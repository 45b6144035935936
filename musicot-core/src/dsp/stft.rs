//! Short-time Fourier transform and its inverse by windowed overlap-add.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Where frames stand relative to the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Padding {
    /// Frame t is centred on sample `t * hop`: `samples / hop + 1` frames (librosa's and torch's `center`).
    Center,
    /// Frame t covers the hop `t * hop .. (t + 1) * hop` in its middle: `samples / hop` frames, so that
    /// encoders and decoders keep exact multiples (Vocos' `same`).
    Same,
}

/// A transform with a periodic Hann window as wide as the transform. Outside the signal there is silence.
///
/// With `hop <= n_fft / 2` the inverse of the forward transform is the signal again, to rounding.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::{dsp::{Padding, Stft}, tch::{Device, Kind, Tensor}};
/// let stft = Stft::new(1024, 256, Padding::Same, Device::Cpu)?;
/// let samples = Tensor::ones([1, 4096], (Kind::Float, Device::Cpu));
/// let spectrum = stft.forward(&samples)?;
/// assert_eq!(spectrum.size(), [1, 513, 16]);
/// let difference = stft.inverse(&spectrum)? - samples;
/// assert!(difference.abs().max().double_value(&[]) < 1e-5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stft {
    n_fft: i64,
    hop: i64,
    padding: Padding,
    window: Tensor,
}

impl Stft {
    /// `n_fft` samples per frame, a frame every `hop` samples.
    ///
    /// # Errors
    /// [`Error::Config`] unless `0 < hop <= n_fft` and, for [`Padding::Same`], `n_fft - hop` is even.
    pub fn new(n_fft: i64, hop: i64, padding: Padding, device: Device) -> Result<Self> {
        if hop <= 0 || n_fft < hop {
            return Err(Error::config("hop", format!("expected 1..={n_fft} (the window), got {hop}")));
        }
        if padding == Padding::Same && (n_fft - hop) % 2 != 0 {
            return Err(Error::config("n_fft", format!("n_fft - hop must be even, got {n_fft} - {hop}")));
        }
        let window = Tensor::f_hann_window_periodic(n_fft, true, (Kind::Float, device))?;
        Ok(Self { n_fft, hop, padding, window })
    }

    /// Another window `[n_fft]`, such as the one that a checkpoint holds.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of samples.
    pub fn set_window(&mut self, window: &Tensor) -> Result<()> {
        if window.size() != [self.n_fft] {
            let (expected, actual) = (format!("[{}]", self.n_fft), window.size());
            return Err(Error::Shape { what: "window".to_owned(), expected, actual });
        }
        self.window = window.f_to_kind(Kind::Float)?;
        Ok(())
    }

    /// Frequencies per frame.
    pub fn bins(&self) -> i64 {
        self.n_fft / 2 + 1
    }

    /// Samples per frame.
    pub fn n_fft(&self) -> i64 {
        self.n_fft
    }

    /// Samples between frames.
    pub fn hop(&self) -> i64 {
        self.hop
    }

    /// Where frames stand.
    pub(super) fn padding(&self) -> Padding {
        self.padding
    }

    /// The same transform, with the same window.
    pub(super) fn shared(&self) -> Self {
        Self { window: self.window.shallow_clone(), ..*self }
    }

    /// The window `[n_fft]`.
    pub(super) fn window(&self) -> &Tensor {
        &self.window
    }

    /// Real samples `[batch, samples]` to a complex spectrum `[batch, bins, frames]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes.
    pub fn forward(&self, samples: &Tensor) -> Result<Tensor> {
        crate::shape::expect("samples", samples, &[crate::shape::ANY, crate::shape::ANY])?;
        let (before, after) = self.edges();
        let padded = samples.f_constant_pad_nd([before, after])?;
        if padded.size()[1] < self.n_fft {
            let (batch, options) = (samples.size()[0], (Kind::ComplexFloat, samples.device()));
            return Ok(Tensor::f_zeros([batch, self.bins(), 0], options)?);
        }
        Ok(self.spectra(&padded)?.f_transpose(1, 2)?)
    }

    /// A complex spectrum `[batch, bins, frames]` to samples `[batch, samples]`, `frames * hop` of them with
    /// [`Padding::Same`] and `(frames - 1) * hop` with [`Padding::Center`]: the least-squares inverse (Griffin and Lim, 1984).
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of bins.
    pub fn inverse(&self, spectrum: &Tensor) -> Result<Tensor> {
        crate::shape::expect("spectrum", spectrum, &[crate::shape::ANY, self.bins(), crate::shape::ANY])?;
        let frames = spectrum.size()[2];
        if frames == 0 {
            return Ok(Tensor::f_zeros([spectrum.size()[0], 0], (Kind::Float, spectrum.device()))?);
        }
        let sum = self.overlap_add(&self.pieces(&spectrum.f_transpose(1, 2)?)?)?;
        let (before, after) = self.edges();
        Ok(sum.f_mul(&self.gain(frames)?)?.f_narrow(1, before, sum.size()[1] - before - after)?)
    }

    /// Samples `[batch, samples]`, nothing added, to the spectrum of each frame, `[batch, frames, bins]`.
    pub(super) fn spectra(&self, samples: &Tensor) -> Result<Tensor> {
        let window = Some(&self.window);
        let spectrum = samples.f_stft(self.n_fft, self.hop, self.n_fft, window, false, true, true, false)?;
        Ok(spectrum.f_transpose(1, 2)?)
    }

    /// The spectrum of each frame `[batch, frames, bins]` to its samples under the window, `[batch, frames, n_fft]`.
    pub(super) fn pieces(&self, spectra: &Tensor) -> Result<Tensor> {
        Ok(spectra.f_fft_irfft(self.n_fft, 2, "backward")?.f_mul(&self.window)?)
    }

    /// The sum `[batch, samples]` of the frames' samples `[batch, frames, n_fft]` where they stand: a hop's width of all frames at a time.
    pub(super) fn overlap_add(&self, pieces: &Tensor) -> Result<Tensor> {
        let (batch, frames, _) = pieces.size3()?;
        let rows = frames - 1 + (self.n_fft + self.hop - 1) / self.hop;
        let sum = Tensor::f_zeros([batch, rows, self.hop], (Kind::Float, pieces.device()))?;
        for (row, start) in (0..self.n_fft).step_by(self.hop as usize).enumerate() {
            let width = self.hop.min(self.n_fft - start);
            let mut place = sum.f_narrow(1, row as i64, frames)?.f_narrow(2, 0, width)?;
            let _ = place.f_add_(&pieces.f_narrow(2, start, width)?)?;
        }
        Ok(sum.f_reshape([batch, -1])?.f_narrow(1, 0, (frames - 1) * self.hop + self.n_fft)?)
    }

    /// What the sum of so many frames is multiplied with, `[samples]`: the inverse of the squared windows' sum, and zero outside the signal.
    pub(super) fn gain(&self, frames: i64) -> Result<Tensor> {
        let weights = self.window.f_square()?.f_expand([1, frames, self.n_fft], false)?;
        let envelope = self.overlap_add(&weights)?.f_squeeze_dim(0)?;
        let (before, after) = self.edges();
        let length = envelope.size()[0] - before - after;
        let inside = envelope.f_narrow(0, before, length)?.f_clamp_min(1e-8)?.f_reciprocal()?;
        Ok(inside.f_constant_pad_nd([before, after])?)
    }

    /// Silence added before and after the signal.
    fn edges(&self) -> (i64, i64) {
        let (before, all) = match self.padding {
            Padding::Center => (self.n_fft / 2, self.n_fft),
            Padding::Same => ((self.n_fft - self.hop) / 2, self.n_fft - self.hop),
        };
        (before, all - before)
    }
}

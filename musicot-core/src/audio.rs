//! Audio in memory.

use ndarray::{Array2, ArrayView2, Axis};

use crate::{Error, Result};

/// Planar audio: samples `[channels, frames]`, nominally within `[-1, 1]`, at a sample rate.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::AudioBuffer;
/// let stereo = AudioBuffer::new(ndarray::array![[0.5, 1.0], [-0.5, 0.0]], 2)?;
/// assert_eq!(stereo.duration_secs(), 1.0);
/// assert_eq!(stereo.to_mono(), AudioBuffer::mono(vec![0.0, 0.5], 2)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AudioBuffer {
    samples: Array2<f32>,
    sample_rate_hz: u32,
}

impl AudioBuffer {
    /// Takes samples `[channels, frames]`.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no channel or the rate is 0.
    pub fn new(samples: Array2<f32>, sample_rate_hz: u32) -> Result<Self> {
        if samples.nrows() == 0 {
            return Err(Error::input("audio", "expected at least one channel, got none"));
        }
        if sample_rate_hz == 0 {
            return Err(Error::input("audio", "expected a positive sample rate, got 0"));
        }
        Ok(Self { samples, sample_rate_hz })
    }

    /// One channel of samples.
    ///
    /// # Errors
    /// See [`AudioBuffer::new`].
    pub fn mono(samples: Vec<f32>, sample_rate_hz: u32) -> Result<Self> {
        let frames = samples.len();
        let samples =
            Array2::from_shape_vec((1, frames), samples).map_err(|e| Error::input("audio", e.to_string()))?;
        Self::new(samples, sample_rate_hz)
    }

    /// Samples `[channels, frames]`.
    pub fn samples(&self) -> &Array2<f32> {
        &self.samples
    }

    /// Gives up the samples `[channels, frames]`.
    pub fn into_samples(self) -> Array2<f32> {
        self.samples
    }

    /// Samples per second and channel.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.samples.nrows()
    }

    /// Samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.ncols()
    }

    /// Length in seconds.
    pub fn duration_secs(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate_hz)
    }

    /// The mean of all channels, as one channel.
    pub fn to_mono(&self) -> Self {
        if self.channels() == 1 {
            return self.clone();
        }
        let sum = self.samples.sum_axis(Axis(0)) / self.channels() as f32;
        Self { samples: sum.insert_axis(Axis(0)), sample_rate_hz: self.sample_rate_hz }
    }

    /// Checks that no sample is NaN or infinite.
    ///
    /// # Errors
    /// [`Error::Input`] names channel and position of the first such sample.
    pub fn expect_finite(&self) -> Result<()> {
        expect_finite(self.samples.view())
    }
}

/// Checks that no sample of audio `[channels, frames]` is NaN or infinite.
///
/// # Errors
/// [`Error::Input`] names channel and position of the first such sample.
pub(crate) fn expect_finite(samples: ArrayView2<'_, f32>) -> Result<()> {
    match samples.indexed_iter().find(|(_, sample)| !sample.is_finite()) {
        None => Ok(()),
        Some(((channel, frame), sample)) => Err(Error::input(
            "audio",
            format!("expected finite samples, got {sample} in channel {channel} at frame {frame}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_layouts_are_refused_and_no_frames_are_fine() {
        assert!(matches!(AudioBuffer::new(Array2::zeros((0, 4)), 48_000), Err(Error::Input { .. })));
        assert!(matches!(AudioBuffer::mono(vec![0.0], 0), Err(Error::Input { .. })));
        let silent = AudioBuffer::new(Array2::zeros((2, 0)), 48_000).unwrap();
        assert_eq!((silent.channels(), silent.frames(), silent.duration_secs()), (2, 0, 0.0));
        assert_eq!(silent.to_mono().frames(), 0);
    }

    #[test]
    fn the_first_broken_sample_is_named() {
        let mut samples = Array2::zeros((2, 10));
        samples[[1, 7]] = f32::NAN;
        let error = AudioBuffer::new(samples, 8000).unwrap().expect_finite().unwrap_err().to_string();
        assert!(error.contains("channel 1") && error.contains("frame 7"), "{error}");
        assert!(AudioBuffer::mono(vec![0.0; 4], 8000).unwrap().expect_finite().is_ok());
    }
}

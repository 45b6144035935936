//! Audio in memory.

use ndarray::{Array2, Axis};

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

    /// Scales all samples alike, so that none is beyond `ceiling` on either side (1 is full scale); audio that keeps within it is not
    /// touched. Also tells the gain, dB: 0 or less.
    ///
    /// # Errors
    /// [`Error::Input`] when the ceiling is not positive, or when a sample is not finite.
    pub fn limit_peak(self, ceiling: f32) -> Result<(Self, f64)> {
        if !(ceiling.is_finite() && ceiling > 0.0) {
            return Err(Error::input("ceiling", format!("expected a positive number, got {ceiling}")));
        }
        self.expect_finite()?;
        let peak = self.samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        if peak <= ceiling {
            return Ok((self, 0.0));
        }
        let gain = ceiling / peak;
        // Rounding may leave the peak a step beyond.
        let samples = self.samples.mapv_into(|sample| (sample * gain).clamp(-ceiling, ceiling));
        Ok((Self { samples, ..self }, 20.0 * f64::from(gain).log10()))
    }

    /// Checks that no sample is NaN or infinite.
    ///
    /// # Errors
    /// [`Error::Input`] names channel and position of the first such sample.
    pub fn expect_finite(&self) -> Result<()> {
        match self.samples.indexed_iter().find(|(_, sample)| !sample.is_finite()) {
            None => Ok(()),
            Some(((channel, frame), sample)) => Err(Error::input(
                "audio",
                format!("expected finite samples, got {sample} in channel {channel} at frame {frame}"),
            )),
        }
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
    fn loud_audio_is_scaled_as_a_whole_and_other_audio_is_left_alone() {
        let loud = AudioBuffer::new(ndarray::array![[0.5, -4.0], [0.25, 1.0]], 8000).unwrap();
        let (limited, gain_db) = loud.limit_peak(1.0).unwrap();
        assert_eq!(limited.samples(), ndarray::array![[0.125, -1.0], [0.0625, 0.25]]);
        assert!((gain_db - 20.0 * 0.25_f64.log10()).abs() < 1e-6, "{gain_db}");
        assert_eq!(limited.clone().limit_peak(1.0).unwrap(), (limited.clone(), 0.0));
        assert!(limited.clone().limit_peak(0.0).is_err() && limited.limit_peak(f32::NAN).is_err());
        let broken = AudioBuffer::mono(vec![0.0, f32::INFINITY], 8000).unwrap();
        assert!(broken.limit_peak(1.0).unwrap_err().to_string().contains("frame 1"));
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

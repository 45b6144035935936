//! Spectral flux over time, and the test for audible seams between windows that were generated apart.

use musicot_core::AudioBuffer;
use serde::Serialize;

use crate::log_mel::LogMel;
use crate::statistics::quantile;
use crate::{Error, Result, check};

/// A seam is looked for this far to both sides of its time: half the window of 43 ms, and a frame for rounding.
const REACH_SECS: f64 = 0.03;

/// How much the spectrum changes, 100 times per second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FluxCurve {
    /// Mean over 80 mel bands (30 Hz to 16 kHz) of the absolute change in decibels since the frame 10 ms before; levels are cut
    /// off 80 dB below the loudest of the recording. Falls count as rises do: a drop-out is a seam too. At least 0; 0 in the
    /// first 30 ms and the last 20 ms, where windows reach over the ends.
    pub values: Vec<f64>,
    /// Values per second; value t belongs to the time `t / frame_rate_hz`.
    pub frame_rate_hz: f64,
}

impl FluxCurve {
    /// Measures the mean of all channels. Silence is 0 throughout.
    ///
    /// # Errors
    /// [`Error::TooFew`] for no samples; [`Error::NotFinite`]; [`Error::Range`] for a rate below 8 kHz.
    pub fn of(audio: &AudioBuffer) -> Result<Self> {
        let mel = LogMel::of("audio", audio)?;
        Ok(Self { values: mel.changes(f32::abs), frame_rate_hz: mel.frame_rate_hz })
    }

    /// Compares the flux at the given times with the flux everywhere else. Both are maxima over +-30 ms, so that a
    /// seam is not punished for being looked for in several frames.
    ///
    /// ```
    /// # fn main() -> musicot_eval::Result<()> {
    /// use musicot_eval::flux::FluxCurve;
    /// let mut values = vec![1.0; 500];
    /// values[200] = 9.0; // a jump after two seconds
    /// let curve = FluxCurve { values, frame_rate_hz: 100.0 };
    /// assert!(!curve.seams(&[2.0])?.is_passed);
    /// assert!(curve.seams(&[3.0])?.is_passed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::TooFew`] for no time, or no frame away from them; [`Error::Range`] for a time outside the recording.
    pub fn seams(&self, times_secs: &[f64]) -> Result<SeamTest> {
        check::at_least("seams", times_secs.len(), 1)?;
        check::at_least("flux values", self.values.len(), 1)?;
        check::finite("flux", self.values.iter().copied())?;
        let duration = self.values.len() as f64 / self.frame_rate_hz;
        if let Some(time) = times_secs.iter().find(|time| !(0.0..=duration).contains(*time)) {
            return Err(Error::range("seam", format!("expected a time within 0..={duration} s, got {time}")));
        }
        let reach = (REACH_SECS * self.frame_rate_hz).round() as usize;
        let last = self.values.len() - 1;
        let centers: Vec<usize> =
            times_secs.iter().map(|time| ((time * self.frame_rate_hz).round() as usize).min(last)).collect();
        let is_apart = |frame: &usize| centers.iter().all(|center| center.abs_diff(*frame) > 2 * reach);
        let elsewhere: Vec<f64> = (0..=last).filter(is_apart).map(|frame| self.peak(frame, reach)).collect();
        let elsewhere_p95 = quantile(&elsewhere, 0.95)?;
        let at_seams: Vec<f64> = centers.iter().map(|center| self.peak(*center, reach)).collect();
        let is_passed = at_seams.iter().all(|flux| *flux <= elsewhere_p95);
        Ok(SeamTest { at_seams, elsewhere_p95, is_passed })
    }

    fn peak(&self, frame: usize, reach: usize) -> f64 {
        let around = &self.values[frame.saturating_sub(reach)..self.values.len().min(frame + reach + 1)];
        around.iter().copied().fold(0.0, f64::max)
    }
}

/// Flux at seams against flux elsewhere, both in decibels per frame and as maxima over +-30 ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeamTest {
    /// Flux at each seam, in the order of the times.
    pub at_seams: Vec<f64>,
    /// 95th percentile of the flux at least 60 ms away from all seams.
    pub elsewhere_p95: f64,
    /// Whether no seam is above it.
    pub is_passed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::{buffer, notes, sine};

    #[test]
    fn a_cut_in_a_steady_tone_is_seen_and_a_smooth_one_is_not() {
        let mut samples = sine(440.0, 0.3, 4.0, 16_000);
        let smooth = FluxCurve::of(&buffer(samples.clone(), 16_000)).unwrap();
        // The tone goes on at half its phase.
        samples[32_000..].iter_mut().for_each(|sample| *sample = -*sample);
        let cut = FluxCurve::of(&buffer(samples, 16_000)).unwrap();
        assert!(!cut.seams(&[2.0]).unwrap().is_passed);
        let (a, b) = (cut.seams(&[2.0]).unwrap().at_seams[0], smooth.seams(&[2.0]).unwrap().at_seams[0]);
        assert!(a > 10.0 * b, "{a} {b}");
    }

    #[test]
    fn drop_outs_are_seen() {
        let mut samples = notes(&[(0.0, 262.0), (1.0, 330.0)], 5.0, 16_000);
        samples[24_000..].iter_mut().for_each(|sample| *sample = 0.0);
        let test = FluxCurve::of(&buffer(samples, 16_000)).unwrap().seams(&[1.5, 0.5]).unwrap();
        assert!(test.at_seams[0] > test.elsewhere_p95 && test.at_seams[1] <= test.elsewhere_p95, "{test:?}");
    }

    #[test]
    fn silence_passes_and_bad_times_do_not() {
        let curve = FluxCurve::of(&buffer(vec![0.0; 16_000], 16_000)).unwrap();
        assert!(curve.values.iter().all(|value| *value == 0.0));
        assert!(curve.seams(&[0.5]).unwrap().is_passed);
        assert!(curve.seams(&[]).is_err());
        assert!(curve.seams(&[-0.1]).is_err());
        assert!(curve.seams(&[f64::NAN]).is_err());
        assert!(curve.seams(&[2.0]).is_err());
        let short = FluxCurve { values: vec![1.0; 3], frame_rate_hz: 100.0 };
        assert!(matches!(short.seams(&[0.0]), Err(Error::TooFew { .. })));
        assert!(FluxCurve { values: vec![], frame_rate_hz: 100.0 }.seams(&[0.0]).is_err());
    }
}

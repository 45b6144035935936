//! The peer that a codec has to beat: coarse magnitudes of as many values per second as its latents, then Griffin-Lim.

use musicot_core::dsp::{GriffinLim, Padding, Stft, griffin_lim, log_frequency_bank};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{AudioBuffer, CounterRng, tensor};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, check};

const WINDOW_SECS: f64 = 2048.0 / 48_000.0;

/// The least magnitude of a band when logarithms are taken: -120 dB of a full-scale sine.
const FLOOR: f64 = 1e-6;

/// Singular values of the bank below this share of the greatest are left out of its pseudo-inverse: they would amplify what the bands
/// below the resolution of the transform have in common.
const LEAST_SINGULAR: f64 = 0.01;

/// How the values are spent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BandBaseline {
    /// Frames of values per second; default 25. The bands are as many as the budget leaves per frame.
    pub frame_rate_hz: f64,
    /// Middle of the lowest band in hertz; default 55.
    pub min_hz: f64,
    /// Upper end of the highest band in hertz; default 16 000, at most half the sample rate.
    pub max_hz: f64,
    /// Rounds of Griffin-Lim; default 48.
    pub rounds: usize,
    /// Seed of the phases that it starts from; default 0.
    pub seed: u64,
}

impl Default for BandBaseline {
    fn default() -> Self {
        Self {
            frame_rate_hz: 25.0,
            min_hz: 55.0,
            max_hz: 16_000.0,
            rounds: GriffinLim::default().rounds,
            seed: 0,
        }
    }
}

impl BandBaseline {
    /// Bands that a budget leaves per frame.
    fn bands(&self, values_per_sec: f64) -> usize {
        // A budget of exactly so many bands must not lose one to rounding.
        (values_per_sec / self.frame_rate_hz + 1e-9).floor() as usize
    }

    fn validate(&self, sample_rate_hz: u32, values_per_sec: f64) -> Result<()> {
        let nyquist = f64::from(sample_rate_hz) / 2.0;
        let is_ordered =
            self.min_hz > 0.0 && self.min_hz < self.max_hz.min(nyquist) && self.max_hz.is_finite();
        if !is_ordered {
            let reason =
                format!("expected 0 < min < max, below {nyquist} Hz, got {}..{}", self.min_hz, self.max_hz);
            return Err(Error::range("band baseline", reason));
        }
        if !(1.0..=200.0).contains(&self.frame_rate_hz) {
            let reason = format!("expected 1..=200 frames per second, got {}", self.frame_rate_hz);
            return Err(Error::range("band baseline", reason));
        }
        if !(values_per_sec.is_finite() && self.bands(values_per_sec) >= 2) {
            let least = 2.0 * self.frame_rate_hz;
            let reason = format!("expected at least {least} values per second, got {values_per_sec}");
            return Err(Error::range("band baseline", reason));
        }
        Ok(())
    }

    /// What is left of the mean of all channels after `values_per_sec` magnitudes per second: the same length, one channel.
    ///
    /// Analysis: Hann windows of 43 ms (2048 samples at 48 kHz), about four per window; their magnitudes are averaged over bands that
    /// are equally wide in pitch, and over the transform's frames of one frame of values. Synthesis: the values are interpolated over
    /// time (linear in the logarithm), brought back to bins by the pseudo-inverse of the bank (negative magnitudes become 0), and given
    /// phases by fast Griffin-Lim from random ones. They are not quantised, as a codec's latents are not. All of this is our choice, made
    /// on four clips for the best chroma and then onsets (43 ms or 85 ms, held or interpolated, transposed bank or pseudo-inverse). Fewer
    /// bands at a higher frame rate trade chroma for onsets.
    ///
    /// # Errors
    /// [`Error::Range`] for a budget of fewer than two bands or settings out of range; [`Error::TooFew`] for no samples;
    /// [`Error::NotFinite`].
    pub fn run(&self, audio: &AudioBuffer, values_per_sec: f64) -> Result<AudioBuffer> {
        let samples = check::mono("audio", audio)?;
        let rate = audio.sample_rate_hz();
        self.validate(rate, values_per_sec)?;
        let plan = Layout::new(self, rate);
        let stft = Stft::new(plan.n_fft, plan.hop, Padding::Center, Device::Cpu)?;
        let bank = self.bank(rate, plan.n_fft as usize, self.bands(values_per_sec))?;
        let spectrum = stft.forward(&Tensor::f_from_slice(&samples)?.f_unsqueeze(0)?)?;
        let magnitudes = spectrum.f_abs()?;
        let values = plan.pool(&tensor::from_array(bank.view(), Device::Cpu)?.f_matmul(&magnitudes)?)?;
        let spread =
            unbanded(&bank)?.f_matmul(&plan.interpolate(&values, magnitudes.size()[2])?)?.f_clamp_min(0.0)?;
        let phases =
            CounterRng::new(self.seed).stage("band baseline").uniform(0, &spread.size(), Device::Cpu)?;
        let settings = GriffinLim { rounds: self.rounds, ..GriffinLim::default() };
        let result = griffin_lim(&stft, &spread, &phases.f_mul_scalar(std::f64::consts::TAU)?, settings)?;
        let mut output = tensor::to_vec(&result)?;
        output.resize(samples.len(), 0.0);
        Ok(AudioBuffer::mono(output, rate)?)
    }

    /// Weights `[bands, bins]`: as many bands per octave, a whole number, as fit between the ends; left over ones go on above.
    fn bank(&self, rate: u32, n_fft: usize, bands: usize) -> Result<Array2<f32>> {
        let nyquist = f64::from(rate) / 2.0;
        let octaves = (self.max_hz.min(nyquist) / self.min_hz).log2();
        let per_octave = ((bands as f64 / octaves).floor() as usize).max(1);
        let below_nyquist = ((nyquist / self.min_hz).log2() * per_octave as f64).ceil() as usize;
        Ok(log_frequency_bank(rate, n_fft, self.min_hz, per_octave, bands.min(below_nyquist))?)
    }
}

/// The pseudo-inverse `[bins, bands]` of a bank.
fn unbanded(bank: &Array2<f32>) -> Result<Tensor> {
    let bank = tensor::from_array(bank.view(), Device::Cpu)?.f_to_kind(Kind::Double)?;
    Ok(bank.f_linalg_pinv(LEAST_SINGULAR, false)?.f_to_kind(Kind::Float)?)
}

/// Sizes in samples and frames.
struct Layout {
    n_fft: i64,
    hop: i64,
    /// Frames of the transform per frame of values.
    group: i64,
}

impl Layout {
    fn new(config: &BandBaseline, rate: u32) -> Self {
        let rate = f64::from(rate);
        let n_fft = 2 * (rate * WINDOW_SECS / 2.0).round() as i64;
        let samples_per_value = rate / config.frame_rate_hz;
        let group = (samples_per_value / (n_fft as f64 / 4.0)).round().max(1.0);
        // Rounded up, so that there are never more values than the budget.
        Self { n_fft, hop: (samples_per_value / group).ceil() as i64, group: group as i64 }
    }

    /// Means over groups of frames: `[1, bands, frames]` to `[1, bands, groups]`.
    fn pool(&self, bands: &Tensor) -> Result<Tensor> {
        let missing = (self.group - bands.size()[2] % self.group) % self.group;
        let whole = bands.f_replication_pad1d([0, missing])?;
        Ok(whole.f_avg_pool1d([self.group], [self.group], [0], false, true)?)
    }

    /// `[1, bands, groups]` to `[1, bands, frames]`, linear in the logarithm between the middles of the groups.
    fn interpolate(&self, values: &Tensor, frames: i64) -> Result<Tensor> {
        let logs = values.f_clamp_min(FLOOR * self.n_fft as f64 / 4.0)?.f_log()?;
        let longer = logs.f_upsample_linear1d([values.size()[2] * self.group], false, None::<f64>)?;
        Ok(longer.f_narrow(2, 0, frames)?.f_exp()?)
    }
}

/// [`BandBaseline::run`] with the default settings.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{baseline::band_baseline, core::AudioBuffer};
/// let tone = (0..8000).map(|n| (n as f32 * 440.0 / 16_000.0 * std::f32::consts::TAU).sin()).collect();
/// let coarse = band_baseline(&AudioBuffer::mono(tone, 16_000)?, 25.0 * 64.0)?;
/// assert_eq!(coarse.frames(), 8000);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// See [`BandBaseline::run`].
pub fn band_baseline(audio: &AudioBuffer, values_per_sec: f64) -> Result<AudioBuffer> {
    BandBaseline::default().run(audio, values_per_sec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chroma::{Chroma, similarity};
    use crate::onsets::{onset_f1, onset_times};
    use crate::signals::{buffer, notes};

    #[test]
    fn more_values_keep_more_of_the_notes() {
        let starts = [(0.2, 262.0), (0.7, 330.0), (1.2, 392.0), (1.7, 494.0)];
        let audio = buffer(notes(&starts, 2.4, 16_000), 16_000);
        let reference = Chroma::of(&audio).unwrap();
        let scored = |values_per_sec: f64| {
            let coarse = band_baseline(&audio, values_per_sec).unwrap();
            assert_eq!((coarse.frames(), coarse.channels()), (audio.frames(), 1));
            let onsets = onset_f1(&[0.2, 0.7, 1.2, 1.7], &onset_times(&coarse).unwrap(), 0.05).unwrap();
            (similarity(&reference, &Chroma::of(&coarse).unwrap()).unwrap(), onsets.recall)
        };
        let (few, many) = (scored(25.0 * 16.0), scored(25.0 * 128.0));
        assert!(many.0 > few.0 + 0.1 && many.0 > 0.7, "{few:?} {many:?}");
        assert!(many.1 >= 0.75, "{many:?}");
    }

    #[test]
    fn values_never_exceed_the_budget() {
        let config = BandBaseline::default();
        for (rate, budget) in [(48_000, 3200.0), (44_100, 1600.0), (16_000, 900.0)] {
            let layout = Layout::new(&config, rate);
            let frames_per_sec = f64::from(rate) / (layout.hop * layout.group) as f64;
            let bank = config.bank(rate, layout.n_fft as usize, config.bands(budget)).unwrap();
            assert!(bank.nrows() as f64 * frames_per_sec <= budget + 1e-9, "{rate} Hz");
            // Every bin between the ends belongs to a band.
            let bin_hz = f64::from(rate) / layout.n_fft as f64;
            let inside = (100.0 / bin_hz) as usize..(6000.0 / bin_hz) as usize;
            assert!(inside.into_iter().all(|bin| bank.column(bin).sum() > 0.0), "{rate} Hz");
        }
    }

    #[test]
    fn silence_stays_silent_and_absurd_budgets_are_refused() {
        let silence = band_baseline(&buffer(vec![0.0; 4000], 16_000), 3200.0).unwrap();
        // The floor of -120 dB in every band, which adds up over the bins.
        assert!(silence.samples().iter().all(|sample| sample.abs() < 1e-3));
        assert_eq!(band_baseline(&buffer(vec![0.3], 16_000), 3200.0).unwrap().frames(), 1);
        let audio = buffer(vec![0.1; 100], 16_000);
        for budget in [0.0, -5.0, 30.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(band_baseline(&audio, budget), Err(Error::Range { .. })), "{budget}");
        }
        let upside_down = BandBaseline { min_hz: 900.0, max_hz: 100.0, ..Default::default() };
        assert!(upside_down.run(&audio, 3200.0).is_err());
        let frozen = BandBaseline { frame_rate_hz: f64::NAN, ..Default::default() };
        assert!(frozen.run(&audio, 3200.0).is_err());
        assert!(band_baseline(&buffer(vec![], 16_000), 3200.0).is_err());
    }
}

//! The log-mel front end.

use musicot_core::dsp::{MelBank, MelConfig};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error, Result, shape, tensor};

use crate::config::FeatureConfig;

/// Power below this counts as this: the floor is -100 dB.
const FLOOR: f64 = 1e-10;

/// Bounds the memory of a bank.
const MOST_WEIGHTS: i64 = 1 << 28;

/// Samples to log-mel frames; see [`FeatureConfig`]. Computed in f64, as the published front end does: near silence an f32 spectrum would be
/// some thousandths of a decibel off.
#[derive(Debug)]
pub struct LogMel {
    n_fft: i64,
    hop: i64,
    window: Tensor,
    /// `[bins, bands]`.
    bank: Tensor,
}

impl LogMel {
    /// A front end with `bands` mel bands.
    ///
    /// # Errors
    /// [`Error::Config`] for edges out of range.
    pub fn new(config: &FeatureConfig, bands: i64, device: Device) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            n_fft: config.n_fft,
            hop: config.hop_samples,
            window: Tensor::f_hann_window_periodic(config.n_fft, true, (Kind::Double, device))?,
            bank: bank(config, bands)?.f_to_device(device)?,
        })
    }

    /// Samples `[batch, samples]` (f32, within about [-1, 1]) to decibels `[batch, samples / hop + 1, bands]`, at least -100.
    ///
    /// # Errors
    /// [`Error::Input`] for NaN, infinity, or no more samples than are mirrored at the edges (`n_fft / 2`); [`Error::Shape`] for
    /// another number of axes.
    pub fn forward(&self, samples: &Tensor) -> Result<Tensor> {
        shape::expect("samples", samples, &[shape::ANY, shape::ANY])?;
        shape::expect_kind("samples", samples, Kind::Float)?;
        shape::expect_finite("samples", samples)?;
        let edge = self.n_fft / 2;
        let length = samples.size()[1];
        if length <= edge {
            return Err(Error::input("samples", format!("expected more than {edge} samples, got {length}")));
        }
        let samples = samples.f_to_kind(Kind::Double)?;
        let padded = samples.f_unsqueeze(1)?.f_reflection_pad1d([edge, edge])?.f_squeeze_dim(1)?;
        let spectrum =
            padded.f_stft(self.n_fft, self.hop, self.n_fft, Some(&self.window), false, true, true, false)?;
        // Two planes added: a reduction over an axis of two would take most of the front end's time.
        let power = spectrum.f_real()?.f_square()?.f_add(&spectrum.f_imag()?.f_square()?)?;
        let mel = power.f_transpose(1, 2)?.f_matmul(&self.bank)?;
        Ok(mel.f_clamp_min(FLOOR)?.f_log10()?.f_mul_scalar(10.0)?.f_to_kind(Kind::Float)?)
    }
}

/// Weights `[bins, bands]` (f64).
///
/// Bands may lie above half the rate: the bank is made for a multiple of the rate, where every frequency of the spectrum stays what it is,
/// and then cut to the spectrum. Half of an odd rate is rounded down, as in the published front end.
pub(crate) fn bank(config: &FeatureConfig, bands: i64) -> Result<Tensor> {
    let (rate, n_fft) = (config.sample_rate_hz & !1, config.n_fft.max(0) as usize);
    let nyquist = f64::from(rate) / 2.0;
    let times = (0..4).map(|power| 1_u32 << power).find(|times| nyquist * f64::from(*times) >= config.max_hz);
    let times = times.unwrap_or(1);
    let weights = config.n_fft.saturating_mul(bands).saturating_mul(i64::from(times));
    if weights > MOST_WEIGHTS {
        return Err(Error::config("features.n_fft", format!("is too large for {bands} bands, got {n_fft}")));
    }
    let bank = MelBank::new(&MelConfig {
        sample_rate_hz: rate.saturating_mul(times),
        n_fft: n_fft * times as usize,
        bands: bands.max(0) as usize,
        min_hz: config.min_hz,
        max_hz: config.max_hz,
        scale: config.mel_scale,
        norm: config.mel_norm,
    })?;
    let weights = bank.weights.slice(ndarray::s![.., ..n_fft / 2 + 1]);
    Ok(tensor::from_array(weights.t(), Device::Cpu)?.f_to_kind(Kind::Double)?)
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;

    use super::*;

    fn noise(samples: i64) -> Tensor {
        CounterRng::new(5).normal(0, &[2, samples], Device::Cpu).unwrap().f_mul_scalar(0.1).unwrap()
    }

    /// The definition, written out in f64 for one frame: reflection, Hann, DFT, triangles.
    #[test]
    fn equals_a_slow_oracle() {
        let config = FeatureConfig {
            n_fft: 64,
            hop_samples: 24,
            sample_rate_hz: 8000,
            max_hz: 3900.0,
            ..FeatureConfig::default()
        };
        let mel = LogMel::new(&config, 6, Device::Cpu).unwrap();
        let samples = noise(200);
        let got = tensor::to_array(&mel.forward(&samples).unwrap()).unwrap();
        assert_eq!(got.shape(), [2, 200 / 24 + 1, 6]);
        let bank = MelBank::new(&MelConfig {
            sample_rate_hz: 8000,
            n_fft: 64,
            bands: 6,
            min_hz: 50.0,
            max_hz: 3900.0,
            scale: config.mel_scale,
            norm: config.mel_norm,
        })
        .unwrap()
        .weights;
        let values: Vec<f64> =
            tensor::to_vec(&samples).unwrap()[200..].iter().map(|v| f64::from(*v)).collect();
        let mirrored = |at: i64| {
            values[if at < 0 {
                -at
            } else if at >= 200 {
                398 - at
            } else {
                at
            } as usize]
        };
        for frame in [0, 3, 8] {
            for band in 0..6 {
                let mut sum = 0.0;
                for bin in 0..33 {
                    let (mut re, mut im) = (0.0, 0.0);
                    for n in 0..64 {
                        let hann = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / 64.0).cos();
                        let x = hann * mirrored(frame * 24 + n - 32);
                        let phase = std::f64::consts::TAU * (bin as i64 * n) as f64 / 64.0;
                        re += x * phase.cos();
                        im -= x * phase.sin();
                    }
                    sum += f64::from(bank[[band, bin]]) * (re * re + im * im);
                }
                let expected = 10.0 * sum.max(1e-10).log10();
                let actual = f64::from(got[[1, frame as usize, band]]);
                // Rounded to f32 at the end.
                assert!((expected - actual).abs() < 1e-5, "frame {frame} band {band}: {expected} {actual}");
            }
        }
    }

    /// The same frequencies, whatever the rate of which they are half.
    #[test]
    fn bands_above_the_spectrum_stay_empty() {
        let low = FeatureConfig {
            sample_rate_hz: 16_000,
            n_fft: 512,
            max_hz: 14_000.0,
            window_samples: 16_000,
            ..FeatureConfig::default()
        };
        let high = FeatureConfig { sample_rate_hz: 32_000, n_fft: 1024, ..low.clone() };
        let (low, high) = (bank(&low, 20).unwrap(), bank(&high, 20).unwrap());
        assert_eq!((low.size(), high.size()), (vec![257, 20], vec![513, 20]));
        assert_eq!(low, high.narrow(0, 0, 257));
        assert_eq!(low.select(1, 19).sum(Kind::Double).double_value(&[]), 0.0);
    }

    #[test]
    fn silence_is_the_floor() {
        let mel = LogMel::new(&FeatureConfig::default(), 64, Device::Cpu).unwrap();
        let silent = mel.forward(&Tensor::zeros([1, 4800], (Kind::Float, Device::Cpu))).unwrap();
        assert_eq!(silent.size(), [1, 11, 64]);
        assert_eq!((silent.min().double_value(&[]), silent.max().double_value(&[])), (-100.0, -100.0));
    }

    #[test]
    fn bad_input_is_an_error() {
        let mel = LogMel::new(&FeatureConfig::default(), 64, Device::Cpu).unwrap();
        assert!(mel.forward(&(noise(4800) * f64::NAN)).is_err());
        assert!(mel.forward(&noise(512)).is_err());
        assert!(mel.forward(&noise(4800).to_kind(Kind::Double)).is_err());
        assert!(mel.forward(&noise(4800).squeeze().flatten(0, -1)).is_err());
    }
}

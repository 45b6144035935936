//! Latents: the levels of a few bands, seen through a long window and narrow where pitch is told apart.

use musicot_core::dsp::{Padding, Stft};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error, Result};

use super::SpectralCodecConfig;
use super::magnitudes::normalise;

/// Frames of the long window per latent.
const FRAMES: i64 = 2;

/// The analysis from samples to levels, and what levels say of spectral bands.
#[derive(Debug)]
pub(super) struct Levels {
    stft: Stft,
    count: i64,
    floor: f64,
    /// Share of each bin of the long window in a latent band's mean power `[levels, bins]`.
    means: Tensor,
    /// Share of each latent band in a spectral band's width `[bands, levels]`.
    overlaps: Tensor,
}

impl Levels {
    pub fn new(config: &SpectralCodecConfig, device: Device) -> Result<Self> {
        let stft = Stft::new(config.latent_n_fft, config.hop() / FRAMES, Padding::Same, device)?;
        let bin_hz = f64::from(config.sample_rate_hz) / config.latent_n_fft as f64;
        let mut edges_hz: Vec<f64> = edges(config)?.into_iter().map(|edge| edge as f64 * bin_hz).collect();
        edges_hz.push(f64::from(config.sample_rate_hz) / 2.0);
        let latent_bands: Vec<(f64, f64)> = edges_hz.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let bands: Vec<(f64, f64)> =
            (0..config.bands()).map(|band| (config.edge_hz(band), config.edge_hz(band + 1))).collect();
        Ok(Self {
            stft,
            count: config.levels(),
            floor: config.floor,
            means: shares(&latent_bands, &bins(config.latent_n_fft, bin_hz))?.f_to_device(device)?,
            overlaps: shares(&bands, &latent_bands)?.f_to_device(device)?,
        })
    }

    /// Samples `[batch, samples]`, whole latents of them, to levels `[batch, levels, latents]`.
    pub fn analyse(&self, samples: &Tensor) -> Result<Tensor> {
        let power = power(&self.stft, samples)?;
        let (batch, bins, frames) = power.size3()?;
        let power = power.f_reshape([batch, bins, frames / FRAMES, FRAMES])?;
        let power = power.f_mean_dim([-1].as_slice(), false, Kind::Float)?;
        normalise(&self.means.f_matmul(&power)?.f_sqrt()?, self.floor)
    }

    /// What levels alone say: latents `[batch, latent_dim, any]`, which begin with them, to levels of spectral bands `[batch, bands, any]`.
    pub fn spread(&self, latents: &Tensor) -> Result<Tensor> {
        Ok(self.overlaps.f_matmul(&latents.f_narrow(1, 0, self.count)?)?)
    }
}

/// Power of samples `[batch, samples]` in each bin and frame `[batch, bins, frames]`; 1 is a full-scale sine's.
pub(super) fn power(stft: &Stft, samples: &Tensor) -> Result<Tensor> {
    // A full-scale sine has this magnitude under a Hann window.
    let full_scale = stft.n_fft() as f64 / 4.0;
    Ok(stft.forward(samples)?.f_abs()?.f_div_scalar(full_scale)?.f_square()?)
}

/// The intervals of a transform's bins, in hertz.
pub(super) fn bins(n_fft: i64, bin_hz: f64) -> Vec<(f64, f64)> {
    (0..=n_fft / 2).map(|bin| (bin as f64 * bin_hz, (bin + 1) as f64 * bin_hz)).collect()
}

/// How much of each interval of `of` (in hertz) lies in each of `into`, as shares of the sum per row `[into, of]`.
pub(super) fn shares(into: &[(f64, f64)], of: &[(f64, f64)]) -> Result<Tensor> {
    let mut rows = Vec::with_capacity(into.len() * of.len());
    for (low, high) in into {
        let row: Vec<f64> = of.iter().map(|(from, to)| (to.min(*high) - from.max(*low)).max(0.0)).collect();
        let sum: f64 = row.iter().sum();
        rows.extend(row.into_iter().map(|overlap| (overlap / sum) as f32));
    }
    Ok(Tensor::f_from_slice(&rows)?.f_reshape([into.len() as i64, of.len() as i64])?)
}

/// The first bin of each latent band, rising from 0.
fn edges(config: &SpectralCodecConfig) -> Result<Vec<i64>> {
    let (ratio, count) = (2_f64.powf(1.0 / config.bands_per_octave), config.levels() as usize);
    let bin_hz = f64::from(config.sample_rate_hz) / config.latent_n_fft as f64;
    // Rounding must not move an edge that is on a bin.
    let at = |hz: f64| (hz / bin_hz - 1e-9).ceil() as i64;
    let mut edges = vec![0];
    let mut hz = bin_hz;
    while edges.len() < count && hz < config.pitch_hz {
        let next = edges.last().map_or(0, |last| last + 1);
        edges.push(at(hz).max(next));
        hz = (hz * ratio).max((next + 1) as f64 * bin_hz);
    }
    let left = count - edges.len();
    for step in 0..left {
        let share = if left == 1 { 1.0 } else { step as f64 / (left - 1) as f64 };
        let hz = config.pitch_hz * (config.top_hz / config.pitch_hz).powf(share);
        let next = edges.last().map_or(0, |last| last + 1);
        edges.push(at(hz).max(next));
    }
    let reaches_top = left > 0 || count == 1;
    if !reaches_top || edges.last().is_some_and(|last| *last >= config.latent_n_fft / 2) {
        let (per_octave, pitch) = (config.bands_per_octave, config.pitch_hz);
        let reason = format!("{count} bands do not fit {per_octave} per octave up to {pitch} Hz");
        return Err(Error::config("latent_dim", reason));
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn bands_are_bins_below_then_half_semitones_then_wide() {
        let config = SpectralCodecConfig::default();
        let edges = edges(&config).unwrap();
        assert_eq!(edges.len(), 128);
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "{edges:?}");
        assert_eq!(edges[..20], (0..20).collect::<Vec<i64>>());
        let hz: Vec<f64> = edges.iter().map(|edge| *edge as f64 * 48_000.0 / 4096.0).collect();
        for pair in hz.windows(2).filter(|pair| pair[0] > 1000.0 && pair[1] < 3900.0) {
            let semitones = 12.0 * (pair[1] / pair[0]).log2();
            assert!((0.3..0.75).contains(&semitones), "{pair:?}: {semitones}");
        }
        assert!((hz[127] - 16_000.0).abs() < 100.0, "{}", hz[127]);
    }

    /// A sine raises the band that it is in, to its level: mean power over the band's bins of which a Hann window touches three.
    #[test]
    fn a_sine_is_where_it_should_be() {
        let config = SpectralCodecConfig::default();
        let levels = Levels::new(&config, Device::Cpu).unwrap();
        let t = Tensor::arange(48_000, (Kind::Float, Device::Cpu)) / 48_000.0;
        // The middle of bin 20, which is a band.
        let sine = (t * (std::f64::consts::TAU * 20.0 * 48_000.0 / 4096.0)).sin().unsqueeze(0);
        let latents = levels.analyse(&sine).unwrap();
        assert_eq!(latents.size(), [1, 128, 25]);
        let frame = latents.select(2, 12);
        assert_eq!(frame.argmax(1, false).int64_value(&[0]), 20);
        let full = normalise(&Tensor::from(1.0_f32), config.floor).unwrap().double_value(&[]);
        assert!((frame.double_value(&[0, 20]) - full).abs() < 0.01);
        // Spread over spectral bands, the greatest is where the sine is.
        let band = levels.spread(&frame.unsqueeze(2)).unwrap().argmax(1, false).int64_value(&[0, 0]);
        let (low, high) = (config.edge_hz(band), config.edge_hz(band + 1));
        assert!((low..=high).contains(&(20.0 * 48_000.0 / 4096.0)), "{low} .. {high}");
    }
}

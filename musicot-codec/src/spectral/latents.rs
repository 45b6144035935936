//! Latents: the levels of a few bands, narrow where pitch is told apart.

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Error, Result};

use super::SpectralCodecConfig;

/// Which spectral bands make which latent band.
#[derive(Debug)]
pub(super) struct LatentBands {
    /// Share of a spectral band's power in its latent band's mean `[latent_dim, bands]`.
    means: Tensor,
    /// Latent band of every spectral band `[bands]` (i64).
    owners: Tensor,
}

impl LatentBands {
    pub fn new(config: &SpectralCodecConfig, device: Device) -> Result<Self> {
        let (edges, bands) = (edges(config)?, config.bands());
        let owner = |band: i64| edges.partition_point(|edge| *edge <= band) as i64 - 1;
        let owners: Vec<i64> = (0..bands).map(owner).collect();
        let bins: Vec<f32> = (0..bands).map(|band| config.bins_of(band) as f32).collect();
        let owners = Tensor::f_from_slice(&owners)?.f_to_device(device)?;
        let bins = Tensor::f_from_slice(&bins)?.f_to_device(device)?;
        let index = Tensor::f_arange(config.latent_dim, (Kind::Int64, device))?.f_unsqueeze(1)?;
        let bins = index.f_eq_tensor(&owners)?.f_to_kind(Kind::Float)?.f_mul(&bins)?;
        let means = bins.f_div(&bins.f_sum_dim_intlist([1].as_slice(), true, Kind::Float)?)?;
        Ok(Self { means, owners })
    }

    /// Power `[batch, bands, latents]` to mean power `[batch, latent_dim, latents]`.
    pub fn average(&self, power: &Tensor) -> Result<Tensor> {
        Ok(self.means.f_matmul(power)?)
    }

    /// A value per latent band `[batch, latent_dim, latents]` to one per spectral band `[batch, bands, latents]`.
    pub fn spread(&self, latents: &Tensor) -> Result<Tensor> {
        Ok(latents.f_index_select(1, &self.owners)?)
    }
}

/// The first spectral band of each latent band, rising from 0.
fn edges(config: &SpectralCodecConfig) -> Result<Vec<i64>> {
    let (ratio, count) = (2_f64.powf(1.0 / config.bands_per_octave), config.latent_dim as usize);
    let at = |hz: f64| (0..config.bands()).find(|band| config.edge_hz(*band) >= hz).unwrap_or(config.bands());
    let mut edges = vec![0];
    let mut hz = config.edge_hz(1);
    while edges.len() < count && hz < config.pitch_hz {
        let next = edges.last().map_or(0, |last| last + 1);
        edges.push(at(hz).max(next));
        hz = (hz * ratio).max(config.edge_hz(next + 1));
    }
    let left = count - edges.len();
    for step in 1..=left {
        let share = if left == 1 { 1.0 } else { (step - 1) as f64 / (left - 1) as f64 };
        let hz = config.pitch_hz * (config.top_hz / config.pitch_hz).powf(share);
        let next = edges.last().map_or(0, |last| last + 1);
        edges.push(at(hz).max(next));
    }
    let reaches_top = left > 0 || count == 1;
    if !reaches_top || edges.last().is_some_and(|last| *last >= config.bands()) {
        let reason = format!(
            "{count} bands do not fit {} per octave up to {} Hz",
            config.bands_per_octave, config.pitch_hz
        );
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
        let hz: Vec<f64> = edges.iter().map(|edge| config.edge_hz(*edge)).collect();
        for pair in hz.windows(2).filter(|pair| pair[0] > 1000.0 && pair[1] < 3900.0) {
            let semitones = 12.0 * (pair[1] / pair[0]).log2();
            assert!((0.3..0.75).contains(&semitones), "{pair:?}: {semitones}");
        }
        assert!((hz[127] - 16_000.0).abs() < 100.0, "{}", hz[127]);
    }

    /// Equal power everywhere is equal power in every latent band, whatever its width.
    #[test]
    fn means_are_means() {
        let config = SpectralCodecConfig::default();
        let bands = LatentBands::new(&config, Device::Cpu).unwrap();
        let power = Tensor::full([1, config.bands(), 2], 3.0, (Kind::Float, Device::Cpu));
        let means = bands.average(&power).unwrap();
        assert_eq!(means.size(), [1, 128, 2]);
        assert!((means - 3.0).abs().max().double_value(&[]) < 1e-5);
    }
}

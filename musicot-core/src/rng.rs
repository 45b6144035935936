//! Counter-based random numbers: every draw is a pure function of (seed, stage, item, position).
//!
//! The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). There is no state to
//! carry, so draws do not depend on batch size, on thread count, or on what else runs.

use tch::{Device, Tensor};

use crate::{Error, Result};

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// A stream of random numbers for one (seed, stage, item); see [`CounterRng::at`].
///
/// ```
/// use musicot_core::CounterRng;
/// let song = CounterRng::new(7).stage("plan").item(0);
/// assert_eq!(song.at(3).uniform(), song.at(3).uniform());
/// assert_ne!(song.at(3).uniform(), song.at(4).uniform());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterRng {
    key: u64,
}

impl CounterRng {
    /// The root stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { key: mix(seed) }
    }

    /// The stream of a named stage or purpose within this one.
    pub fn stage(self, name: &str) -> Self {
        // FNV-1a, 64 bits.
        let hash = name
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
        Self { key: mix(self.key ^ hash) }
    }

    /// The stream of a numbered item (a song of a batch, an epoch, a parameter) within this one.
    pub fn item(self, index: u64) -> Self {
        Self { key: mix(self.key.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_add(index)) }
    }

    /// The draws of one position (a token, a solver step).
    pub fn at(self, position: u64) -> Draws {
        Draws { key: self.key, position, block: 0, buffer: [0; 4], used: 4 }
    }

    /// Standard normal values of the given shape for one position, drawn on the host in f32.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a shape that memory cannot hold; libtorch could not allocate.
    pub fn normal(self, position: u64, shape: &[i64], device: Device) -> Result<Tensor> {
        let mut draws = self.at(position);
        fill(shape, device, || draws.normal())
    }

    /// Uniform values in `[0, 1)` of the given shape for one position, drawn on the host in f32.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a shape that memory cannot hold; libtorch could not allocate.
    pub fn uniform(self, position: u64, shape: &[i64], device: Device) -> Result<Tensor> {
        let mut draws = self.at(position);
        fill(shape, device, || draws.uniform())
    }

    /// A permutation of `0..len` for one position.
    pub fn permutation(self, position: u64, len: usize) -> Vec<usize> {
        let mut draws = self.at(position);
        let mut order: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            order.swap(last, draws.below(last + 1));
        }
        order
    }
}

/// The draws of one position, in order.
#[derive(Debug, Clone)]
pub struct Draws {
    key: u64,
    position: u64,
    block: u64,
    buffer: [u32; 4],
    used: usize,
}

impl Draws {
    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.used == 4 {
            self.buffer = philox(self.key, self.block, self.position);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.buffer[self.used - 1]
    }

    /// Uniform in `[0, 1)`, 24 bits of resolution.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `[0, 1)`, 53 bits of resolution.
    pub fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.bits());
        let low = u64::from(self.bits());
        (((high << 32) | low) >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Standard normal (Box-Muller; one value per pair of uniforms keeps draws aligned with positions).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform_f64()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * f64::from(self.uniform())).cos()) as f32
    }

    /// Uniform in `0..end`; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.uniform_f64() * end as f64) as usize
    }
}

fn fill(shape: &[i64], device: Device, mut draw: impl FnMut() -> f32) -> Result<Tensor> {
    let count = crate::shape::count("random values", shape)?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|e| Error::input("random values", format!("{shape:?}: {e}")))?;
    values.extend((0..count).map(|_| draw()));
    Ok(Tensor::f_from_slice(&values)?.f_reshape(shape)?.f_to_device(device)?)
}

/// The finaliser of SplitMix64, a bijection that scatters nearby keys.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn philox(key: u64, block: u64, position: u64) -> [u32; 4] {
    let mut key = [key as u32, (key >> 32) as u32];
    let mut counter = [block as u32, (block >> 32) as u32, position as u32, (position >> 32) as u32];
    for _ in 0..10 {
        let left = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let right = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (right >> 32) as u32 ^ counter[1] ^ key[0],
            right as u32,
            (left >> 32) as u32 ^ counter[3] ^ key[1],
            left as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers from the Random123 distribution (kat_vectors, philox4x32 10).
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox(0, 0, 0), [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
        assert_eq!(
            philox(u64::MAX, u64::MAX, u64::MAX),
            [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]
        );
    }

    #[test]
    fn uniforms_fill_their_interval_evenly() {
        let mut draws = CounterRng::new(5).item(2).at(9);
        let mut bins = [0_u32; 16];
        for _ in 0..160_000 {
            let value = draws.uniform();
            assert!((0.0..1.0).contains(&value));
            bins[(value * 16.0) as usize] += 1;
        }
        // Five standard deviations of a bin's count, whose mean is 10 000.
        assert!(bins.iter().all(|b| b.abs_diff(10_000) < 485), "{bins:?}");
        assert!((0..1000).all(|_| draws.below(3) < 3));
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        for shape in [[-1_i64, 3], [i64::MAX, i64::MAX], [1 << 40, 1 << 20]] {
            assert!(CounterRng::new(1).normal(0, &shape, Device::Cpu).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn moments_of_the_normal() {
        let rng = CounterRng::new(1).stage("test");
        let mut draws = rng.at(0);
        let values: Vec<f64> = (0..200_000).map(|_| f64::from(draws.normal())).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        // Four standard errors of the mean and of the variance of 200 000 draws.
        assert!(mean.abs() < 4.0 / (200_000_f64).sqrt(), "mean {mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / 200_000_f64).sqrt(), "variance {variance}");
    }

    #[test]
    fn permutation_holds_each_index_once() {
        let mut order = CounterRng::new(3).permutation(0, 1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}

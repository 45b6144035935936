//! From samples to integers.

use musicot_core::rng::Draws;

/// Rounds to integers of a width, with or without dither, and counts what does not fit.
#[derive(Debug)]
pub(super) struct Quantizer {
    scale: f64,
    pub(super) clipped: u64,
}

impl Quantizer {
    pub(super) fn new(bits: u32) -> Self {
        Self { scale: f64::from(1_u32 << (bits - 1)), clipped: 0 }
    }

    /// The integer nearest to a finite sample.
    pub(super) fn quantize(&mut self, sample: f32, dither: Option<&mut Draws>) -> i32 {
        self.clipped += u64::from(sample.abs() > 1.0);
        let noise = dither.map_or(0.0, |draws| draws.uniform_f64() - draws.uniform_f64());
        let value = (f64::from(sample) * self.scale + noise).round();
        value.clamp(-self.scale, self.scale - 1.0) as i32
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::CounterRng;

    use super::*;

    #[test]
    fn integers_come_back_unchanged() {
        let mut quantizer = Quantizer::new(16);
        for integer in i16::MIN..=i16::MAX {
            let sample = f32::from(integer) / 32_768.0;
            assert_eq!(quantizer.quantize(sample, None), i32::from(integer));
        }
        assert_eq!(quantizer.clipped, 0);
    }

    #[test]
    fn what_is_beyond_full_scale_saturates_and_counts() {
        let mut quantizer = Quantizer::new(24);
        assert_eq!(quantizer.quantize(1.0, None), (1 << 23) - 1);
        assert_eq!(quantizer.quantize(-1.0, None), -(1 << 23));
        assert_eq!(quantizer.clipped, 0);
        assert_eq!(quantizer.quantize(1.01, None), (1 << 23) - 1);
        assert_eq!(quantizer.quantize(f32::MIN, None), -(1 << 23));
        assert_eq!(quantizer.clipped, 2);
    }

    /// Triangular dither makes the mean error of any constant zero and its variance a quarter step squared.
    #[test]
    fn dither_decouples_the_error_from_the_signal() {
        let rng = CounterRng::new(5).stage("dither");
        for fraction in [0.0, 0.25, 0.5] {
            let mut quantizer = Quantizer::new(16);
            let target = 100.0 + fraction;
            let count = 200_000;
            let errors: Vec<f64> = (0..count)
                .map(|at| {
                    let sample = (target / 32_768.0) as f32;
                    f64::from(quantizer.quantize(sample, Some(&mut rng.at(at)))) - target
                })
                .collect();
            let mean = errors.iter().sum::<f64>() / count as f64;
            let variance = errors.iter().map(|error| error * error).sum::<f64>() / count as f64;
            // Five standard errors: of a mean with deviation 0.5, and of a variance of 0.25 with fourth moment below 0.3.
            assert!(mean.abs() < 5.0 * 0.5 / (count as f64).sqrt(), "mean {mean}");
            assert!((variance - 0.25).abs() < 5.0 * (0.3 / count as f64).sqrt(), "variance {variance}");
        }
    }
}

//! Rotary positions of the decoder: the scalings of published checkpoints, and where a row's positions start.
//!
//! Frequencies are computed in f32, operation for operation as in transformers, so that far positions are turned by the same angles.

use musicot_core::nn::{Rope, RopeTable};
use musicot_core::tch::{Device, Tensor};
use musicot_core::tensor;
use serde::{Deserialize, Serialize};

use super::LlamaConfig;
use crate::{Error, Result};

/// How rotary frequencies are changed for sequences longer than those of the first training, in the words of Hugging Face's `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Not at all.
    #[default]
    Default,
    /// Every frequency is divided by the factor (position interpolation; Chen et al., 2023).
    Linear {
        /// Above 0, at most 10^6.
        factor: f64,
    },
    /// The base grows with the length of the sequence once that is above `max_position_embeddings` ("NTK-aware" scaling). All positions of
    /// one pass are turned alike; positions in a cache stay as they were turned when the sequence was shorter, as in transformers.
    Dynamic {
        /// Above 0, at most 10^6.
        factor: f64,
    },
    /// LLaMA 3.1: low frequencies are divided by the factor, high ones kept, those between interpolated.
    Llama3 {
        /// Above 0, at most 10^6.
        factor: f64,
        /// Wavelengths above `original_max_position_embeddings` over this are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position_embeddings` over this are kept; above `low_freq_factor`.
        high_freq_factor: f64,
        /// Positions of the first training.
        original_max_position_embeddings: i64,
    },
}

impl RopeScaling {
    /// For serde, which leaves the key out of files.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::Default
    }

    /// Whether frequencies depend on the length of the sequence.
    pub(crate) fn is_dynamic(&self) -> bool {
        matches!(self, Self::Dynamic { .. })
    }

    /// Checks the ranges for heads of width `head`.
    pub(super) fn validate(&self, head: i64) -> Result<()> {
        match *self {
            Self::Default => Ok(()),
            Self::Linear { factor } => expect_factor("factor", factor),
            Self::Dynamic { factor } => {
                if head <= 2 {
                    let reason = format!("needs heads wider than 2 for its exponent, got {head}");
                    return Err(Error::config("rope_scaling", format!("dynamic {reason}")));
                }
                expect_factor("factor", factor)
            }
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings: positions,
            } => {
                expect_factor("factor", factor)?;
                expect_factor("low_freq_factor", low_freq_factor)?;
                expect_factor("high_freq_factor", high_freq_factor)?;
                if high_freq_factor <= low_freq_factor {
                    let reason = format!("expected more than {low_freq_factor}, got {high_freq_factor}");
                    return Err(Error::config("rope_scaling.high_freq_factor", reason));
                }
                if !(1..=1 << 24).contains(&positions) {
                    let reason = format!("expected 1 to 2^24, got {positions}");
                    return Err(Error::config("rope_scaling.original_max_position_embeddings", reason));
                }
                Ok(())
            }
        }
    }
}

fn expect_factor(name: &str, value: f64) -> Result<()> {
    if value > 0.0 && value <= 1e6 {
        return Ok(());
    }
    let reason = format!("expected a number above 0 and at most 10^6, got {value}");
    Err(Error::config(format!("rope_scaling.{name}"), reason))
}

/// The rotations of one decoder.
#[derive(Debug)]
pub(super) struct Rotary {
    /// Up to `max_positions` where the scaling is dynamic, always elsewhere.
    rope: Rope,
    /// Of `rope`.
    frequencies: Vec<f32>,
    scaling: RopeScaling,
    dims: i64,
    theta: f32,
    max_positions: i64,
    device: Device,
}

impl Rotary {
    pub(super) fn new(config: &LlamaConfig, device: Device) -> Result<Self> {
        let (dims, theta) = (config.head_size(), config.rope_theta as f32);
        let mut frequencies = inverse_powers(&Tensor::f_from_slice(&[theta])?, dims)?;
        match config.rope_scaling {
            RopeScaling::Linear { factor } => {
                frequencies.iter_mut().for_each(|frequency| *frequency /= factor as f32);
            }
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let bands = Bands {
                    factor: factor as f32,
                    low: low_freq_factor,
                    high: high_freq_factor,
                    positions: original_max_position_embeddings as f64,
                };
                frequencies.iter_mut().for_each(|frequency| *frequency = bands.scale(*frequency));
            }
            RopeScaling::Default | RopeScaling::Dynamic { .. } => {}
        }
        Ok(Self {
            rope: Rope::from_frequencies(&frequencies, device)?,
            frequencies,
            scaling: config.rope_scaling,
            dims,
            theta,
            max_positions: config.max_position_embeddings,
            device,
        })
    }

    /// The table of slots `start..start + count`, the last ones of the sequence so far, for rows whose first `padding[row]` slots stand
    /// before position 0.
    pub(super) fn slots(&self, start: i64, count: i64, padding: &[i64]) -> Result<RopeTable> {
        let length = start.saturating_add(count) - padding.iter().min().copied().unwrap_or(0);
        let grown = match self.scaling {
            RopeScaling::Dynamic { factor } if length > self.max_positions => {
                Some(self.grown(factor, length)?)
            }
            _ => None,
        };
        let rope = grown.as_ref().unwrap_or(&self.rope);
        if padding.iter().all(|pad| *pad == 0) {
            return Ok(rope.range(start, count)?);
        }
        let row = |pad: i64| (start..start.saturating_add(count)).map(move |slot| (slot - pad).max(0));
        let positions: Vec<i64> = padding.iter().copied().flat_map(row).collect();
        let positions = Tensor::f_from_slice(&positions)?.f_reshape([padding.len() as i64, count])?;
        Ok(rope.table(&positions.f_to_device(self.device)?)?)
    }

    /// Angles in radians per position, which holds at any length unless the scaling is dynamic.
    pub(super) fn frequencies(&self) -> &[f32] {
        &self.frequencies
    }

    /// The table that turns `count` positions by `shift` each.
    pub(super) fn shift(&self, count: i64, shift: i64) -> Result<RopeTable> {
        let same = Tensor::f_from_slice(&[shift])?.f_expand([count], false)?.f_to_device(self.device)?;
        Ok(self.rope.table(&same)?)
    }

    /// The rotations of a dynamic scaling for sequences of `length` positions.
    fn grown(&self, factor: f64, length: i64) -> Result<Rope> {
        let ratio = factor as f32 * length as f32 / self.max_positions as f32 - (factor - 1.0) as f32;
        let exponent = self.dims as f64 / (self.dims - 2) as f64;
        // Not by `f32::powf`, which may round otherwise than libtorch.
        let growth = Tensor::f_from_slice(&[ratio])?.f_pow_tensor_scalar(exponent)?;
        let base = Tensor::f_from_slice(&[self.theta])?.f_mul(&growth)?;
        Ok(Rope::from_frequencies(&inverse_powers(&base, self.dims)?, self.device)?)
    }
}

/// `base^(-2i / dims)` for `i` in `0..dims / 2`; `base [1]` in f32.
fn inverse_powers(base: &Tensor, dims: i64) -> Result<Vec<f32>> {
    let exponents: Vec<f32> = (0..dims / 2).map(|i| (2 * i) as f32 / dims as f32).collect();
    let powers = tensor::to_vec(&base.f_pow(&Tensor::f_from_slice(&exponents)?)?)?;
    Ok(powers.into_iter().map(f32::recip).collect())
}

/// The three bands of LLaMA 3.1.
struct Bands {
    factor: f32,
    low: f64,
    high: f64,
    positions: f64,
}

impl Bands {
    fn scale(&self, frequency: f32) -> f32 {
        let wavelength = frequency.recip() * std::f64::consts::TAU as f32;
        if wavelength > (self.positions / self.low) as f32 {
            return frequency / self.factor;
        }
        if wavelength < (self.positions / self.high) as f32 {
            return frequency;
        }
        let turns = wavelength.recip() * self.positions as f32;
        let smooth = (turns - self.low as f32) / (self.high - self.low) as f32;
        (1.0 - smooth) * frequency / self.factor + smooth * frequency
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::tch::Kind;
    use proptest::prelude::*;

    use super::*;

    /// The published numbers of LLaMA 3.1.
    const PUBLISHED: RopeScaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };

    fn rotary(rope_scaling: RopeScaling, theta: f64, head: i64, positions: i64) -> Rotary {
        let config = LlamaConfig {
            head_dim: Some(head),
            rope_theta: theta,
            rope_scaling,
            max_position_embeddings: positions,
            ..Default::default()
        };
        config.validate().unwrap();
        Rotary::new(&config, Device::Cpu).unwrap()
    }

    /// Angles per position, read off how a slot turns unit vectors.
    fn frequencies(rotary: &Rotary, slot: i64) -> Vec<f64> {
        let half = rotary.dims / 2;
        let options = (Kind::Float, Device::Cpu);
        let unit = Tensor::cat(&[Tensor::ones([1, half], options), Tensor::zeros([1, half], options)], -1);
        let turned = rotary.slots(slot, 1, &[]).unwrap().apply(&unit).unwrap().to_kind(Kind::Double);
        let angles = turned.narrow(1, half, half).atan2(&turned.narrow(1, 0, half));
        Vec::<f64>::try_from(angles.reshape([-1])).unwrap()
    }

    fn expect_close(actual: &[f64], expected: &[f64]) {
        for (a, e) in actual.iter().zip(expected) {
            // Two roundings of f32, and those of a cosine and a sine.
            assert!((a - e).abs() < 1e-6 * e + 1e-7, "{a} for {e}");
        }
        assert_eq!(actual.len(), expected.len());
    }

    fn plain(theta: f64, head: i64) -> Vec<f64> {
        (0..head / 2).map(|i| theta.powf(-2.0 * i as f64 / head as f64)).collect()
    }

    #[test]
    fn linear_divides_and_default_keeps() {
        expect_close(&frequencies(&rotary(RopeScaling::Default, 1e4, 16, 8), 1), &plain(1e4, 16));
        let divided: Vec<f64> = plain(1e4, 16).iter().map(|f| f / 4.0).collect();
        expect_close(&frequencies(&rotary(RopeScaling::Linear { factor: 4.0 }, 1e4, 16, 8), 1), &divided);
    }

    #[test]
    fn llama3_keeps_the_high_and_divides_the_low() {
        let expected: Vec<f64> = plain(5e5, 128)
            .into_iter()
            .map(|f| {
                let turns = 8192.0 * f / std::f64::consts::TAU;
                let smooth = ((turns - 1.0) / 3.0).clamp(0.0, 1.0);
                (1.0 - smooth) * f / 8.0 + smooth * f
            })
            .collect();
        let between = expected.iter().zip(plain(5e5, 128)).filter(|(e, f)| **e < *f && **e > f / 8.0).count();
        assert!(between > 3, "the middle band shows");
        expect_close(&frequencies(&rotary(PUBLISHED, 5e5, 128, 131_072), 1), &expected);
    }

    #[test]
    fn dynamic_grows_with_the_longest_row_only_beyond_its_training() {
        let rotary = rotary(RopeScaling::Dynamic { factor: 2.0 }, 1e4, 8, 32);
        expect_close(&frequencies(&rotary, 1), &plain(1e4, 8));
        let shape = [2, 1, 40, 8];
        let x = Tensor::ones(shape, (Kind::Float, Device::Cpu));
        let turn = |padding: &[i64]| rotary.slots(0, 40, padding).unwrap().apply(&x).unwrap();
        // 40 slots, of which 32 at most are positions: as if nothing were scaled.
        let short = turn(&[8, 20]);
        let base =
            Rope::from_frequencies(&inverse_powers(&Tensor::from_slice(&[1e4_f32]), 8).unwrap(), Device::Cpu);
        let expected = base.unwrap().range(0, 32).unwrap().apply(&x.narrow(2, 0, 32)).unwrap();
        assert_eq!(short.get(0).narrow(1, 8, 32), expected.get(0));
        // A row without padding makes the sequence longer, for the other row too.
        let base: f64 = 1e4 * (2.0 * 40.0 / 32.0 - 1.0_f64).powf(8.0 / 6.0);
        let grown: Vec<f32> = plain(base, 8).into_iter().map(|f| f as f32).collect();
        let expected =
            Rope::from_frequencies(&grown, Device::Cpu).unwrap().range(0, 40).unwrap().apply(&x).unwrap();
        let long = turn(&[0, 20]);
        let differs = |a: Tensor, b: Tensor| (a - b).abs().max().double_value(&[]);
        // Angles up to 40 in f32.
        assert!(differs(long.get(0), expected.get(0)) < 1e-5);
        assert!(differs(long.get(1).narrow(1, 20, 20), expected.get(1).narrow(1, 0, 20)) < 1e-5);
        assert!(differs(long.get(1).narrow(1, 20, 20), short.get(1).narrow(1, 20, 20)) > 1e-2);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let llama3 = |factor, low_freq_factor, high_freq_factor, original_max_position_embeddings| {
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            }
        };
        for (scaling, culprit) in [
            (RopeScaling::Linear { factor: 0.0 }, "`rope_scaling.factor`"),
            (RopeScaling::Dynamic { factor: f64::NAN }, "`rope_scaling.factor`"),
            (llama3(-1.0, 1.0, 4.0, 8), "`rope_scaling.factor`"),
            (llama3(8.0, 0.0, 4.0, 8), "`rope_scaling.low_freq_factor`"),
            (llama3(8.0, 1.0, f64::INFINITY, 8), "`rope_scaling.high_freq_factor`"),
            (llama3(8.0, 4.0, 4.0, 8), "`rope_scaling.high_freq_factor`"),
            (llama3(8.0, 1.0, 4.0, 0), "`rope_scaling.original_max_position_embeddings`"),
        ] {
            let message = scaling.validate(8).unwrap_err().to_string();
            assert!(message.contains(culprit), "{message}");
        }
        assert!(RopeScaling::Dynamic { factor: 2.0 }.validate(2).is_err());
    }

    proptest! {
        /// Valid settings never fail later: whatever they are, the frequencies are numbers.
        #[test]
        fn valid_settings_have_finite_rotations(
            factor in 1e-3_f64..1e6, low in 1e-3_f64..100.0, more in 1e-3_f64..100.0, positions in 1_i64..1 << 24,
            half in 2_i64..40, theta in 1e-3_f64..1e9, slot in 0_i64..1 << 24,
        ) {
            let llama3 = RopeScaling::Llama3 {
                factor, low_freq_factor: low, high_freq_factor: low + more, original_max_position_embeddings: positions,
            };
            for scaling in [RopeScaling::Linear { factor }, RopeScaling::Dynamic { factor }, llama3] {
                let angles = frequencies(&rotary(scaling, theta, 2 * half, positions), slot);
                prop_assert!(angles.iter().all(|angle| angle.is_finite()));
            }
        }
    }
}

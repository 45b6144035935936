//! Arithmetic on eight values at once: plain loops over arrays, which become one instruction each where there is one.

use crate::isa::MulAdd;
use crate::portable::sum_lanes;

/// Values of a vector.
pub(crate) const LANES: usize = 8;

pub(crate) type Eight = [f32; LANES];

/// `sums + factor * x`.
#[inline(always)]
pub(crate) fn add_scaled<M: MulAdd>(sums: &mut Eight, factor: f32, x: &Eight) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum = M::mul_add(factor, *x, *sum);
    }
}

/// The sum of `term` over some values: eight chains from the first value on, and the last values one by one.
#[inline(always)]
pub(crate) fn sum_of<M: MulAdd>(x: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (eights, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for eight in eights {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum = term(*x, *sum);
        }
    }
    rest.iter().fold(sum_lanes(sums), |sum, x| term(*x, sum))
}

/// `e^x` to 2e-7 of its value, from -87 to 88; beyond, the value at the nearer of the two. What is no number stays none.
///
/// Without branches and tables, so that eight are computed at once: `x = n ln 2 + r`, a polynomial for `e^r` (Cephes), and n into the exponent.
#[inline(always)]
pub(crate) fn exp<M: MulAdd>(x: f32) -> f32 {
    // Comparisons that are false for what is no number.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // Adding 1.5 * 2^23 rounds to an integer, which is then found in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = M::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    // ln 2 in two parts, of which the first has few bits: its product with n is exact.
    let r = M::mul_add(n, -0.693_359_4, x);
    let r = M::mul_add(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = M::mul_add(p, r, coefficient);
    }
    let power = M::mul_add(p, r * r, r) + 1.0;
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    power * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Fused, Separate};

    #[test]
    fn exponentials_are_those_of_f64() {
        for step in -87_000..=88_000 {
            let x = step as f32 / 1000.0;
            let expected = f64::from(x).exp();
            for found in [exp::<Fused>(x), exp::<Separate>(x)] {
                // About three roundings of f32 and what the polynomial leaves.
                assert!((f64::from(found) / expected - 1.0).abs() < 2e-7, "e^{x}: {found}");
            }
        }
        assert_eq!(exp::<Fused>(0.0), 1.0);
        assert!(exp::<Fused>(f32::NAN).is_nan());
        assert!(exp::<Fused>(f32::NEG_INFINITY) < 2e-38 && exp::<Fused>(f32::INFINITY) > 1e38);
    }
}

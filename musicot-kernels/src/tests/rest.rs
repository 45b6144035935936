//! Norm, gate, rotation.

use proptest::prelude::*;

use super::Draws;
use crate::{Error, Isa, Turn, rms_norm, silu_times};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn norms_agree(rows in 1_usize..4, width in 1_usize..300, seed in any::<u64>()) {
        let mut draws = Draws::new(seed);
        let (x, weight) = (draws.vector(rows * width), draws.vector(width));
        for isa in Isa::available() {
            let mut y = vec![0.0; x.len()];
            rms_norm(isa, &x, &weight, 1e-5, &mut y).unwrap();
            for (x, y) in x.chunks(width).zip(y.chunks(width)) {
                let square = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                for ((x, weight), y) in x.iter().zip(&weight).zip(y) {
                    let expected = f64::from(*x) / (square + 1e-5).sqrt() * f64::from(*weight);
                    // The roundings of a sum of width / 8 terms, halved by the root, and four more.
                    let bound = (width as f64 / 16.0 + 8.0) * f64::from(f32::EPSILON) * expected.abs();
                    prop_assert!((f64::from(*y) - expected).abs() <= bound, "{y} for {expected}");
                }
            }
        }
    }

    #[test]
    fn gates_agree(rows in 1_usize..4, width in 1_usize..50, size in 0.1_f32..40.0, seed in any::<u64>()) {
        let x: Vec<f32> = Draws::new(seed).vector(2 * rows * width).into_iter().map(|x| x * size).collect();
        for isa in Isa::available() {
            let mut y = vec![0.0; rows * width];
            silu_times(isa, &x, width, &mut y).unwrap();
            for (x, y) in x.chunks(2 * width).zip(y.chunks(width)) {
                for ((gate, up), y) in x.iter().zip(&x[width..]).zip(y) {
                    let (gate, up) = (f64::from(*gate), f64::from(*up));
                    let expected = gate / (1.0 + (-gate).exp()) * up;
                    // That of the exponential and three roundings; at the end of its range next to nothing.
                    prop_assert!((f64::from(*y) - expected).abs() <= 6e-7 * expected.abs() + 1e-30, "{y} for {expected}");
                }
            }
        }
    }

    #[test]
    fn turns_keep_lengths_and_angles(half in 1_usize..20, heads in 1_usize..4, position in 0_u16..2000, seed in any::<u64>()) {
        let frequencies: Vec<f32> = (0..half).map(|i| 100_f32.powf(-(i as f32) / half as f32)).collect();
        let turn = Turn::new(f32::from(position), &frequencies);
        let before = Draws::new(seed).vector(heads * 2 * half);
        for isa in Isa::available() {
            let mut after = before.clone();
            turn.apply(isa, &mut after).unwrap();
            for (before, after) in before.chunks(2 * half).zip(after.chunks(2 * half)) {
                for i in 0..half {
                    // The angle is rounded to f32, as it is in libtorch; from there on f64.
                    let angle = f64::from(f32::from(position) * frequencies[i]);
                    let (low, high) = (f64::from(before[i]), f64::from(before[i + half]));
                    let expected = [low * angle.cos() - high * angle.sin(), high * angle.cos() + low * angle.sin()];
                    // Three roundings of terms of at most 4.
                    prop_assert!((f64::from(after[i]) - expected[0]).abs() < 2e-6);
                    prop_assert!((f64::from(after[i + half]) - expected[1]).abs() < 2e-6);
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let shape = |result: crate::Result<()>| matches!(result, Err(Error::Shape { .. }));
    let (isa, mut y) = (Isa::best(), [0.0; 4]);
    assert!(shape(rms_norm(isa, &[1.0; 3], &[1.0; 2], 1e-5, &mut y)));
    assert!(shape(rms_norm(isa, &[1.0; 2], &[1.0; 2], 1e-5, &mut y)));
    assert!(shape(rms_norm(isa, &[], &[], 1e-5, &mut y)));
    assert!(shape(silu_times(isa, &[1.0; 3], 4, &mut y)));
    assert!(shape(silu_times(isa, &[1.0; 8], 3, &mut y)));
    assert!(shape(Turn::new(1.0, &[1.0; 3]).apply(isa, &mut y)));
    assert!(shape(Turn::new(1.0, &[]).apply(isa, &mut y)));
}

#[test]
fn what_is_no_number_stays_none() {
    for isa in Isa::available() {
        let mut y = [0.0; 1];
        silu_times(isa, &[f32::NAN, 1.0], 1, &mut y).unwrap();
        assert!(y[0].is_nan());
    }
}

use proptest::prelude::*;

use super::Draws;
use crate::{Error, INT4_GROUP, Isa, Matrix, Threads, WeightKind};

fn product(matrix: &Matrix, x: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len() / matrix.columns() * matrix.rows()];
    matrix.multiply(x, &mut y, &Threads::one()).unwrap();
    y
}

/// The stored weights, read back through products with the rows of the identity.
fn stored(matrix: &Matrix) -> Vec<f32> {
    let columns = matrix.columns();
    let identity: Vec<f32> =
        (0..columns * columns).map(|i| f32::from(u8::from(i / columns == i % columns))).collect();
    let transposed = product(matrix, &identity);
    let at = |i: usize| transposed[i % columns * matrix.rows() + i / columns];
    (0..matrix.rows() * columns).map(at).collect()
}

/// How far a stored weight may be from its own: half a step of its grid. A little more for the rounding of the scale, and of code times scale.
fn allowed(kind: WeightKind, row: &[f32], column: usize) -> f32 {
    let largest = |weights: &[f32]| weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
    let slack = 1.0 + 1e-4;
    match kind {
        WeightKind::F32 => 0.0,
        WeightKind::Bf16 => row[column].abs() / 256.0,
        WeightKind::Int8 => largest(row) / 254.0 * slack,
        WeightKind::Int4 => {
            let start = column / INT4_GROUP * INT4_GROUP;
            largest(&row[start..row.len().min(start + INT4_GROUP)]) / 14.0 * slack
        }
    }
}

/// The product of a row with activations in f64, and the sum of the magnitudes of its terms.
fn slow(weights: &[f32], x: &[f32]) -> (f64, f64) {
    let terms = weights.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
    terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
}

/// How far a product may be off because of rounded activations: each is by half a step of its group.
fn rounding(kind: WeightKind, weights: &[f32], x: &[f32]) -> f64 {
    let (size, steps) = match kind {
        WeightKind::F32 | WeightKind::Bf16 => return 0.0,
        WeightKind::Int8 => (256, 32_639.0),
        WeightKind::Int4 => (INT4_GROUP, 127.0),
    };
    let group = |(weights, x): (&[f32], &[f32])| {
        let largest = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        weights.iter().map(|w| f64::from(w.abs())).sum::<f64>() * f64::from(largest) / (2.0 * steps)
    };
    weights.chunks(size).zip(x.chunks(size)).map(group).sum::<f64>() * (1.0 + 1e-4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn products_are_those_of_the_stored_weights(
        rows in 1_usize..23, columns in 1_usize..700, batch in 1_usize..7, seed in any::<u64>(),
    ) {
        let mut draws = Draws::new(seed);
        let (weights, x) = (draws.vector(rows * columns), draws.vector(batch * columns));
        for kind in WeightKind::ALL {
            for isa in Isa::available() {
                let matrix = Matrix::new(&weights, rows, columns, kind).unwrap().with_isa(isa);
                let stored = stored(&matrix);
                for (place, (own, stored)) in weights.iter().zip(&stored).enumerate() {
                    let row = &weights[place / columns * columns..][..columns];
                    let bound = allowed(kind, row, place % columns);
                    prop_assert!((own - stored).abs() <= bound, "{kind:?}: {own} is stored as {stored}");
                }
                let y = product(&matrix, &x);
                for (place, y) in y.iter().enumerate() {
                    let (row, x) = (&stored[place % rows * columns..][..columns], &x[place / rows * columns..][..columns]);
                    let (sum, size) = slow(row, x);
                    // Each of a chain's additions rounds what it holds: at most columns / 8 of them, and those of lanes and scales.
                    let bound = (columns as f64 / 8.0 + 8.0) * f64::from(f32::EPSILON) * size + rounding(kind, row, x);
                    prop_assert!((f64::from(*y) - sum).abs() <= bound, "{kind:?} {}: {y} for {sum}", isa.name());
                }
            }
        }
    }

    /// The law behind draws that do not depend on the batch: the same bytes alone, among others, as a part of the rows, and on any threads.
    #[test]
    fn a_row_is_the_same_bytes_in_any_company(
        rows in 1_usize..40, columns in 1_usize..100, batch in 1_usize..10, seed in any::<u64>(), part in any::<(u8, u8)>(),
    ) {
        let mut draws = Draws::new(seed);
        let (weights, x) = (draws.vector(rows * columns), draws.vector(batch * columns));
        let start = usize::from(part.0) % rows;
        let end = start + 1 + usize::from(part.1) % (rows - start);
        for kind in WeightKind::ALL {
            for isa in Isa::available() {
                let matrix = Matrix::new(&weights, rows, columns, kind).unwrap().with_isa(isa);
                let all = product(&matrix, &x);
                let alone: Vec<f32> = x.chunks(columns).flat_map(|x| product(&matrix, x)).collect();
                prop_assert_eq!(&all, &alone);
                let mut some = vec![0.0; batch * (end - start)];
                matrix.multiply_rows(start..end, &x, &mut some, &Threads::one()).unwrap();
                let expected: Vec<f32> = all.chunks(rows).flat_map(|y| &y[start..end]).copied().collect();
                prop_assert_eq!(some, expected);
            }
        }
    }
}

proptest! {
    /// Both have the same chains of additions, rounded once: a model answers the same on either.
    #[test]
    fn vectors_of_any_length_give_the_same_bytes(
        rows in 1_usize..23, columns in 1_usize..700, batch in 1_usize..20, seed in any::<u64>(),
    ) {
        let mut draws = Draws::new(seed);
        let (weights, x) = (draws.vector(rows * columns), draws.vector(batch * columns));
        for kind in WeightKind::ALL {
            let of = |isa| product(&Matrix::new(&weights, rows, columns, kind).unwrap().with_isa(isa), &x);
            let mut fused = Isa::available().filter(|isa| *isa != Isa::portable()).map(of);
            let Some(first) = fused.next() else { return Ok(()) };
            prop_assert!(fused.all(|other| other == first), "{kind:?}");
        }
    }
}

#[test]
fn threads_change_nothing() {
    let mut draws = Draws::new(1);
    let (rows, columns, batch) = (1037, 1500, 9);
    let (weights, x) = (draws.vector(rows * columns), draws.vector(batch * columns));
    for kind in WeightKind::ALL {
        let matrix = Matrix::new(&weights, rows, columns, kind).unwrap();
        assert!(batch * matrix.bytes() > 2 << 22, "too small to be split into three");
        let expected = product(&matrix, &x);
        for count in [2, 3, 7] {
            let threads = Threads::new(count).unwrap();
            let mut y = vec![0.0; batch * rows];
            matrix.multiply(&x, &mut y, &threads).unwrap();
            assert_eq!(y, expected, "{kind:?} on {count} threads");
            let mut some = vec![0.0; batch * 1030];
            matrix.multiply_rows(3..1033, &x, &mut some, &threads).unwrap();
            let part: Vec<f32> = expected.chunks(rows).flat_map(|y| &y[3..1033]).copied().collect();
            assert_eq!(some, part, "a part of {kind:?} on {count} threads");
        }
    }
}

#[test]
fn quantisation_is_as_small_as_it_says() {
    // Errors that are spread evenly over a step have a standard deviation of 1 / sqrt(12) steps.
    let weights = Draws::new(5).vector(64 * 256);
    let error = |kind| {
        let stored = stored(&Matrix::new(&weights, 64, 256, kind).unwrap());
        let squares =
            |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
        let differences = squares(&mut weights.iter().zip(&stored).map(|(own, stored)| own - stored));
        (differences / squares(&mut weights.iter().copied())).sqrt()
    };
    // Weights of about 1 with a largest of about 3 in a row, 2.3 in a group: steps of 0.024 and 0.33.
    assert!(error(WeightKind::Bf16) < 0.002, "{}", error(WeightKind::Bf16));
    assert!(error(WeightKind::Int8) < 0.01, "{}", error(WeightKind::Int8));
    assert!(error(WeightKind::Int4) < 0.12, "{}", error(WeightKind::Int4));
}

#[test]
fn rounded_activations_cost_little() {
    let mut draws = Draws::new(6);
    let (weights, x) = (draws.vector(512 * 256), draws.vector(2 * 256));
    let error = |kind| {
        let matrix = Matrix::new(&weights, 512, 256, kind).unwrap();
        let stored = stored(&matrix);
        let (mut squares, mut errors) = (0.0, 0.0);
        for (place, y) in product(&matrix, &x).into_iter().enumerate() {
            let (exact, _) = slow(&stored[place % 512 * 256..][..256], &x[place / 512 * 256..][..256]);
            squares += exact * exact;
            errors += (f64::from(y) - exact).powi(2);
        }
        (errors / squares).sqrt()
    };
    // Steps of a 54th of the standard deviation (a largest of about 2.3 in 127 steps): 0.0053 for errors spread evenly over a step.
    let int4 = error(WeightKind::Int4);
    assert!((0.003..0.007).contains(&int4), "{int4}");
    // A largest of about 2.9 in 32639 steps: 2.6e-5.
    let int8 = error(WeightKind::Int8);
    assert!((1e-5..4e-5).contains(&int8), "{int8}");
}

#[test]
fn the_largest_sums_do_not_overflow() {
    let columns = 4100;
    for (weight, x) in [(1.0_f32, 1.0_f32), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
        let (weights, xs) = (vec![weight; 5 * columns], vec![x; 3 * columns]);
        for (kind, isa) in
            WeightKind::ALL.into_iter().flat_map(|kind| Isa::available().map(move |isa| (kind, isa)))
        {
            let matrix = Matrix::new(&weights, 5, columns, kind).unwrap().with_isa(isa);
            let expected = weight * x * columns as f32;
            for y in product(&matrix, &xs) {
                assert!((y / expected - 1.0).abs() < 1e-5, "{kind:?} {}: {y} for {expected}", isa.name());
            }
        }
    }
}

#[test]
fn what_is_no_number_spoils_its_own_row_only() {
    let weights = Draws::new(7).vector(8 * 96);
    for (kind, isa) in [WeightKind::Int8, WeightKind::Int4]
        .into_iter()
        .flat_map(|kind| Isa::available().map(move |isa| (kind, isa)))
    {
        let matrix = Matrix::new(&weights, 8, 96, kind).unwrap().with_isa(isa);
        let mut x = Draws::new(8).vector(3 * 96);
        let before = product(&matrix, &x);
        (x[96 + 40], x[96 + 95]) = (f32::NAN, f32::INFINITY);
        let after = product(&matrix, &x);
        assert!(after[8..16].iter().all(|y| y.is_nan()), "{kind:?} {}", isa.name());
        assert_eq!((&after[..8], &after[16..]), (&before[..8], &before[16..]));
        assert!(product(&matrix, &[1e-30; 96]).iter().all(|y| *y == 0.0));
    }
}

#[test]
fn weights_of_any_size_are_kept() {
    // The first row is too small for a scale, the second at the end of f32's range.
    let weights = [1e-30, -1e-38, 3e38, -2e38];
    for kind in [WeightKind::Int8, WeightKind::Int4] {
        let stored = stored(&Matrix::new(&weights, 2, 2, kind).unwrap());
        assert_eq!(stored[..2], [0.0, 0.0]);
        assert!((stored[2] / 3e38 - 1.0).abs() < 1e-6 && (stored[3] / 3e38 + 2.0 / 3.0).abs() < 0.08);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let identity = [1.0, 0.0, 0.0, 1.0];
    let shape = |result: crate::Result<()>| matches!(result, Err(Error::Shape { .. }));
    assert!(shape(Matrix::new(&identity, 2, 3, WeightKind::F32).map(drop)));
    assert!(shape(Matrix::new(&[], 0, 3, WeightKind::F32).map(drop)));
    assert!(shape(Matrix::new(&identity, usize::MAX, 3, WeightKind::F32).map(drop)));
    let bad = [1.0, 0.0, f32::NAN, 1.0];
    assert!(matches!(Matrix::new(&bad, 2, 2, WeightKind::Int8), Err(Error::NotFinite { row: 1 })));
    assert!(matches!(Matrix::new(&bad, 2, 2, WeightKind::Int4), Err(Error::NotFinite { row: 1 })));
    for kind in [WeightKind::F32, WeightKind::Bf16] {
        let y = product(&Matrix::new(&bad, 2, 2, kind).unwrap(), &[1.0, 1.0]);
        assert!(y[0] == 1.0 && y[1].is_nan(), "{kind:?} keeps what is no number");
    }
    let matrix = Matrix::new(&identity, 2, 2, WeightKind::F32).unwrap();
    let one = Threads::one();
    let mut y = [0.0; 2];
    assert!(shape(matrix.multiply(&[1.0], &mut y, &one)));
    assert!(shape(matrix.multiply(&[], &mut y, &one)));
    assert!(shape(matrix.multiply(&[1.0; 4], &mut y, &one)));
    assert!(shape(matrix.multiply_rows(1..3, &[1.0; 2], &mut y, &one)));
    assert!(shape(matrix.multiply_rows(1..1, &[1.0; 2], &mut y, &one)));
    assert!(shape(Threads::new(0).map(drop)) && shape(Threads::new(1000).map(drop)));
    assert_eq!(matrix.with_isa(Isa::portable()).bytes(), 4 * 2 * 8 * 4 / 2);
}

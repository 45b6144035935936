use proptest::prelude::*;

use super::Draws;
use crate::{Codebook, Error, Isa};

/// Vectors for which codewords are packed.
const MANY: usize = 50;

fn squared_distance(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}

/// The first of the nearest codewords, found by looking at all of them in f64.
fn slow(words: &[f32], dim: usize, vector: &[f32]) -> (u32, f64) {
    let distances = words.chunks_exact(dim).map(|word| squared_distance(word, vector));
    (0..).zip(distances).fold((0, f64::INFINITY), |best, own| if own.1 < best.1 { own } else { best })
}

fn codes(book: &Codebook, vectors: &[f32]) -> Vec<u32> {
    let mut codes = vec![u32::MAX; vectors.len() / book.dim()];
    book.nearest(vectors, &mut codes).unwrap();
    codes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whole numbers, whose distances are exact: ties included.
    #[test]
    fn whole_numbers_give_the_first_of_the_nearest(
        size in 1_usize..200, dim in 1_usize..20, rows in 0_usize..100, seed in any::<u64>(),
    ) {
        let mut draws = Draws::new(seed);
        let mut whole = |count: usize| -> Vec<f32> { draws.vector(count).iter().map(|x| (x * 3.0).round()).collect() };
        let (words, vectors) = (whole(size * dim), whole(rows * dim));
        let expected: Vec<u32> = vectors.chunks_exact(dim).map(|x| slow(&words, dim, x).0).collect();
        let book = Codebook::new(&words, dim).unwrap();
        for isa in Isa::available() {
            prop_assert_eq!(&codes(&book.with_isa(isa), &vectors), &expected, "{}", isa.name());
        }
    }

    /// Lengths of codewords and vectors that differ by orders of magnitude, outliers within them, and vectors beside codewords: what many vectors find is
    /// what each finds alone, which is found by computing all distances, and none is nearer.
    #[test]
    fn no_codeword_is_nearer(
        size in 1_usize..150, dim in 1_usize..70, spread in 0.0_f32..8.0, near in 0.0_f32..1.0, seed in any::<u64>(),
    ) {
        let mut draws = Draws::new(seed);
        let mut some = |count: usize| -> Vec<f32> {
            let scales = draws.vector(count);
            let mut all = draws.vector(count * dim);
            for (row, scale) in all.chunks_exact_mut(dim).zip(scales) {
                row.iter_mut().for_each(|x| *x *= (scale * spread).exp());
                row[0] *= 20.0;
            }
            all
        };
        let (words, mut vectors) = (some(size), some(MANY));
        for (index, vector) in vectors.chunks_exact_mut(dim).enumerate() {
            let word = &words[index * 7 % size * dim..][..dim];
            vector.iter_mut().zip(word).for_each(|(x, word)| *x = word * near + *x * (1.0 - near));
        }
        let book = Codebook::new(&words, dim).unwrap();
        for isa in Isa::available() {
            let alone: Vec<u32> =
                vectors.chunks_exact(dim).flat_map(|vector| codes(&book.with_isa(isa), vector)).collect();
            prop_assert_eq!(&codes(&book.with_isa(isa), &vectors), &alone, "{}", isa.name());
            for (code, x) in alone.into_iter().zip(vectors.chunks_exact(dim)) {
                let best = slow(&words, dim, x).1;
                let found = squared_distance(book.word(code).unwrap(), x);
                // A sum of up to 70 squares in f32.
                prop_assert!(found <= best * (1.0 + 1e-5), "{}: {found} > {best}", isa.name());
            }
        }
    }
}

/// Where squares leave the range of f32, all distances are equal, and the first codeword stands for all.
#[test]
fn numbers_at_the_ends_of_f32_are_compared_too() {
    for (scale, expected) in
        [(1e-30_f32, [0, 0, 0]), (1e-18, [0, 1, 2]), (1e18, [0, 1, 2]), (1e37, [0, 0, 0])]
    {
        let words: Vec<f32> = [0.0, 1.0, 0.0, 3.0, -2.0, -2.0].iter().map(|x| x * scale).collect();
        let book = Codebook::new(&words, 2).unwrap();
        let vectors: Vec<f32> = [0.0, 0.0, 0.0, 2.9, -1.0, -2.0].iter().map(|x| x * scale).collect();
        for isa in Isa::available() {
            assert_eq!(
                codes(&book.with_isa(isa), &vectors.repeat(MANY)),
                expected.repeat(MANY),
                "{scale}, {}",
                isa.name()
            );
        }
    }
}

#[test]
fn vectors_of_any_size_get_alone_what_they_get_among_others() {
    for (words, x) in [([1.1e-20_f32, 1.141e-20], 1.1e-20_f32), ([-1.5e19, -1.0e19], 1.5e19)] {
        let book = Codebook::new(&words, 1).unwrap();
        for isa in Isa::available() {
            let book = book.with_isa(isa);
            assert_eq!(codes(&book, &[x]), [0]);
            assert_eq!(codes(&book, &[x; MANY]), [0; MANY], "{x}, {}", isa.name());
        }
    }
}

#[test]
fn what_is_no_number_gets_some_codeword() {
    let book = Codebook::new(&Draws::new(1).vector(70 * 5), 5).unwrap();
    for isa in Isa::available() {
        let strange =
            [f32::NAN, 0.0, 0.0, 0.0, 0.0, f32::INFINITY, 1.0, 1.0, 1.0, 1.0, 0.1, 0.2, 0.3, 0.1, 0.0];
        let found = codes(&book.with_isa(isa), &strange.repeat(MANY));
        assert!(found.iter().all(|code| *code < 70));
        assert_eq!(found[2], codes(&book, &strange[10..])[0]);
    }
}

#[test]
fn wrong_sizes_are_errors() {
    assert!(matches!(Codebook::new(&[], 4), Err(Error::Shape { .. })));
    assert!(matches!(Codebook::new(&[0.0; 5], 4), Err(Error::Shape { .. })));
    assert!(matches!(Codebook::new(&[0.0; 5], 0), Err(Error::Shape { .. })));
    assert!(matches!(Codebook::new(&vec![0.0; 1 << 16], 1 << 16), Err(Error::Shape { .. })));
    assert!(matches!(Codebook::new(&[0.0, f32::NAN], 1), Err(Error::NotFinite { row: 1 })));
    let book = Codebook::new(&[0.0; 8], 4).unwrap();
    assert!(matches!(book.nearest(&[0.0; 7], &mut [0, 0]), Err(Error::Shape { .. })));
    assert_eq!((book.size(), book.dim(), book.word(2)), (2, 4, None));
}

//! Kernels against slow sums in f64.

mod attention;
mod codebook;
mod matrix;
mod rest;

use crate::Isa;

/// Numbers that follow from a seed, roughly normal.
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn unit(&mut self) -> f32 {
        // Splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    pub(super) fn vector(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (0..4).map(|_| self.unit() - 0.5).sum::<f32>() * 1.7).collect()
    }
}

#[test]
fn instructions_are_named_from_the_best_on() {
    let names: Vec<&str> = Isa::available().map(Isa::name).collect();
    assert_eq!(names[0], Isa::best().name());
    assert!(["avx512", "avx2", "portable"].ends_with(&names), "{names:?}");
}

//! AVX-512: two rows of a panel side by side in one register, so that each sum is the chain of additions that it is with AVX2, to the bit.
//!
//! Like [`crate::avx2`], safe for any input where the machine has the instructions, for which stands [`Token`].
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Token, panel, panel_int4, panel_int8};

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use elsewhere::{Token, panel, panel_int4, panel_int8};

/// Rows of activations that one call of [`panel`] takes at most: their sums fill half of the registers.
pub(crate) const MOST_ROWS: usize = 8;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::activations::{ByteRow, WORD_GROUP, WordRow};
    use crate::avx2::{self, fetch_ahead, load_bytes, load_offsets, sum_lanes};
    use crate::kind::WeightKind;
    use crate::pack::{GROUPS, Lanes, PANEL};

    /// Registers of a panel: two rows each.
    const PAIRS: usize = PANEL / 2;

    /// Sums of `PAIRS` registers for each of `B` rows of activations.
    type Sums<const B: usize> = [[__m512; PAIRS]; B];

    /// Proof that the machine has AVX-512 F, BW, DQ and VNNI beside AVX2 and FMA: there is no other way to one than [`Token::detect`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Token(avx2::Token);

    impl Token {
        pub(crate) fn detect() -> Option<Self> {
            let has_all = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni");
            avx2::Token::detect().filter(|_| has_all).map(Self)
        }

        /// The instructions for what is not a product of weights.
        pub(crate) fn avx2(self) -> avx2::Token {
            self.0
        }
    }

    /// The products of a panel's rows, of f32 and bf16, with `B` rows of activations, each the same bytes as by [`avx2::panel`].
    ///
    /// # Panics
    /// A slice is too short: a mistake in this crate.
    pub(crate) fn panel<const B: usize>(
        _proof: Token,
        kind: WeightKind,
        lanes: &[Lanes],
        xs: [&[f32]; B],
    ) -> [[f32; PANEL]; B] {
        // SAFETY: a token exists only where the machine has the instructions.
        unsafe {
            match kind {
                WeightKind::Bf16 => wide::<16, B>(lanes, xs),
                _ => wide::<32, B>(lanes, xs),
            }
        }
    }

    /// f32 and bf16.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    fn wide<const BITS: u32, const B: usize>(lanes: &[Lanes], xs: [&[f32]; B]) -> [[f32; PANEL]; B] {
        let (blocks, _) = lanes.as_chunks::<PANEL>();
        let width = 256 / BITS as usize;
        let xs = xs.map(|x| &x[..blocks.len() * width]);
        let mut sums = [[_mm512_setzero_ps(); PAIRS]; B];
        for (index, block) in blocks.iter().enumerate() {
            fetch_ahead::<B>(block);
            let rows = load_block(block);
            let start = index * width;
            // SAFETY: each slice of `xs` has `width` values for every block, and a block has `width / 8` chunks.
            unsafe {
                add(&mut sums, chunk::<BITS, 0>(rows), &xs, start);
                if BITS <= 16 {
                    add(&mut sums, chunk::<BITS, 1>(rows), &xs, start + 8);
                }
            }
        }
        sum_all(&sums)
    }

    /// The products of an int8 panel's codes with `B` rows of activations, each the same bytes as by [`avx2::panel_int8`].
    pub(crate) fn panel_int8<const B: usize>(
        _proof: Token,
        lanes: &[Lanes],
        xs: [WordRow<'_>; B],
    ) -> [[f32; PANEL]; B] {
        // SAFETY: a token exists only where the machine has the instructions.
        unsafe { words(lanes, xs) }
    }

    /// int8: products of integers within a group of activations, which is then scaled.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,avx2,fma")]
    fn words<const B: usize>(lanes: &[Lanes], xs: [WordRow<'_>; B]) -> [[f32; PANEL]; B] {
        let (blocks, _) = lanes.as_chunks::<PANEL>();
        let mut sums = [[_mm512_setzero_ps(); PAIRS]; B];
        for (group, blocks) in blocks.chunks(WORD_GROUP).enumerate() {
            let bytes = xs.map(|x| &x.bytes[group * WORD_GROUP..][..blocks.len()]);
            let (mut high, mut low) =
                ([[_mm512_setzero_si512(); PAIRS]; B], [[_mm512_setzero_si512(); PAIRS]; B]);
            for (index, block) in blocks.iter().enumerate() {
                fetch_ahead::<2>(block);
                let rows = load_block(block);
                for (row, bytes) in bytes.iter().enumerate() {
                    let of_high = _mm512_broadcast_i64x4(load_bytes(&bytes[index].high));
                    let of_low = _mm512_broadcast_i64x4(load_bytes(&bytes[index].low));
                    for (pair, codes) in rows.into_iter().enumerate() {
                        high[row][pair] = _mm512_dpbusd_epi32(high[row][pair], codes, of_high);
                        low[row][pair] = _mm512_dpbusd_epi32(low[row][pair], codes, of_low);
                    }
                }
            }
            for (row, (sums, x)) in sums.iter_mut().zip(&xs).enumerate() {
                let offsets = _mm512_broadcast_i64x4(load_offsets(&x.offsets[group]));
                let x_scale = _mm512_set1_ps(x.scales[group]);
                for (pair, sum) in sums.iter_mut().enumerate() {
                    let high = _mm512_slli_epi32::<8>(high[row][pair]);
                    let dot = _mm512_add_epi32(high, _mm512_add_epi32(low[row][pair], offsets));
                    *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), x_scale, *sum);
                }
            }
        }
        sum_all(&sums)
    }

    /// The products of an int4 panel's rows with `B` rows of activations, each the same bytes as by [`avx2::panel_int4`].
    pub(crate) fn panel_int4<const B: usize>(
        _proof: Token,
        (lanes, scales): (&[Lanes], &[f32]),
        xs: [ByteRow<'_>; B],
    ) -> [[f32; PANEL]; B] {
        // SAFETY: a token exists only where the machine has the instructions.
        unsafe { grouped(lanes, scales, xs) }
    }

    /// int4: products of integers within a group, which is then scaled.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,avx2,fma")]
    fn grouped<const B: usize>(lanes: &[Lanes], scales: &[f32], xs: [ByteRow<'_>; B]) -> [[f32; PANEL]; B] {
        let ((blocks, _), (scales, _)) = (lanes.as_chunks::<PANEL>(), scales.as_chunks::<PANEL>());
        let mut sums = [[_mm512_setzero_ps(); PAIRS]; B];
        for (index, (block, scales)) in blocks.iter().zip(scales.as_chunks::<GROUPS>().0).enumerate() {
            fetch_ahead::<2>(block);
            let rows = load_block(block);
            for (group, scales) in scales.iter().enumerate() {
                let (weights, scales) = (nibbles(rows, group), spread(scales));
                let place = index * GROUPS + group;
                for (sums, x) in sums.iter_mut().zip(&xs) {
                    let codes = _mm512_broadcast_i64x4(load_bytes(&x.codes[place]));
                    let offsets = _mm512_broadcast_i64x4(load_offsets(&x.offsets[place]));
                    let x_scale = _mm512_set1_ps(x.scales[place]);
                    for (pair, sum) in sums.iter_mut().enumerate() {
                        let dot = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(offsets, weights[pair], codes));
                        *sum = _mm512_fmadd_ps(dot, _mm512_mul_ps(scales[pair], x_scale), *sum);
                    }
                }
            }
        }
        sum_all(&sums)
    }

    /// The lower nibble of each byte for the first group of a block, the upper one for the second.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    fn nibbles(rows: [__m512i; PAIRS], group: usize) -> [__m512i; PAIRS] {
        rows.map(|block| {
            let down = if group == 0 { block } else { _mm512_srli_epi16::<4>(block) };
            _mm512_and_si512(down, _mm512_set1_epi8(15))
        })
    }

    /// The scales of a group, each over the eight lanes of its row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    fn spread(scales: &[f32; PANEL]) -> [__m512; PAIRS] {
        // SAFETY: 16 bytes; no alignment is asked for.
        let all = _mm512_castps128_ps512(unsafe { _mm_loadu_ps(scales.as_ptr()) });
        let low = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        let high = _mm512_setr_epi32(2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
        [_mm512_permutexvar_ps(low, all), _mm512_permutexvar_ps(high, all)]
    }

    /// # Safety
    /// Each of `xs` has eight values from `start` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    unsafe fn add<const B: usize>(
        sums: &mut Sums<B>,
        weights: [__m512; PAIRS],
        xs: &[&[f32]; B],
        start: usize,
    ) {
        for (sums, x) in sums.iter_mut().zip(xs) {
            // SAFETY: as promised by the caller.
            let x = unsafe { load_twice(x, start) };
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm512_fmadd_ps(weights, x, *sum);
            }
        }
    }

    /// Eight weights of each row out of its eight lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    fn chunk<const BITS: u32, const CHUNK: usize>(rows: [__m512i; PAIRS]) -> [__m512; PAIRS] {
        rows.map(|block| match (BITS, CHUNK) {
            (32, _) => _mm512_castsi512_ps(block),
            (16, 0) => _mm512_castsi512_ps(_mm512_slli_epi32::<16>(block)),
            _ => _mm512_castsi512_ps(_mm512_and_si512(block, _mm512_set1_epi32(0xffff_0000_u32 as i32))),
        })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    fn sum_all<const B: usize>(sums: &Sums<B>) -> [[f32; PANEL]; B] {
        let mut all = [[0.0; PANEL]; B];
        // Loops and no closures: those of `map` stay calls, and sums go through memory.
        for (all, pairs) in all.iter_mut().zip(sums) {
            for (all, pair) in all.chunks_exact_mut(2).zip(pairs) {
                let rows = [_mm512_castps512_ps256(*pair), _mm512_extractf32x8_ps::<1>(*pair)];
                all.copy_from_slice(&sum_lanes(rows));
            }
        }
        all
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    fn load_block(block: &[Lanes; PANEL]) -> [__m512i; PAIRS] {
        let (pairs, _) = block.as_chunks::<2>();
        // SAFETY: 64 bytes each; no alignment is asked for.
        let load = |pair: &[Lanes; 2]| unsafe { _mm512_loadu_si512(pair.as_ptr().cast()) };
        [load(&pairs[0]), load(&pairs[1])]
    }

    /// The same eight values in both halves.
    ///
    /// # Safety
    /// `x` has eight values from `start` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx2,fma")]
    unsafe fn load_twice(x: &[f32], start: usize) -> __m512 {
        debug_assert!(start + 8 <= x.len());
        // SAFETY: within the slice, as promised by the caller; no alignment is asked for.
        _mm512_broadcast_f32x8(unsafe { _mm256_loadu_ps(x.as_ptr().add(start)) })
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use crate::activations::{ByteRow, WordRow};
    use crate::avx2;
    use crate::kind::WeightKind;
    use crate::pack::{Lanes, PANEL};

    /// Nothing: no other architecture has these instructions.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Token {}

    impl Token {
        pub(crate) fn detect() -> Option<Self> {
            None
        }

        pub(crate) fn avx2(self) -> avx2::Token {
            match self {}
        }
    }

    pub(crate) fn panel<const B: usize>(
        proof: Token,
        _: WeightKind,
        _: &[Lanes],
        _: [&[f32]; B],
    ) -> [[f32; PANEL]; B] {
        match proof {}
    }

    pub(crate) fn panel_int8<const B: usize>(
        proof: Token,
        _: &[Lanes],
        _: [WordRow<'_>; B],
    ) -> [[f32; PANEL]; B] {
        match proof {}
    }

    pub(crate) fn panel_int4<const B: usize>(
        proof: Token,
        _: (&[Lanes], &[f32]),
        _: [ByteRow<'_>; B],
    ) -> [[f32; PANEL]; B] {
        match proof {}
    }
}

//! AVX2 and FMA. This, [`crate::avx512`] and `crate::codebook::vnni` are the only modules with `unsafe`: what it calls is right for any input as long as the machine has the
//! instructions, and for that stands [`Token`]; loads go through references of the right size.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{
    Token, fetch_ahead, load_bytes, load_offsets, panel, panel_int4, panel_int8, sum_lanes,
};

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use elsewhere::{Token, panel, panel_int4, panel_int8};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::activations::{ByteRow, WORD_GROUP, WordRow};
    use crate::isa::{Fused, Work};
    use crate::kind::{INT4_GROUP, WeightKind};
    use crate::lanes::LANES;
    use crate::pack::{GROUPS, Lanes, PANEL};

    /// Proof that the machine has AVX2 and FMA: there is no other way to one than [`Token::detect`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Token(());

    impl Token {
        pub(crate) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
        }

        /// Plain code, compiled for these instructions.
        pub(crate) fn run<W: Work>(self, work: W) -> W::Out {
            // SAFETY: a token exists only where the machine has the instructions.
            unsafe { compiled(work) }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn compiled<W: Work>(work: W) -> W::Out {
        work.run::<Fused>()
    }

    /// The products of `ROWS` of a panel's rows, of f32 and bf16, from `first` on with `B` rows of activations. Each sum has its own chain of additions, the
    /// same one whatever `ROWS` and `B` are.
    ///
    /// # Panics
    /// `first` or a slice is out of range, or `ROWS` is odd: a mistake in this crate.
    pub(crate) fn panel<const ROWS: usize, const B: usize>(
        _proof: Token,
        kind: WeightKind,
        lanes: &[Lanes],
        first: usize,
        xs: [&[f32]; B],
    ) -> [[f32; ROWS]; B] {
        // SAFETY: a token exists only where the machine has the instructions.
        unsafe {
            match kind {
                WeightKind::Bf16 => wide::<16, ROWS, B>(lanes, first, xs),
                _ => wide::<32, ROWS, B>(lanes, first, xs),
            }
        }
    }

    /// How far before its use memory is asked for, bytes.
    const AHEAD: usize = 12_288;

    /// Asks for what follows a block, where there is so much to compute that loads alone do not keep memory busy: with one row of activations they do.
    #[inline(always)]
    pub(crate) fn fetch_ahead<const B: usize>(block: &[Lanes; PANEL]) {
        if B > 1 {
            let next = block.as_ptr().cast::<i8>().wrapping_add(AHEAD);
            // SAFETY: a hint, harmless at any address.
            unsafe {
                _mm_prefetch::<_MM_HINT_T1>(next);
                _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(64));
            }
        }
    }

    /// f32 and bf16.
    #[target_feature(enable = "avx2,fma")]
    fn wide<const BITS: u32, const ROWS: usize, const B: usize>(
        lanes: &[Lanes],
        first: usize,
        xs: [&[f32]; B],
    ) -> [[f32; ROWS]; B] {
        let (blocks, _) = lanes.as_chunks::<PANEL>();
        let width = 256 / BITS as usize;
        let xs = xs.map(|x| &x[..blocks.len() * width]);
        let mut sums = [[_mm256_setzero_ps(); ROWS]; B];
        for (index, block) in blocks.iter().enumerate() {
            fetch_ahead::<B>(block);
            let mut rows = [_mm256_setzero_si256(); ROWS];
            for (row, lanes) in rows.iter_mut().zip(&block[first..first + ROWS]) {
                *row = load_lanes(lanes);
            }
            let start = index * width;
            // SAFETY: each slice of `xs` has `width` values for every block, and a block has `width / 8` chunks.
            unsafe {
                add::<BITS, 0, ROWS, B>(&mut sums, &rows, &xs, start);
                if BITS <= 16 {
                    add::<BITS, 1, ROWS, B>(&mut sums, &rows, &xs, start);
                }
            }
        }
        sum_all(&sums)
    }

    /// The products of an int8 panel's codes with some rows of activations.
    pub(crate) fn panel_int8<const B: usize>(
        _proof: Token,
        lanes: &[Lanes],
        xs: [WordRow<'_>; B],
    ) -> [[f32; PANEL]; B] {
        // SAFETY: a token exists only where the machine has the instructions.
        unsafe { words(lanes, xs) }
    }

    /// int8: products of integers within a group of activations, which is then scaled.
    #[target_feature(enable = "avx2,fma")]
    fn words<const B: usize>(lanes: &[Lanes], xs: [WordRow<'_>; B]) -> [[f32; PANEL]; B] {
        let (blocks, _) = lanes.as_chunks::<PANEL>();
        let mut sums = [[_mm256_setzero_ps(); PANEL]; B];
        for (group, blocks) in blocks.chunks(WORD_GROUP).enumerate() {
            blocks.iter().for_each(fetch_ahead::<B>);
            let whole = xs.map(|x| &x.whole[group * WORD_GROUP..][..blocks.len()]);
            for row in 0..PANEL {
                // Sums of two neighbours each: those of the first half of every block, and of the second.
                let mut twos = [[_mm256_setzero_si256(); 2]; B];
                for (index, block) in blocks.iter().enumerate() {
                    let codes = load_lanes(&block[row]);
                    let first = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(codes));
                    let second = _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(codes));
                    for (twos, whole) in twos.iter_mut().zip(whole) {
                        let x = load_whole(&whole[index]);
                        twos[0] = _mm256_add_epi32(twos[0], _mm256_madd_epi16(first, x[0]));
                        twos[1] = _mm256_add_epi32(twos[1], _mm256_madd_epi16(second, x[1]));
                    }
                }
                for (twos, (x, sums)) in twos.into_iter().zip(xs.iter().zip(&mut sums)) {
                    // Four neighbours each; adding side by side goes within halves, so that the lanes in the middle change places.
                    let fours =
                        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(twos[0], twos[1]));
                    let dot = _mm256_cvtepi32_ps(_mm256_add_epi32(fours, load_offsets(&x.offsets[group])));
                    sums[row] = _mm256_fmadd_ps(dot, _mm256_set1_ps(x.scales[group]), sums[row]);
                }
            }
        }
        sum_all(&sums)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load_whole(words: &[i16; 32]) -> [__m256i; 2] {
        let (halves, _) = words.as_chunks::<16>();
        // SAFETY: 32 bytes each; no alignment is asked for.
        let load = |half: &[i16; 16]| unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
        [load(&halves[0]), load(&halves[1])]
    }

    /// The products of an int4 panel's rows with some rows of activations.
    pub(crate) fn panel_int4<const B: usize>(
        _proof: Token,
        (lanes, scales): (&[Lanes], &[f32]),
        xs: [ByteRow<'_>; B],
    ) -> [[f32; PANEL]; B] {
        // SAFETY: a token exists only where the machine has the instructions.
        unsafe { grouped(lanes, scales, xs) }
    }

    /// int4: products of integers within a group, which is then scaled.
    #[target_feature(enable = "avx2,fma")]
    fn grouped<const B: usize>(lanes: &[Lanes], scales: &[f32], xs: [ByteRow<'_>; B]) -> [[f32; PANEL]; B] {
        let ((blocks, _), (scales, _)) = (lanes.as_chunks::<PANEL>(), scales.as_chunks::<PANEL>());
        let mut sums = [[_mm256_setzero_ps(); PANEL]; B];
        for (index, (block, scales)) in blocks.iter().zip(scales.as_chunks::<GROUPS>().0).enumerate() {
            fetch_ahead::<B>(block);
            for (sums, x) in sums.iter_mut().zip(&xs) {
                for (group, scales) in scales.iter().enumerate() {
                    let place = index * GROUPS + group;
                    let (codes, offsets) = (load_bytes(&x.codes[place]), load_offsets(&x.offsets[place]));
                    for (row, sum) in sums.iter_mut().enumerate() {
                        let weights = nibbles(load_lanes(&block[row]), group);
                        let pairs = _mm256_maddubs_epi16(weights, codes);
                        let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
                        let dot = _mm256_cvtepi32_ps(_mm256_add_epi32(fours, offsets));
                        *sum = _mm256_fmadd_ps(dot, _mm256_set1_ps(scales[row] * x.scales[place]), *sum);
                    }
                }
            }
        }
        sum_all(&sums)
    }

    /// The lower nibble of each byte for the first group of a block, the upper one for the second.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn nibbles(block: __m256i, group: usize) -> __m256i {
        let down = if group == 0 { block } else { _mm256_srli_epi16::<4>(block) };
        _mm256_and_si256(down, _mm256_set1_epi8(15))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn load_bytes(codes: &[i8; INT4_GROUP]) -> __m256i {
        // SAFETY: 32 bytes; no alignment is asked for.
        unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn load_offsets(offsets: &[i32; LANES]) -> __m256i {
        // SAFETY: 32 bytes; no alignment is asked for.
        unsafe { _mm256_loadu_si256(offsets.as_ptr().cast()) }
    }

    /// # Safety
    /// Each of `xs` has eight values from `start + 8 * CHUNK` on.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add<const BITS: u32, const CHUNK: usize, const ROWS: usize, const B: usize>(
        sums: &mut [[__m256; ROWS]; B],
        rows: &[__m256i; ROWS],
        xs: &[&[f32]; B],
        start: usize,
    ) {
        let mut eight = [_mm256_setzero_ps(); B];
        for (eight, x) in eight.iter_mut().zip(xs) {
            // SAFETY: as promised by the caller.
            *eight = unsafe { load(x, start + 8 * CHUNK) };
        }
        for row in 0..ROWS {
            let weights = chunk::<BITS, CHUNK>(rows[row]);
            for (sums, x) in sums.iter_mut().zip(eight) {
                sums[row] = _mm256_fmadd_ps(weights, x, sums[row]);
            }
        }
    }

    /// Eight weights out of eight lanes.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn chunk<const BITS: u32, const CHUNK: usize>(block: __m256i) -> __m256 {
        match (BITS, CHUNK) {
            (32, _) => _mm256_castsi256_ps(block),
            (16, 0) => _mm256_castsi256_ps(_mm256_slli_epi32::<16>(block)),
            _ => _mm256_castsi256_ps(_mm256_and_si256(block, _mm256_set1_epi32(0xffff_0000_u32 as i32))),
        }
    }

    /// In the order of [`crate::portable::sum_lanes`].
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sum_all<const ROWS: usize, const B: usize>(sums: &[[__m256; ROWS]; B]) -> [[f32; ROWS]; B] {
        let mut all = [[0.0; ROWS]; B];
        for (all, sums) in all.iter_mut().zip(sums) {
            // Two rows at a time: neighbours are added side by side.
            for (all, sums) in all.chunks_exact_mut(2).zip(sums.chunks_exact(2)) {
                all.copy_from_slice(&sum_lanes([sums[0], sums[1]]));
            }
        }
        all
    }

    /// The sum of each of two rows.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn sum_lanes(rows: [__m256; 2]) -> [f32; 2] {
        let pairs = _mm_hadd_ps(halves(rows[0]), halves(rows[1]));
        let both = _mm_hadd_ps(pairs, pairs);
        [_mm_cvtss_f32(both), _mm_cvtss_f32(_mm_movehdup_ps(both))]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn halves(sum: __m256) -> __m128 {
        _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load_lanes(lanes: &Lanes) -> __m256i {
        // SAFETY: 32 bytes, aligned to 32.
        unsafe { _mm256_load_si256(std::ptr::from_ref(lanes).cast()) }
    }

    /// # Safety
    /// `x` has eight values from `start` on.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(x: &[f32], start: usize) -> __m256 {
        debug_assert!(start + 8 <= x.len());
        // SAFETY: within the slice, as promised by the caller; no alignment is asked for.
        unsafe { _mm256_loadu_ps(x.as_ptr().add(start)) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use crate::activations::{ByteRow, WordRow};
    use crate::isa::Work;
    use crate::kind::WeightKind;
    use crate::pack::{Lanes, PANEL};

    /// Nothing: no other architecture has these instructions.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Token {}

    impl Token {
        pub(crate) fn detect() -> Option<Self> {
            None
        }

        pub(crate) fn run<W: Work>(self, _: W) -> W::Out {
            match self {}
        }
    }

    pub(crate) fn panel<const ROWS: usize, const B: usize>(
        proof: Token,
        _: WeightKind,
        _: &[Lanes],
        _: usize,
        _: [&[f32]; B],
    ) -> [[f32; ROWS]; B] {
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

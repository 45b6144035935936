//! Scores by AVX-512 VNNI: 64 products of 8-bit integers, summed by fours, in one instruction.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) use x86::scores;

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn scores<const ROWS: usize>(
    proof: crate::avx512::Token,
    _: &[super::pack::Fours],
    _: &super::pack::Facts,
    _: [&super::query::Query; ROWS],
) -> ([[f32; super::pack::LIST]; ROWS], [f32; ROWS]) {
    match proof {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::pack::{Facts, Fours, LIST};
    use super::super::query::Query;
    use crate::avx512::Token;

    /// Codewords of a register.
    const WIDTH: usize = 16;

    /// Registers of a list.
    const PARTS: usize = LIST / WIDTH;

    /// As [`super::super::portable::scores`], up to the rounding of f32.
    pub(in super::super) fn scores<const ROWS: usize>(
        _proof: Token,
        fours: &[Fours],
        facts: &Facts,
        queries: [&Query; ROWS],
    ) -> ([[f32; LIST]; ROWS], [f32; ROWS]) {
        // SAFETY: a token exists only where the machine has the instructions.
        unsafe { bounds(facts, queries, &dots(fours, facts, queries)) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,avx2,fma")]
    fn dots<const ROWS: usize>(
        fours: &[Fours],
        facts: &Facts,
        queries: [&Query; ROWS],
    ) -> [[__m512i; PARTS]; ROWS] {
        let xs = queries.map(|query| &query.fours[..fours.len()]);
        let mut sums = [std::array::from_fn(|part| load_integers(&facts.offsets, part)); ROWS];
        for (index, fours) in fours.iter().enumerate() {
            let words: [__m512i; PARTS] = std::array::from_fn(|part| load_codes(fours, part));
            for (sums, x) in sums.iter_mut().zip(xs) {
                let x = _mm512_set1_epi32(i32::from_le_bytes(x[index]));
                for (sum, words) in sums.iter_mut().zip(words) {
                    *sum = _mm512_dpbusd_epi32(*sum, x, words);
                }
            }
        }
        sums
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,avx2,fma")]
    fn bounds<const ROWS: usize>(
        facts: &Facts,
        queries: [&Query; ROWS],
        dots: &[[__m512i; PARTS]; ROWS],
    ) -> ([[f32; LIST]; ROWS], [f32; ROWS]) {
        let mut most = [[0.0; LIST]; ROWS];
        let mut least = [_mm512_set1_ps(f32::NEG_INFINITY); ROWS];
        for (row, (query, dots)) in queries.iter().zip(dots).enumerate() {
            for (part, dots) in dots.iter().enumerate() {
                let [scales, halves, lengths, errors, slacks] =
                    [&facts.scales, &facts.halves, &facts.lengths, &facts.errors, &facts.slacks]
                        .map(|facts| load(facts, part));
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(query.scale));
                let score = _mm512_fmsub_ps(_mm512_cvtepi32_ps(*dots), scale, halves);
                let slack = _mm512_add_ps(slacks, _mm512_set1_ps(query.slack));
                let own = _mm512_fmadd_ps(_mm512_set1_ps(query.length), errors, slack);
                let radius = _mm512_fmadd_ps(_mm512_set1_ps(query.error), lengths, own);
                store(&mut most[row], part, _mm512_add_ps(score, radius));
                // Where one of both is no number, the second operand is taken: what was there.
                least[row] = _mm512_max_ps(_mm512_sub_ps(score, radius), least[row]);
            }
        }
        (most, least.map(|least| _mm512_reduce_max_ps(least)))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_codes(fours: &Fours, part: usize) -> __m512i {
        let own = &fours.0.as_chunks::<WIDTH>().0[part];
        // SAFETY: 64 bytes; no alignment is asked for.
        unsafe { _mm512_loadu_si512(own.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_integers(integers: &[i32; LIST], part: usize) -> __m512i {
        let own = &integers.as_chunks::<WIDTH>().0[part];
        // SAFETY: 64 bytes; no alignment is asked for.
        unsafe { _mm512_loadu_si512(own.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(values: &[f32; LIST], part: usize) -> __m512 {
        let own = &values.as_chunks::<WIDTH>().0[part];
        // SAFETY: 64 bytes; no alignment is asked for.
        unsafe { _mm512_loadu_ps(own.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(values: &mut [f32; LIST], part: usize, own: __m512) {
        let place = &mut values.as_chunks_mut::<WIDTH>().0[part];
        // SAFETY: 64 bytes; no alignment is asked for.
        unsafe { _mm512_storeu_ps(place.as_mut_ptr(), own) }
    }
}

//! Scores in plain Rust.

use super::pack::{Facts, Fours, LIST};
use super::query::Query;

/// For each vector, what its score with each codeword of a list is at most, and what the best of them is at least. The score of a
/// codeword `e` is `x.e - |e|^2 / 2`: the larger, the nearer.
pub(super) fn scores<const ROWS: usize>(
    fours: &[Fours],
    facts: &Facts,
    queries: [&Query; ROWS],
) -> ([[f32; LIST]; ROWS], [f32; ROWS]) {
    let (mut most, mut least) = ([[0.0; LIST]; ROWS], [f32::NEG_INFINITY; ROWS]);
    for (query, (most, least)) in queries.iter().zip(most.iter_mut().zip(&mut least)) {
        let mut dots = facts.offsets;
        for (fours, x) in fours.iter().zip(&query.fours) {
            for (dot, codes) in dots.iter_mut().zip(&fours.0) {
                *dot += codes.iter().zip(x).map(|(code, x)| i32::from(*code) * i32::from(*x)).sum::<i32>();
            }
        }
        for (place, most) in most.iter_mut().enumerate() {
            let score = (dots[place] as f32 * (facts.scales[place] * query.scale)) - facts.halves[place];
            let radius = query.error * facts.lengths[place]
                + query.length * facts.errors[place]
                + (facts.slacks[place] + query.slack);
            *most = score + radius;
            *least = least.max(score - radius);
        }
    }
    (most, least)
}

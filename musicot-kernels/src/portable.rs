//! Products of a panel without intrinsics, in the order of sums of the others.

use crate::kind::WeightKind;
use crate::pack::{GROUPS, Lanes, PANEL};

/// The sums of the eight lanes of a product, as all paths add them up.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; 8]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    // The two halves, then neighbours, then their sums.
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// The products of a panel's rows with one row of activations, `x [blocks * block]`.
pub(crate) fn panel(kind: WeightKind, lanes: &[Lanes], scales: &[f32], x: &[f32]) -> [f32; PANEL] {
    std::array::from_fn(|row| {
        let rows = lanes.iter().skip(row).step_by(PANEL).zip(x.chunks_exact(kind.block()));
        match kind {
            WeightKind::F32 => {
                sum_lanes(rows.fold([0.0; 8], |sums, (lanes, x)| block::<1>(lanes, x, f32_at, sums)))
            }
            WeightKind::Bf16 => {
                sum_lanes(rows.fold([0.0; 8], |sums, (lanes, x)| block::<2>(lanes, x, bf16_at, sums)))
            }
            WeightKind::Int8 => {
                let sums = rows.fold([0.0; 8], |sums, (lanes, x)| block::<4>(lanes, x, int8_at, sums));
                sum_lanes(sums) * scales[row]
            }
            WeightKind::Int4 => {
                let scales =
                    scales.chunks_exact(GROUPS * PANEL).map(|scales| [scales[row], scales[PANEL + row]]);
                sum_lanes(
                    rows.zip(scales)
                        .fold([0.0; 8], |sums, ((lanes, x), scales)| groups(lanes, x, scales, sums)),
                )
            }
        }
    })
}

/// Adds the products of a block's chunks, each of eight weights.
fn block<const CHUNKS: usize>(
    lanes: &Lanes,
    x: &[f32],
    weight: impl Fn(u32, usize) -> f32,
    mut sums: [f32; 8],
) -> [f32; 8] {
    for (chunk, x) in x.chunks_exact(8).enumerate().take(CHUNKS) {
        for ((sum, lane), x) in sums.iter_mut().zip(lanes.0).zip(x) {
            *sum += weight(lane, chunk) * x;
        }
    }
    sums
}

/// Adds the products of a block's groups, each times its scale.
fn groups(lanes: &Lanes, x: &[f32], scales: [f32; GROUPS], mut sums: [f32; 8]) -> [f32; 8] {
    for (group, scale) in scales.into_iter().enumerate() {
        let x = &x[32 * group..32 * (group + 1)];
        let own = block::<4>(lanes, x, |lane, chunk| int4_at(lane, 4 * group + chunk), [0.0; 8]);
        for (sum, own) in sums.iter_mut().zip(own) {
            *sum += own * scale;
        }
    }
    sums
}

fn f32_at(lane: u32, _: usize) -> f32 {
    f32::from_bits(lane)
}

fn bf16_at(lane: u32, chunk: usize) -> f32 {
    f32::from_bits(lane >> (16 * chunk) << 16)
}

fn int8_at(lane: u32, chunk: usize) -> f32 {
    (lane >> (8 * chunk) << 24) as i32 as f32
}

fn int4_at(lane: u32, chunk: usize) -> f32 {
    (lane >> (4 * chunk) << 28) as i32 as f32
}

//! Products of a panel without intrinsics, in the order of sums of the others.

use crate::activations::{ByteRow, WORD_GROUP, WordRow};
use crate::kind::WeightKind;
use crate::lanes::LANES;
use crate::pack::{GROUPS, Lanes, PANEL};

/// The sums of the eight lanes of a product, as all paths add them up.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; 8]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    // The two halves, then neighbours, then their sums.
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// The products of a panel's rows with one row of activations, `x [blocks * block]`; of f32 and bf16.
pub(crate) fn panel(kind: WeightKind, lanes: &[Lanes], x: &[f32]) -> [f32; PANEL] {
    std::array::from_fn(|row| {
        let rows = lanes.iter().skip(row).step_by(PANEL).zip(x.chunks_exact(kind.block()));
        match kind {
            WeightKind::Bf16 => {
                sum_lanes(rows.fold([0.0; 8], |sums, (lanes, x)| block::<2>(lanes, x, bf16_at, sums)))
            }
            _ => sum_lanes(rows.fold([0.0; 8], |sums, (lanes, x)| block::<1>(lanes, x, f32_at, sums))),
        }
    })
}

/// The products of an int8 panel's codes with one row of activations.
pub(crate) fn panel_int8(lanes: &[Lanes], x: WordRow<'_>) -> [f32; PANEL] {
    let (blocks, _) = lanes.as_chunks::<PANEL>();
    std::array::from_fn(|row| {
        let mut sums = [0.0; LANES];
        let groups = blocks.chunks(WORD_GROUP).zip(x.whole.chunks(WORD_GROUP));
        for ((blocks, whole), (x_scale, offsets)) in groups.zip(x.scales.iter().zip(x.offsets)) {
            let mut dots = *offsets;
            for (block, whole) in blocks.iter().zip(whole) {
                let (fours, _) = whole.as_chunks::<4>();
                for ((dot, lane), four) in dots.iter_mut().zip(block[row].0).zip(fours) {
                    let codes = lane.to_le_bytes().into_iter().zip(four);
                    *dot += codes.map(|(code, x)| i32::from(code) * i32::from(*x)).sum::<i32>();
                }
            }
            sums.iter_mut().zip(dots).for_each(|(sum, dot)| *sum += dot as f32 * x_scale);
        }
        sum_lanes(sums)
    })
}

/// The products of an int4 panel's rows with one row of activations.
pub(crate) fn panel_int4(lanes: &[Lanes], scales: &[f32], x: ByteRow<'_>) -> [f32; PANEL] {
    let ((blocks, _), (scales, _)) = (lanes.as_chunks::<PANEL>(), scales.as_chunks::<PANEL>());
    std::array::from_fn(|row| {
        let mut sums = [0.0; LANES];
        for (group, (codes, (x_scale, offsets))) in
            x.codes.iter().zip(x.scales.iter().zip(x.offsets)).enumerate()
        {
            let (lanes, scale) = (&blocks[group / GROUPS][row].0, scales[group][row] * x_scale);
            let (fours, _) = codes.as_chunks::<4>();
            for (lane, sum) in sums.iter_mut().enumerate() {
                let nibbles = lanes[lane] >> (group % GROUPS * 4);
                let product =
                    |(byte, code): (usize, &i8)| (nibbles >> (8 * byte) & 15) as i32 * i32::from(*code);
                let dot = offsets[lane] + fours[lane].iter().enumerate().map(product).sum::<i32>();
                *sum += dot as f32 * scale;
            }
        }
        sum_lanes(sums)
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

fn f32_at(lane: u32, _: usize) -> f32 {
    f32::from_bits(lane)
}

fn bf16_at(lane: u32, chunk: usize) -> f32 {
    f32::from_bits(lane >> (16 * chunk) << 16)
}

//! What memory gives: the least time in which weights that are in no cache can be read.

use std::hint::black_box;
use std::thread;

use musicot::core::tch;

use crate::clock::Clock;
use crate::common::Outcome;

/// Longer than the caches hold.
const BYTES: usize = 512 << 20;

/// Reads memory with nothing to compute, on as many threads as libtorch has; a unit is `unit_bytes`.
pub fn run(variant: &str, unit_bytes: usize, clock: &Clock) -> Outcome {
    let memory = vec![1_u64; BYTES / size_of::<u64>()];
    let threads = tch::get_num_threads().max(1) as usize;
    let share = memory.len().div_ceil(threads);
    clock.timed(variant, BYTES as f64 / unit_bytes as f64, || {
        thread::scope(|scope| {
            for part in memory.chunks(share) {
                scope.spawn(move || black_box(read(black_box(part))));
            }
        });
        Ok(())
    })
}

/// As wide as a few registers, so that loads alone count.
fn read(words: &[u64]) -> [u64; 32] {
    let (chunks, _) = words.as_chunks::<32>();
    chunks.iter().fold([0; 32], |mut sums, chunk| {
        sums.iter_mut().zip(chunk).for_each(|(sum, word)| *sum ^= word);
        sums
    })
}

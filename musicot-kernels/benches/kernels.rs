//! Weights of every kind against the speed at which one core reads memory: `2048 x 5632`, as in decoders of about 1B parameters. Throughput is in
//! bytes of weights and scales.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use musicot_kernels::{CacheShape, Codebook, Isa, KvCache, Matrix, Scratch, Threads, WeightKind};

const ROWS: usize = 5632;
const COLUMNS: usize = 2048;

/// More than the caches of any core hold.
const BYTES: usize = 160 << 20;

/// Read at a time by [`stream`].
const PIECE: usize = 8 << 20;

/// The fastest of single runs: on a busy machine the mean is mostly that of waiting.
fn best<T>(name: &str, bytes: usize, mut run: impl FnMut() -> T) {
    let timed = (0..60).map(|_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    });
    let best = timed.min().unwrap_or_default();
    println!("{name}: fastest of 60: {best:?}, {:.2} GB/s", bytes as f64 / best.as_secs_f64() / 1e9);
}

/// Without a pattern: nearest codewords of vectors of a pattern are near to one another.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| (0..4).map(|_| next()).sum()).collect()
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.618).fract() - 0.5).collect()
}

/// All instructions but those of plain Rust, which is there to compare bytes with.
fn vectors() -> impl Iterator<Item = Isa> {
    Isa::available().filter(|isa| *isa != Isa::portable())
}

/// Reads memory with nothing to compute.
fn stream(criterion: &mut Criterion, name: &str) {
    let memory = vec![1_u64; BYTES / 8];
    // Pieces as long as a matrix, so that the fastest of them is comparable with the fastest product.
    let pieces: Vec<&[u64]> = memory.chunks_exact(PIECE / 8).collect();
    let mut next = 0;
    let mut read = || {
        next = (next + 1) % pieces.len();
        let (chunks, _) = black_box(pieces[next]).as_chunks::<32>();
        chunks.iter().fold([0_u64; 32], |mut sums, chunk| {
            sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum ^= value);
            sums
        })
    };
    best(&format!("stream {name}"), PIECE, &mut read);
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Bytes(PIECE as u64));
    group.bench_function(name, |b| b.iter(&mut read));
    group.finish();
}

fn matrices(criterion: &mut Criterion) {
    let weights = values(ROWS * COLUMNS);
    for kind in WeightKind::ALL {
        let first = Matrix::new(&weights, ROWS, COLUMNS, kind).unwrap();
        let mut group = criterion.benchmark_group(format!("{} {ROWS}x{COLUMNS}", kind.name()));
        group.throughput(Throughput::Bytes(first.bytes() as u64));
        let count = BYTES.div_ceil(first.bytes());
        // One after another, so that none is in the caches.
        let all: Vec<Matrix> =
            (0..count).map(|_| Matrix::new(&weights, ROWS, COLUMNS, kind).unwrap()).collect();
        for (isa, batch) in vectors().flat_map(|isa| [1, 2, 4].map(|batch| (isa, batch))) {
            let all: Vec<Matrix> = all.iter().map(|matrix| matrix.with_isa(isa)).collect();
            let (x, mut y) = (values(batch * COLUMNS), vec![0.0; batch * ROWS]);
            let (threads, mut next) = (Threads::one(), 0);
            let mut multiply = || {
                next = (next + 1) % count;
                all[next].multiply(black_box(&x), &mut y, &threads).unwrap();
            };
            best(&format!("{} batch {batch} {}", kind.name(), isa.name()), first.bytes(), &mut multiply);
            group.bench_function(format!("batch {batch}/{}", isa.name()), |b| b.iter(&mut multiply));
        }
        group.finish();
    }
}

fn attention(criterion: &mut Criterion) {
    let shape = CacheShape { rows: 1, kv_heads: 2, head_dim: 32, slots: 900 };
    let mut cache = KvCache::new(shape).unwrap();
    let one = values(64);
    (0..900).for_each(|slot| cache.put(0, slot, &one, &one).unwrap());
    let (query, mut y, mut scratch) = (values(256), vec![0.0; 256], Scratch::default());
    let mut attend =
        || cache.attend(Isa::best(), 0, black_box(&query), 0..900, &mut scratch, &mut y).unwrap();
    best("attention 8 heads x 900 slots", 2 * 900 * 64 * 4, &mut attend);
    criterion.bench_function(&format!("attention 8 heads x 900 slots/{}", Isa::best().name()), |b| {
        b.iter(&mut attend);
    });
}

fn codebooks(criterion: &mut Criterion) {
    let (size, dim, rows) = (1024, 512, 96);
    let (words, vectors) = (noise(1, size * dim), noise(2, rows * dim));
    let mut codes = vec![0; rows];
    let book = Codebook::new(&words, dim).unwrap();
    let mut search = || book.nearest(black_box(&vectors), &mut codes).unwrap();
    best("96 vectors among 1024 x 512", size * dim, &mut search);
    criterion.bench_function(&format!("96 vectors among 1024 x 512/{}", Isa::best().name()), |b| {
        b.iter(&mut search)
    });
    let mut pack_and_search =
        || Codebook::new(black_box(&words), dim).unwrap().nearest(&vectors, &mut codes).unwrap();
    best("96 vectors among 1024 x 512, packing included", size * dim, &mut pack_and_search);
    let mut one =
        || Codebook::new(black_box(&words), dim).unwrap().nearest(&vectors[..dim], &mut codes[..1]).unwrap();
    best("one vector among 1024 x 512, all distances", size * dim, &mut one);
}

fn bench(criterion: &mut Criterion) {
    stream(criterion, "before");
    matrices(criterion);
    // Again: other work on the machine comes and goes.
    stream(criterion, "after");
    attention(criterion);
    codebooks(criterion);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = bench
}
criterion_main!(benches);

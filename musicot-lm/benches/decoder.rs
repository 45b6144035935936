//! One position of decoding: libtorch and our kernels in turn, for the shapes of small decoders and, where `MUSICOT_BENCH_LARGE` is set, for layers of
//! the published size.
#![allow(missing_docs, clippy::unwrap_used)] // `criterion_group!` makes an undocumented function

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use musicot_lm::core::{CounterRng, ParamStore};
use musicot_lm::tch::{self, Device};
use musicot_lm::{CausalLm, FastLlama, Llama, LlamaConfig, LmSession, SessionShape, WeightKind};

/// Rows: a song and its unconditional branch.
const ROWS: i64 = 2;

/// Steps that [`best`] takes.
const STEPS: u32 = 200;

/// That of `models/mini`.
fn mini() -> LlamaConfig {
    LlamaConfig { vocab_size: 3739, tie_word_embeddings: true, ..Default::default() }
}

/// Four of the 22 layers of TinyLlama.
fn large() -> LlamaConfig {
    LlamaConfig { vocab_size: 4096, num_hidden_layers: 4, ..LlamaConfig::tiny_llama_1_1b() }
}

fn llama(config: &LlamaConfig) -> Llama {
    Llama::new(&ParamStore::new(Device::Cpu, 1).root(), config).unwrap()
}

/// A session in the middle of a song: 150 positions of prefix and a full window of 750 (30 s).
fn session(lm: &dyn CausalLm) -> Box<dyn LmSession + '_> {
    let shape = SessionShape {
        padding: vec![0, 100],
        prefix_positions: 150,
        window_positions: 750,
        reach_positions: 1000,
    };
    let mut session = lm.session(&shape).unwrap();
    let prefix = CounterRng::new(2).normal(0, &[ROWS, 150, lm.dim()], Device::Cpu).unwrap();
    let _ = session.extend(&prefix).unwrap();
    for _ in 0..750 {
        let _ = session.roll(&prefix.narrow(1, 0, 1)).unwrap();
    }
    session
}

fn step(criterion: &mut Criterion, name: &str, lm: &dyn CausalLm) {
    let mut session = session(lm);
    let next = CounterRng::new(3).normal(0, &[ROWS, 1, lm.dim()], Device::Cpu).unwrap();
    let vocab = lm.vocab_size();
    let mut step = || lm.logits(&session.roll(&next).unwrap(), vocab - 2049..vocab).unwrap();
    best(name, &mut step);
    criterion.bench_function(name, |b| b.iter(&mut step));
}

/// The fastest of single steps, and the mean of the processor's time where the system tells it (Linux): on a busy machine the mean of the clock's is
/// mostly that of waiting.
fn best<T>(name: &str, mut step: impl FnMut() -> T) {
    let before = processor_ms();
    let timed = (0..STEPS).map(|_| {
        let start = Instant::now();
        black_box(step());
        start.elapsed()
    });
    let fastest = timed.min().unwrap_or_default();
    let mean = processor_ms().zip(before).map(|(after, before)| (after - before) / f64::from(STEPS));
    println!("{name}: fastest of {STEPS} steps {fastest:?}, mean processor time {mean:.3?} ms");
}

/// What this thread has had so far.
fn processor_ms() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e6)
}

fn bench(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let _no_grad = tch::no_grad_guard();
    let mut shapes = vec![("mini", mini())];
    if std::env::var_os("MUSICOT_BENCH_LARGE").is_some() {
        shapes.push(("4 layers of 1.1B", large()));
    }
    for (shape, config) in shapes {
        step(criterion, &format!("step/{shape}/libtorch/cpu"), &llama(&config));
        for kind in WeightKind::ALL {
            let name = format!("step/{shape}/{}/cpu", kind.name());
            step(criterion, &name, &FastLlama::new(llama(&config), kind).unwrap());
        }
        // Again: other work on the machine comes and goes.
        step(criterion, &format!("step/{shape}/libtorch again/cpu"), &llama(&config));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = bench
}
criterion_main!(benches);

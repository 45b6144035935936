//! Timings of the embedded model's size; `cargo test -p musicot-diffusion --test speed -- --ignored --nocapture`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Instant;

use musicot_core::{CounterRng, GuidanceScale};
use musicot_diffusion::tch::{self, Device, Kind, Tensor};
use musicot_diffusion::{
    Condition, Denoiser, DiffusionSession, Dit, DitConfig, Sampler, SamplerConfig, Score, SessionConfig,
    Thoughts, frame_windows, render,
};

/// Seconds this thread ran (Linux): unlike the clock, comparable on a busy machine.
fn cpu_secs() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

fn normal(seed: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(seed).normal(0, shape, Device::Cpu).unwrap()
}

/// The embedded model, or what the variable says, such as `CONFIG='{"depth": 6}'`.
fn config() -> DitConfig {
    std::env::var("CONFIG").map_or_else(|_| DitConfig::default(), |text| serde_json::from_str(&text).unwrap())
}

#[test]
#[ignore = "prints timings"]
fn training_step() {
    let threads = std::env::var("THREADS").map_or(1, |t| t.parse().unwrap());
    tch::set_num_threads(threads);
    let model = Dit::new(config(), Device::Cpu, 0).unwrap();
    println!("{} parameters", model.params().count());
    for (batch, frames) in [(16, 200), (64, 50), (6, 500)] {
        let index = frame_windows(13, frames as usize, 250.0, 3);
        let condition = Condition {
            semantic: Some(Tensor::zeros([batch, frames], (Kind::Int64, Device::Cpu))),
            thoughts: Some(Thoughts {
                embeddings: normal(4, &[batch, 3, 128]),
                frame_windows: Tensor::from_slice(&index).expand([batch, frames], false),
            }),
            text: Some(normal(5, &[batch, 128])),
            ..Condition::default()
        };
        let (x, time) =
            (normal(1, &[batch, 128, frames]), Tensor::full([batch], 0.5, (Kind::Float, Device::Cpu)));
        for _ in 0..3 {
            let (started, cpu) = (Instant::now(), cpu_secs());
            let loss = model.predict(&x, &time, &condition).unwrap().square().mean(Kind::Float);
            let forward = cpu_secs() - cpu;
            loss.backward();
            let (cpu, clock) = (cpu_secs() - cpu, started.elapsed());
            println!(
                "{batch} x {frames}, {threads} threads: forward {forward:.2} s CPU; with backward {cpu:.2} s CPU, {clock:.2?}"
            );
        }
    }
}

#[test]
#[ignore = "prints timings"]
fn thirty_seconds() {
    let threads = std::env::var("THREADS").map_or(1, |t| t.parse().unwrap());
    tch::set_num_threads(threads);
    let model = Dit::new(config(), Device::Cpu, 0).unwrap();
    let tokens = Tensor::zeros([1, 750], (Kind::Int64, Device::Cpu));
    for (steps, scale, window, prefix) in [
        (12, 1.0, 500, 100),
        (16, 1.0, 500, 100),
        (12, 2.0, 500, 100),
        (16, 2.0, 500, 100),
        (16, 2.0, 300, 75),
    ] {
        let guidance = GuidanceScale::new(scale).unwrap();
        let sampler = Sampler::new(SamplerConfig { steps, guidance, ..SamplerConfig::default() }).unwrap();
        let config = SessionConfig {
            window_frames: window,
            first_window_frames: window,
            prefix_frames: prefix,
            lookahead_frames: 12,
        };
        let score = Score {
            thoughts: Some(normal(1, &[1, 3, 128])),
            text: Some(normal(2, &[1, 128])),
            streams: vec![CounterRng::new(1)],
        };
        let (started, cpu) = (Instant::now(), cpu_secs());
        let session = DiffusionSession::new(&model, &sampler, config, score).unwrap();
        assert_eq!(render(session, &tokens).unwrap().size(), [1, model.latent_dim(), 750]);
        let (cpu, clock) = (cpu_secs() - cpu, started.elapsed());
        println!(
            "30 s, {steps} steps, guidance {scale}, window {window}, {threads} threads: {cpu:.2} s CPU, {clock:.2?}"
        );
    }
}
